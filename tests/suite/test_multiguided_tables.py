"""The multi-guided paper's tables and claims as data: rows, printed numbers, and the order that they print."""

from types import SimpleNamespace

import pytest

from reidpapers.multiguided import tables
from reidpapers.multiguided.config import EXTRACTORS, MultiGuidedConfig, starts_from
from reidpapers.run.config import ConfigError
from reidpapers.show import layout

TABLES = {table.number: table for table in tables.tables()}


@pytest.mark.parametrize("profile", ["smoke", "quick", "study", "paper"])
def test_every_row_is_a_valid_configuration_of_its_own(profile):
    base = MultiGuidedConfig(profile=profile, device="cpu")
    runs = layout.configurations(tables.rows("all", profile), base, [0])
    prints = {name: configs[0].fingerprint() for name, configs in runs.items()}
    one_run = (
        {"given configuration", tables.WHOLE.name, "Constraint and groups"},
        {"Attribute constraint", "delta 0.1"},
        {tables.ONE.name, "theta 0.25"},
    )
    for names in one_run:
        assert len({prints[name] for name in names}) == 1, names
    assert len(set(prints.values())) == len(prints) - sum(len(names) - 1 for names in one_run)


def test_rows_keep_their_meaning_around_another_configuration():
    base = MultiGuidedConfig(learning="extractor", extractor="hrnet", shrink=0.1, constraint=False, width=64)
    runs = layout.configurations(tables.rows("all"), base, [3, 4])
    whole = runs[tables.WHOLE.name][0]
    assert whole.learning == "ensemble" and whole.members == EXTRACTORS and whole.constraint and whole.width == 64
    assert runs["Res50 without erasing"][0].shrink == 0.5 and runs["Res50 without erasing"][0].erase == 0
    assert [config.seed for config in runs["PSPNet"]] == [3, 4]
    assert [config.seed for config in runs["theta 0.4"]] == [3, 4][: tables.SWEPT_SEEDS]


def test_table_2_adds_one_extractor_a_row_in_the_papers_order():
    runs = layout.configurations(TABLES["Table 2"].rows, MultiGuidedConfig(), [0])
    assert [config.members for (config,) in runs.values()] == [EXTRACTORS[:count] for count in range(1, 6)]
    assert list(runs)[-1] == "Res50+AGN+Dense161BS+Dense161+HRnet"


def test_rows_share_the_parts_that_they_start_from():
    """All five seeds' rows rest on fourteen trainings a seed, and one more that is done once."""
    runs = layout.configurations(tables.rows("all"), MultiGuidedConfig(), [0])
    waiting, trained = [configs[0] for configs in runs.values()], set()
    while waiting:
        config = waiting.pop()
        waiting += starts_from(config)
        if config.learning != "ensemble":
            trained.add(config.fingerprint())
    assert len(trained) == 15


def test_printed_numbers_stand_in_their_tables():
    names = [row.name for row in TABLES["Table 2"].rows]
    printed = [layout.value("multiguided", "Table 2", name, "mAP") for name in names]
    assert printed == [61.4, 63.8, 65.7, 66.2, 66.8]
    assert layout.value("multiguided", "Table 2", names[-1], "top1") == 76.05
    (entry,) = layout.configurations([tables.BOTH], MultiGuidedConfig(), [0])[tables.BOTH.name]
    assert entry.constraint and entry.groups == "both", "the leader board's entry had the paper's post-processing"
    assert layout.value("multiguided", "Post-processing", tables.BOTH.name, "mAP") == 66.83
    board = layout.printed("multiguided")
    scores = [float(board["Table 1", str(rank), "score"]) for rank in range(1, 11)]
    assert scores == sorted(scores, reverse=True) and scores[5] == 0.6683 and board["Table 1", "6", "team"][:2] == "44"
    assert round(100 * scores[5], 1) == printed[-1], "the last row is the leader board's entry"
    page = tables.leader_board().data
    assert page.count("<tr>") == 11 and "0.8413" in page


def test_theta_has_a_name_and_a_value_a_use_and_is_held_against_distances_without_penalties():
    config = MultiGuidedConfig()
    assert (config.theta_query, config.theta_gallery, config.theta_on) == (0.2, 0.6, "distance")
    rows = {row.name: row for row in TABLES["Post-processing"].rows}
    runs = layout.configurations(rows.values(), config.but(theta_on="penalised"), [0])
    assert [name for name, (run,) in runs.items() if run.canonical().theta_on == "penalised"] == [tables.PENALISED.name]


def test_every_step_of_table_2_is_printed_as_a_gain():
    steps = [claim for claim in tables.CLAIMS if claim.source == "Table 2"]
    assert len(steps) == 4
    for claim in steps:
        better, worse = (
            layout.value("multiguided", "Table 2", row, claim.metric) for row in (claim.better, *claim.rivals)
        )
        assert better > worse


def test_claims_compare_rows_that_are_run_with_scores_that_they_have():
    of_row = {row.name: row for row in tables.rows("all")}
    tested = {"extractor": {"", "all ", "small objects ", "large objects ", "other backgrounds "},
              "ensemble": {"", "all ", "plain "}}  # fmt: skip
    for claim in (*tables.CLAIMS, *tables.QUESTIONS):
        for name in (claim.better, *claim.rivals):
            kind = of_row[name].changes["learning"]
            if claim.metric.endswith("accuracy"):
                assert kind.startswith("classifier") or of_row[name].changes["extractor"] == "agn"
            else:
                assert claim.metric.removesuffix("mAP") in tested[kind], (claim, name)
            assert of_row[name].seeds is None


def test_a_single_thing_is_left_out_of_an_ingredients_row():
    base = MultiGuidedConfig()
    runs = layout.configurations(TABLES["Ingredients"].rows, base, [0])
    whole = runs["Res50 alone"][0].canonical()
    for name, (config,) in runs.items():
        changed = [
            field for field in type(whole).model_fields if getattr(config.canonical(), field) != getattr(whole, field)
        ]
        if name != "Res50 alone":
            # What only the thing left out reads goes with it.
            assert set(changed) <= {"shrink", "shrink_above", "erase", "simulated", "center_weight", "center_on",
                                    "triplet_weight", "margin", "iterations"}  # fmt: skip
            assert len(set(changed) - {"shrink_above", "margin", "iterations"}) == 1, name


@pytest.mark.parametrize("profile, field, steps, epochs", [
    ("quick", "iterations", 300, 150), ("paper", "epochs", 744, 120),  # 36,935 of 229,085 images are real
])  # fmt: skip
def test_real_images_alone_are_seen_for_as_many_steps_and_for_as_many_epochs(profile, field, steps, epochs):
    base = MultiGuidedConfig(profile=profile, device="cpu")
    runs = layout.configurations(tables.rows("all", profile), base, [0])
    (as_steps,), (as_epochs,) = runs[tables.NO_SIMULATED], runs[tables.FEWER_STEPS]
    assert (getattr(as_steps, field), getattr(as_epochs, field)) == (steps, epochs)
    assert not as_steps.simulated and not as_epochs.simulated


def test_an_ensembles_parts_are_rows_around_it():
    base = MultiGuidedConfig(members=("dense161bs", "agn"), shrink=0.2)
    rows = tables.parts(base)
    assert [row.name for row in rows] == [
        "given, Dense161BS", "given, PSPNet", "given, AGN", "given, colours", "given, types"
    ]  # fmt: skip
    found = {configs[0].fingerprint() for configs in layout.configurations(rows, base, [base.seed]).values()}
    starts = starts_from(base)
    assert found == {run.fingerprint() for start in starts for run in (start, *starts_from(start))}
    assert tables.parts(base.but(learning="extractor")) == ()


def test_masks_are_said_to_be_good_enough_or_not():
    good, bad, worse = (SimpleNamespace(tests={"masks": {"iou": iou}}) for iou in (0.9, 0.8, 0.7))
    assert "0.850 (2 seeds); it reaches the 0.80" in tables.verdict_on_masks([good, bad])
    assert "0.700 (1 seed); it does not reach the 0.80" in tables.verdict_on_masks([worse])
    assert "No PSPNet" in tables.verdict_on_masks(tables.segmenters({"PSPNet": []}))
    assert tables.segmenters({"PSPNet": [], "given, PSPNet": [good]}) == [good]


class Refusing:
    """A paper whose data lack masks."""

    @staticmethod
    def data(config):
        if config.learning == "segmenter":
            raise ConfigError("made up lacks the column 'mask'")
        return {}


def test_rows_that_the_data_refuse_are_named_and_the_others_run():
    wanted = layout.configurations(tables.rows("all"), MultiGuidedConfig(), [0, 1])
    able, refused = layout.able(wanted, Refusing)
    assert refused == {"PSPNet": "made up lacks the column 'mask'"}
    assert able.keys() | refused.keys() == wanted.keys() and able["Res50 alone"] == wanted["Res50 alone"]
