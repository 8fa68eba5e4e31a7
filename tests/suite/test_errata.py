"""The errata: every named test exists, and here are those that belong to no other file."""

import ast
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reidlib import losses
from reidpapers.run.papers import PAPERS
from reidpapers.show import layout
from reidpapers.show.site import errata

ROOT = Path(__file__).resolve().parents[2]
FOUND = errata.read_all()


@cache
def names_in(path):
    return {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("one", FOUND, ids=lambda one: f"{one.paper} {one.where}")
def test_an_erratum_names_tests_that_exist(one):
    assert one.paper in PAPERS
    for test in one.tests:
        path, _, name = test.partition("::")
        assert path.startswith("tests/") and name.startswith("test_") and name in names_in(path), test
    assert one.tests or one.kind == "words", "what can be computed is proved"


def test_every_paper_has_errata_and_each_stands_once():
    assert {one.paper for one in FOUND} == set(PAPERS)
    assert len({(one.paper, one.where, one.printed) for one in FOUND}) == len(FOUND)


@pytest.mark.parametrize("line, said", [
    ("eq. 1,guess,a,b,c,", "the kind"), (",words,a,b,c,", "lacks where"), ("eq. 1,words,a", "problem"),
])  # fmt: skip
def test_a_line_that_says_too_little_is_refused(tmp_path, line, said):
    file = tmp_path / "errata.csv"
    file.write_text(f"where,kind,printed,problem,decision,tests\n{line}\n")
    with pytest.raises(ValueError, match=f"errata.csv:2: .*{said}"):
        errata.read(file, "mlsl")


# --- MLSL ------------------------------------------------------------------------------------------------------------

features = st.lists(st.floats(-5, 5, width=32), min_size=8, max_size=8)


@given(features, features)
def test_a_bare_sigmoid_of_a_distance_never_says_same(first, second):
    """Eq. 4 as printed; with a linear map before it, as here, it can."""
    a, b = torch.tensor([first]), torch.tensor([second])
    for kind in ("absolute", "euclidean"):
        distance = losses.reduce_distance(losses.pair_distance(a, b, kind), kind)
        assert torch.sigmoid(distance).item() >= 0.5
    same = losses.reduce_distance(losses.pair_distance(a, a, "absolute"), "absolute")
    bare, mapped = torch.sigmoid(same), torch.sigmoid(4 * same - 6)
    assert losses.contrastive(bare, torch.zeros_like(bare), 1.0).item() >= 0.125  # ½ (½)², for two equal images
    assert losses.contrastive(mapped, torch.zeros_like(mapped), 1.0).item() < 1e-5


@given(st.floats(1.01, 3.0), st.floats(0, 30))
def test_a_margin_above_one_never_comes_to_rest(margin, surely):
    """Eq. 6 on a pair that differs: a unit says less than 1, so the hinge is open however sure it is."""
    output = torch.sigmoid(torch.tensor([[surely]], dtype=torch.float64))
    differs = torch.ones_like(output)
    assert losses.contrastive(output, differs, margin).item() >= 0.5 * (margin - 1) ** 2 > 0
    assert losses.contrastive(output, differs, 1.0).item() == pytest.approx(0.5 * (1 - output.item()) ** 2)


# --- counts and tables -----------------------------------------------------------------------------------------------


def test_printed_counts_that_do_not_add_up():
    vehicle_id = {"MLSL": (113_346, 108_221), "DRDL": (110_178, 111_585)}
    assert sum(vehicle_id["MLSL"]) == 221_567 != 221_763 == sum(vehicle_id["DRDL"])
    assert 13_164 + 13_164 == 26_328 > 26_267  # MLSL's training vehicles and those of its largest test set
    whole, training = 416_314, 277_797
    assert whole - training == 138_517 != 128_517  # VERI-Wild
    labelled, every = 47_558, 110_178
    assert every - labelled == 62_620 != 67_540  # DRDL, Table 1, training
    assert 111_585 - 42_638 == 68_947  # and its test column, which is right
    vehicles, images = (1_000, 2_000, 3_000), (16_123, 32_539, 49_259)
    assert sum(vehicles) > 5_527 and sum(images) == 97_921 > 91_480  # Vehicle-1M's subsets overlap


def test_drdls_text_against_its_tables():
    def printed(table, row, column):
        return layout.value("drdl", table, row, column)

    rows, levels = ("GoogLeNet + Joint Bayesian", "models: Mixed + CCL"), ("easy", "medium", "hard")
    levels = [tuple(printed("Table 3", row, f"{level} accuracy") for row in rows) for level in levels]
    assert levels[0][0] == levels[0][1] and all(theirs > ours for theirs, ours in levels[1:])
    gains = [printed("Table 6", "Mixed + CCL", f"{size} {top}") - printed("Table 6", "VGG + triplet", f"{size} {top}")
             for size in ("small", "medium", "large") for top in ("top1", "top5")]  # fmt: skip
    assert max(gains) > 10 and gains[1] == pytest.approx(11.8)  # "about 4 % – 10 %"


def test_fgr_is_not_below_drdl_everywhere():
    sizes = ("small", "medium", "large")
    gains = [layout.value("c2f_rank", "Table 3", "FGR", f"{size} retrieval mAP")
             - layout.value("c2f_rank", "Table 3", "DRDL", f"{size} retrieval mAP") for size in sizes]  # fmt: skip
    assert [gain > 0 for gain in gains] == [False, True, False]
