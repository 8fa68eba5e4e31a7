"""AGNet's tables and claims as data: rows, printed numbers, their orders, and where text and tables part."""

from itertools import pairwise

import pandas as pd
import pytest

from reidpapers.agnet import samples, tables
from reidpapers.agnet.config import AGNetConfig
from reidpapers.agnet.paper import PAPER
from reidpapers.agnet.tables import SIZES, THREE
from reidpapers.show import layout

TABLES = {table.number: table for table in tables.tables()}
DATA = ("rendered", "veri776", "vehicleid", "veriwild", "aicity2020", "vehicle1m")


def value(*where):
    return layout.value("agnet", *where)


@pytest.mark.parametrize("profile", ["smoke", "quick", "study", "paper"])
def test_every_row_is_a_valid_configuration_of_its_own(profile):
    base = AGNetConfig(profile=profile, backbone="small", pretrained=False, image_size=64)
    runs = layout.configurations(tables.rows("all", profile), base, [0])
    prints = {name: configs[0].fingerprint() for name, configs in runs.items()}
    same = {"given configuration", "AGNet-ASL-All", "θ 0.7", "β 1", "hard pairs 0.5", "α of eq. 6 0.1",
            "α of eq. 5 0.5", "ω 0"}  # fmt: skip
    assert len({prints[name] for name in same}) == 1
    assert prints["β 0"] == prints["AGNet-CE-All"]
    assert prints[f"ω {tables.STR_WEIGHT:g}"] == prints["AGNet-ASL-All+STR"]
    twice = len(same) - 1 + 2
    assert len(set(prints.values())) == len(prints) - twice


def test_tuning_never_sees_a_test_vehicle_and_is_of_the_scale_that_it_tunes():
    tuned = [*tables.RATE_ROWS, tables.HELD_ROW]
    assert all(row.changes["held_out"] == tables.HELD_OUT and row.own for row in tuned)
    assert all(row.changes["held_out"] == 0 for table in tables.tables("paper") for row in table.rows if row.changes)
    base, used = AGNetConfig(), ("optimizer", "schedule", "rate")
    quick = {name: getattr(base, name) for name in used}
    for row, name in ((tables.ALONE, "Only-ID"), (tables.CE, "AGNet-CE")):
        rivals = [each.changes for each in tables.RATE_ROWS if each.name.startswith(name)]
        assert {**row, **tables.TUNED, **quick} in rivals, "what quick uses is one of those it was chosen from"
    assert tables.STR_WEIGHT in tables.WEIGHTS


def test_only_other_test_features_cost_no_training():
    base = AGNetConfig()
    steps = {name: PAPER.steps(configs[0]) for name, configs in
             layout.configurations(tables.rows("all"), base, [0]).items()}  # fmt: skip
    free = {name for name, count in steps.items() if not count}
    assert free == {"AGNet-CE-Attr", "AGNet-CE-ID", "AGNet-ASL-Attr", "AGNet-ASL-ID", "AGNet-ASL-All+STR",
                    *(f"α of eq. 5 {a:g}" for a in tables.FUSIONS if a != 0.5),
                    *(f"ω {weight:g}" for weight in tables.WEIGHTS if weight)}  # fmt: skip


@pytest.mark.parametrize("dataset", DATA)
def test_which_rows_run_on_which_data(dataset):
    names = {row.name for row in tables.rows("all", dataset=dataset)}
    assert {"given configuration", "Only-ID", "Only-ID + mask"} <= names
    assert ("AGNet-ASL-All" in names) == (dataset not in ("vehicle1m", "aicity2020")), "these lack colours and types"
    assert ("ω 2" in names) == (dataset in ("rendered", "veri776", "veriwild")), "these know times and cameras"
    filled = {number for number, table in TABLES.items() if table.fits(dataset) and number.startswith("Table")}
    assert filled == {"rendered": {"Table III here", "Table IV here"}, "veri776": {"Table I", "Table III"},
                      "vehicleid": {"Table II", "Table IV"}}.get(dataset, set())  # fmt: skip
    base = {row.name for row in tables.rows("base", dataset=dataset)}
    assert base == {"given configuration", "Only-ID"}


def test_printed_numbers_stand_in_their_tables():
    assert value("Table I", "AGNet-ASL-All+STR", "mAP") == 71.59
    assert value("Table I", "Siamese-CNN+Path-LSTM", "top5") == 90.04
    assert value("Table II", "OIFE", "large top1") == 67.0 and value("Table II", "OIFE", "small top1") is None
    assert value("Table III", "AGNet-CE-ID", "mAP") == 64.09
    assert value("Table IV", "AGNet-ASL-Attr", "largest top5") == 69.29
    counts = {number: sum(table == number for table, _, _ in layout.printed("agnet")) for number in
              ("Table I", "Table II", "Table III", "Table IV")}  # fmt: skip
    assert counts == {"Table I": 14 * 3, "Table II": 9 * 6 + 2 * 9 + 2, "Table III": 7 * 3, "Table IV": 7 * 12}
    for number in counts:
        rows = {row for table, row, _ in layout.printed("agnet") if table == number}
        assert {row.name for row in TABLES[number].rows} == rows


def test_tables_share_what_they_print_twice():
    for column in THREE:
        assert value("Table I", "AGNet-ASL-All", column) == value("Table III", "AGNet-ASL-All", column)
        for size in SIZES[:3]:
            both = (value(f"Table {n}", "AGNet-ASL-All", f"{size} {column}") for n in ("II", "IV"))
            assert len(set(both)) == 1


def test_every_claim_holds_in_the_table_that_it_names():
    checked = 0
    for claim in tables.CLAIMS:
        table = claim.source.split(",")[0]
        if table.startswith("Table"):
            better, *worse = (value(table, row, claim.metric) for row in (claim.better, *claim.rivals))
            assert all(better > each for each in worse), claim
            checked += 1
    assert checked == len(tables.CLAIMS) - 7 > 60, "all but those against Table II, and on a row that no table has"


def test_a_margin_is_the_difference_that_the_tables_print():
    stated = {(claim.better, claim.worse, claim.metric): claim for claim in tables.CLAIMS if claim.margin}
    assert len(stated) == len(tables.GAINS) == 8
    for (better, worse, metric), claim in stated.items():
        table = {"VeRi-776": "Table III", "VehicleID": "Table IV"}[claim.margin_dataset]
        printed = value(table, better, metric) - value(table, worse.removesuffix(" + mask"), metric)
        assert claim.margin == pytest.approx(printed)


def test_claims_compare_rows_that_are_run_with_scores_that_they_have():
    names = {row.name for row in tables.rows("all")}
    sized = {f"{size} {score}" for size in SIZES[:3] for score in THREE}
    purities = {f"{name} purity" for name in ("identity", "color", "type")}
    for claim in (*tables.CLAIMS, *tables.QUESTIONS):
        assert claim.better in names and claim.metric in {*THREE, *sized, *purities}
        assert set(claim.rivals) <= names or claim.printed is not None, claim
    stated = [(claim.better, claim.worse, claim.metric) for claim in (*tables.CLAIMS, *tables.QUESTIONS)]
    assert len(set(stated)) == len(stated)


def test_what_the_text_says_and_the_tables_do_not():
    gains = [value("Table IV", "AGNet-ASL-All", f"{size} top1") - value("Table IV", "Only-ID", f"{size} top1")
             for size in SIZES]  # fmt: skip
    assert gains == pytest.approx([3.59, 3.36, 3.86, 3.78]), "the text has 3.94 for the first"
    over = {name: value("Table II", "AGNet-ASL-All", "small top1") - value("Table II", name, "small top1")
            for name in ("BOW-SIFT", "LOMO", "DGD")}  # fmt: skip
    # "68.34 and 51.39 gains" over "LOMO and DGD": the first is that over BOW-SIFT, the second that over LOMO.
    assert over == pytest.approx({"BOW-SIFT": 68.34, "LOMO": 51.39, "DGD": 26.35})
    for column in ("large top1", "large top5"):
        assert value("Table II", "OIFE", column) > value("Table II", "AGNet-ASL-All", column)
    for column in ("medium top1", "medium top5"):
        assert value("Table II", "VGG+CCL", column) == value("Table II", "Mixed DC", column)
    # ALS against cross-entropy: printed lower for two of the three features on VeRi-776.
    for feature, sign in (("Attr", -1), ("ID", -1), ("All", 1)):
        both = (value("Table III", f"AGNet-{loss}-{feature}", "mAP") for loss in ("ASL", "CE"))
        assert sign * (next(both) - next(both)) > 0


def test_table_ii_has_more_methods_than_the_text_counts():
    rivals = [row.name for row in TABLES["Table II"].rows if row.name != "AGNet-ASL-All"]
    assert len(rivals) == 11, "the text speaks of 9, and its list names all but BOW-SIFT"


def test_labelled_vehicles_are_set_beside_the_papers():
    rows = pd.DataFrame({"vehicle_id": ["a", "a", "b"]})
    (line,) = samples.labelled(AGNetConfig(dataset="vehicleid"), rows).values()
    assert line == "2 vehicles, 3 images; the paper has 10,086 and 78,956"
    whole = pd.DataFrame({"vehicle_id": [str(i % 10_086) for i in range(78_956)]})
    (line,) = samples.labelled(AGNetConfig(dataset="vehicleid"), whole).values()
    assert line.endswith("as in the paper")
    assert samples.labelled(AGNetConfig(), rows) == {}


def test_sweeps_hold_the_default_and_lie_in_order():
    defaults = AGNetConfig()
    for values, name in ((tables.THETAS, "theta"), (tables.BETAS, "beta"), (tables.ALPHAS, "alpha_smooth"),
                         (tables.HARDS, "hard"),
                         (tables.FUSIONS, "alpha_feature"), (tables.WEIGHTS, "str_weight")):  # fmt: skip
        assert getattr(defaults, name) in values and all(a < b for a, b in pairwise(values))


@pytest.mark.parametrize("alike", ["both", "either"])
def test_kinds_of_pairs_are_counted_as_they_are_drawn(alike):
    """As pairs come, the mean count is what all pairs of vehicles give; of hard ones all are alike that can be."""
    labels = [("a", "red", "van"), ("b", "red", "van"), ("c", "red", "bus"), ("d", None, "bus"), ("e", "blue", "van")]
    rows = pd.DataFrame(
        [one for one in labels for _ in range(2)], columns=["vehicle_id", "color", "type"], dtype="string"
    )
    shares = []
    for v, c, t in labels:
        others = [(c == oc, t == ot) for o, oc, ot in labels if o != v]
        shares.append(sum((x and y) if alike == "both" else (x or y) for x, y in others) / len(others))
    expected = 12 * sum(shares) / len(shares)
    config = AGNetConfig(
        pairs=16, positive=0.25, theta=0.4, alike=alike, iterations=1000, hard=0, unlabelled="keep", device="cpu"
    )
    found = samples.pair_kinds(config, rows)
    counts = [float(text.split(" of ")[0]) for text in found.values()]
    assert counts[0] == 4 and counts[1] == counts[3] == pytest.approx(expected, abs=0.1) and sum(counts[:3]) == 16
    assert [text.split("ε = ")[1] for text in list(found.values())[:3]] == ["0.6", "0.4", "0"]
    hard = samples.pair_kinds(config.but(hard=1), rows)
    # Anchors a and b, two of five, meet each other alone; the rest meet whom they met before.
    rest = expected / 12 - (0.4 * 0.25 if alike == "both" else 0.4 * 0.75)
    assert float(list(hard.values())[1].split(" of ")[0]) == pytest.approx(12 * (0.4 + rest), abs=0.1)
