"""Claims: verdicts against values worked out by hand, pairing rules, and the interval against its definition."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reidpapers.show.claims import Claim, Verdict, interval, score, verdict_table
from reidpapers.show.measure import judge
from reidpapers.show.sides import best, gain, worst


def record(
    seed, points, device="cpu", digest="d" * 64, name="rendered", freshness="fresh", weights=None, deviations=None,
    **machine,
):  # fmt: skip
    fraction = points / 100
    return SimpleNamespace(
        seed=seed,
        scores={"mAP": fraction, "top1": fraction, "top5": fraction, "cmc": [fraction] * 50},
        data={"name": name, "digest": digest} | ({"deviations": deviations} if deviations else {}),
        device={"type": device, **machine},
        freshness=freshness,
        weights={trunk: {"sha256": sha} for trunk, sha in (weights or {}).items()},
    )


def row(*points, **fields):
    return [record(seed, value, **fields) for seed, value in enumerate(points)]


CLAIM = Claim("Table 2", "many labels beat one", "MLSL", "SLSL", "mAP")


def test_paired_difference_by_hand():
    # differences 1, 2, 3: mean 2, sd 1, t(0.975, 2) = 4.30265, half-width 4.30265 / sqrt(3) = 2.48414
    verdict = judge(CLAIM, {"MLSL": row(41, 52, 63), "SLSL": row(40, 50, 60)})
    (pair,) = verdict.differences
    assert verdict.verdict == "open" and pair.seeds == (0, 1, 2)
    assert (pair.mean, pair.low, pair.high) == pytest.approx((2, 2 - 2.48414, 2 + 2.48414), abs=1e-4)


@pytest.mark.parametrize(
    ("better", "word"),
    [((45.0, 45.1, 44.9), "reproduced"), ((35.0, 35.1, 34.9), "contradicted"), ((45.0, 35.0, 40.0), "open")],
)
def test_words(better, word):
    assert judge(CLAIM, {"MLSL": row(*better), "SLSL": row(40, 40, 40)}).verdict == word


def test_pairing_removes_what_seeds_share():
    """Rows that swing by 20 points a seed but differ by one point each time are told apart."""
    assert judge(CLAIM, {"MLSL": row(31, 51.1, 40.9), "SLSL": row(30, 50, 40)}).verdict == "reproduced"


def test_equal_rows_show_no_difference():
    assert judge(CLAIM, {"MLSL": row(40, 40, 40), "SLSL": row(40, 40, 40)}).verdict == "no difference"


def test_less_than_a_point_is_never_reproduced():
    almost = judge(CLAIM, {"MLSL": row(40.5, 41.5, 42.52), "SLSL": row(40, 41, 42)})
    assert almost.verdict == "no difference" and almost.differences[0].low > 0
    beyond = judge(CLAIM, {"MLSL": row(41.2, 42.2, 43.22), "SLSL": row(40, 41, 42)})
    assert beyond.verdict == "reproduced"


@pytest.mark.parametrize(
    "runs", [{}, {"MLSL": row(1, 2, 3)}, {"SLSL": row(1, 2, 3)}, {"MLSL": row(9, 9), "SLSL": row(1, 1)}]
)
def test_fewer_than_three_common_seeds_is_not_run(runs):
    verdict = judge(CLAIM, runs)
    assert verdict.verdict == "not run" and np.isnan(verdict.differences[0].mean)


def test_seeds_pair_by_number_not_by_position():
    better, worse = row(50, 60, 70, 80), row(49, 59, 69, 79)[::-1]
    (pair,) = judge(CLAIM, {"MLSL": better, "SLSL": worse}).differences
    assert pair.mean == pytest.approx(1) and pair.low == pytest.approx(1)
    (pair,) = judge(CLAIM, {"MLSL": better[1:], "SLSL": worse}).differences
    assert pair.seeds == (1, 2, 3)


@pytest.mark.parametrize("other", [{"device": "cuda"}, {"digest": "e" * 64}], ids=str)
def test_devices_and_datasets_are_never_mixed(other):
    runs = {"MLSL": row(50, 50, 50), "SLSL": row(40, 40, 40, **other)}
    assert judge(CLAIM, runs).verdict == "not run"
    half = {"MLSL": row(50, 50, 50), "SLSL": [record(0, 40), *row(40, 40, 40, **other)[1:]]}
    assert judge(CLAIM, half).differences[0].seeds == (0,)


def test_a_trunk_that_began_with_other_weights_is_never_mixed():
    mine, other = row(50, 50, 50, weights={"resnet50": "a"}), row(40, 40, 40, weights={"resnet50": "b"})
    assert judge(CLAIM, {"MLSL": mine, "SLSL": other}).verdict == "not run"
    for weights in ({"resnet50": "a", "googlenet": "c"}, {"googlenet": "c"}, {}):
        assert judge(CLAIM, {"MLSL": mine, "SLSL": row(40, 40, 40, weights=weights)}).verdict == "reproduced"


def test_records_that_tell_how_they_round_are_paired_by_that_and_not_by_the_processors_name():
    """Two processors are both called "AMD EPYC, 2 cores"; the records of one of them do not say how it rounds."""
    named = {"processor": "AMD EPYC, 2 cores"}
    runs = {"MLSL": row(50, 50, 50, **named), "SLSL": row(40, 40, 40, arithmetic="3368", **named)}
    assert not judge(CLAIM, runs).differences[0].paired
    assert judge(CLAIM, {name: row(*v, arithmetic="3368", **named) for name, v in
                         {"MLSL": (50, 50, 50), "SLSL": (40, 40, 40)}.items()}).differences[0].paired  # fmt: skip


def test_rows_of_two_processors_are_two_independent_samples():
    runs = {"MLSL": row(50, 52, 51), "SLSL": row(40, 43, 41, 44, arithmetic="7645")}
    verdict = judge(CLAIM, runs)
    (pair,) = verdict.differences
    spread = np.var([50, 52, 51], ddof=1) / 3, np.var([40, 43, 41, 44], ddof=1) / 4
    freedom = sum(spread) ** 2 / (spread[0] ** 2 / 2 + spread[1] ** 2 / 3)  # Welch and Satterthwaite
    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(spread))
    assert (pair.mean, pair.high) == (pytest.approx(9), pytest.approx(9 + half))
    assert pair.texts[2] == "4, unpaired" and verdict.verdict == "reproduced" and verdict.left_out == 0
    both = {"MLSL": row(50, 52, 51), "SLSL": [*row(40, 43, 41), *row(10, 10, 10, arithmetic="7645")]}
    assert judge(CLAIM, both).differences[0].paired, "where pairs are to be had, pairs speak"
    assert judge(CLAIM, {**runs, "SLSL": runs["SLSL"][:2]}).verdict == "not run"


def test_what_is_of_another_origin_is_left_out_and_counted():
    own = [record(3, 90, arithmetic="7645")]
    verdict = judge(CLAIM, {"MLSL": row(50, 50.1, 50) + own, "SLSL": row(40, 40, 40, 40)})
    assert verdict.differences[0].seeds == (0, 1, 2) and verdict.left_out == 1
    assert "1 of other origin left out" in verdict_table([verdict]).data
    assert "left out" not in verdict_table([judge(CLAIM, {"MLSL": row(1, 2, 3), "SLSL": row(1, 2, 3)})]).data


def test_the_group_with_most_common_seeds_speaks():
    cuda = {"device": "cuda"}
    runs = {
        "MLSL": row(50, 50.1, 50) + row(30, 30, 30, 30.1, **cuda),
        "SLSL": row(40, 40, 40) + row(40, 40, 40, 40, **cuda),
    }
    verdict = judge(CLAIM, runs)
    assert (verdict.verdict, verdict.device, len(verdict.differences[0].seeds)) == ("contradicted", "cuda", 4)


def test_margin_counts_on_its_dataset_alone():
    claim = Claim("Table 3", "by more than 4", "MLSL", "SLSL", "top1", margin=4, margin_dataset="VeRi-776")
    points = {"MLSL": (43, 43.1, 42.9), "SLSL": (40, 40, 40)}
    elsewhere = judge(claim, {name: row(*values) for name, values in points.items()})
    printed = judge(claim, {name: row(*values, name="VeRi-776") for name, values in points.items()})
    assert (elsewhere.verdict, elsewhere.margin) == ("reproduced", 0)
    assert (printed.verdict, printed.margin) == ("open", 4)


def test_data_that_only_bear_a_releases_name_meet_no_margin_and_no_claim_of_it():
    foreign = {"name": "VeRi-776", "deviations": ["train has 2 images, the release 37,778"]}
    runs = {"MLSL": row(42, 42.1, 41.9, **foreign), "SLSL": row(40, 40, 40, **foreign)}
    printed = {"margin": 4, "margin_dataset": "VeRi-776"}
    verdict = judge(Claim("t", "s", "MLSL", "SLSL", "mAP", **printed), runs)
    assert (verdict.margin, verdict.verdict) == (0, "reproduced")
    assert "VeRi-776 here is not the release: train has 2 images" in verdict_table([verdict]).data
    assert judge(Claim("t", "s", "MLSL", "SLSL", "mAP", dataset="VeRi-776"), runs).verdict == "not run"
    release = {
        name: [record(r.seed, 100 * r.scores["mAP"], name="VeRi-776") for r in row] for name, row in runs.items()
    }
    verdict = judge(Claim("t", "s", "MLSL", "SLSL", "mAP", dataset="VeRi-776", **printed), release)
    assert (verdict.margin, verdict.verdict, verdict.foreign) == (4, "open", "")


def test_best_of_several():
    claim = Claim("Table 6", "absolute is best", "abs", ("euclid", "mult"), "top1")
    top, low, high, noisy = row(50, 50.1, 49.9), row(40, 40, 40), row(60, 60, 60), row(30, 50, 70)
    assert judge(claim, {"abs": top, "euclid": low, "mult": low}).verdict == "reproduced"
    assert judge(claim, {"abs": top, "euclid": low, "mult": noisy}).verdict == "open"
    assert judge(claim, {"abs": top, "euclid": low, "mult": high}).verdict == "contradicted"
    assert judge(claim, {"abs": top, "euclid": low}).verdict == "not run"
    assert judge(claim, {"abs": top, "mult": high}).verdict == "contradicted"


def test_staleness_follows_the_records_that_were_used():
    fresh, stale = row(40, 40, 40), row(50, 50, 50.1, freshness="stale")
    assert judge(CLAIM, {"MLSL": stale, "SLSL": fresh}).stale
    unused = [*row(50, 50, 50.1), record(9, 50, freshness="stale")]
    assert not judge(CLAIM, {"MLSL": unused, "SLSL": fresh}).stale
    unverified = judge(CLAIM, {"MLSL": row(50, 50, 50.1, freshness="unverified"), "SLSL": fresh})
    assert unverified.freshness == "unverified" and not unverified.stale


def test_two_records_of_one_seed_are_refused():
    with pytest.raises(ValueError, match="two records of seed 0"):
        judge(CLAIM, {"MLSL": [record(0, 1), record(0, 2)], "SLSL": []})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"worse": ()}, "at least one row"),
        ({"worse": "MLSL"}, "other than"),
        ({"metric": "top0"}, "metric = 'top0'"),
        ({"margin": 4}, "margin_dataset"),
        ({"margin": -1, "margin_dataset": "x"}, "must be 0"),
    ],
)
def test_malformed_claims_are_refused(fields, message):
    given_fields = {"source": "T", "statement": "s", "better": "MLSL", "worse": "SLSL", "metric": "mAP", **fields}
    with pytest.raises(ValueError, match=message):
        Claim(**given_fields)


def test_score_in_points():
    one = record(0, 40)
    one.scores = {"mAP": 0.4, "top1": 0.5, "cmc": [0.5, 0.75]}
    assert (score(one, "mAP"), score(one, "top1"), score(one, "top2")) == (40, 50, 75)
    with pytest.raises(KeyError, match="top3"):
        score(one, "top3")


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12))
def test_interval_is_scipys(values):
    mean, half = interval(values)
    spread = float(np.std(values, ddof=1))
    assert mean == pytest.approx(sum(values) / len(values), abs=1e-9)
    if spread > 1e-6:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=stats.sem(values))
        assert (mean - half, mean + half) == pytest.approx((low, high), abs=1e-6)
    else:
        assert half < 1e-4


@given(st.lists(st.floats(0, 100), min_size=3, max_size=8), st.floats(-50, 50))
def test_interval_moves_with_its_values(values, shift):
    (mean, half), (moved, moved_half) = interval(values), interval([value + shift for value in values])
    assert moved == pytest.approx(mean + shift, abs=1e-6) and moved_half == pytest.approx(half, abs=1e-6)


def test_interval_of_one_and_none():
    assert interval([3.0]) == (3.0, None)
    for bad in ([], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="finite"):
            interval(bad)


def test_table_says_it_in_words_and_escapes():
    claim = Claim("Table <7>", "0.5 & best", "0.5", ("0", "0.9"), "mAP")
    verdicts: list[Verdict] = [
        judge(claim, {"0.5": row(50, 50, 50.1, freshness="stale"), "0": row(40, 40, 40), "0.9": row(60, 60, 60)}),
        judge(CLAIM, {}),
    ]
    page = verdict_table(verdicts).data
    words = (
        "contradicted",
        "✗",
        "not run",
        "–",
        "stale records",
        "Table &lt;7&gt;",
        "0.5 &amp; best",
        "+10.0",
        "−10.0",
    )
    for part in words:
        assert part in page
    assert page.count('scope="row"') == 2 and 'rowspan="2"' in page and "0 of 3" in page


def test_a_printed_rival_is_beaten_on_its_own_dataset_alone():
    claim = Claim("Table 9", "leads", "MLSL", "FACT", "800 top1", dataset="VehicleID", printed=70.0)
    runs = {"MLSL": row(72, 73, 74, name="VehicleID")}
    for one in runs["MLSL"]:
        one.tests = {"800": one.scores}
    (pair,) = judge(claim, runs).differences
    # 2, 3, 4 above the printed score: mean 3, half-width 2.48414
    assert (pair.mean, pair.low, pair.word) == (pytest.approx(3), pytest.approx(3 - 2.48414, abs=1e-4), "reproduced")
    assert "FACT (printed 70)" in verdict_table([judge(claim, runs)]).data
    assert judge(claim, {"MLSL": row(72, 73, 74)}).verdict == "not run", "another dataset"


def test_a_score_of_one_test_among_several():
    several = SimpleNamespace(scores={"mAP": 0.5}, tests={"large retrieval": {"mAP": 0.25, "cmc": [0.125]}})
    assert score(several, "large retrieval mAP") == 25 and score(several, "large retrieval top1") == 12.5
    with pytest.raises(KeyError, match="small mAP.*large retrieval"):
        score(several, "small mAP")


def test_gains_are_compared_seed_by_seed():
    """Gains of b over a are 10, 11, 9 points; of c over b 1 each; of d over c 19, 18, 20."""
    runs = {"a": row(30, 40, 50), "b": row(40, 51, 59), "c": row(41, 52, 60), "d": row(60, 70, 80)}
    claim = Claim("Table 4", "b makes the largest gain", gain("b", "a"), (gain("c", "b"), gain("d", "c")), "mAP")
    verdict = judge(claim, runs)
    assert [(pair.mean, pair.word) for pair in verdict.differences] == [
        (pytest.approx(9), "reproduced"), (pytest.approx(-9), "contradicted")
    ]  # fmt: skip
    assert verdict.verdict == "contradicted" and "b minus a" in verdict_table([verdict]).data
    assert judge(claim, {**runs, "a": runs["a"][:2]}).verdict == "not run"
    assert judge(claim, {**runs, "a": row(30, 40, 50, freshness="stale")}).stale


@pytest.mark.parametrize(
    ("middle", "word"),
    [((40.5, 50.6, 60.4), "reproduced"), ((43.0, 53.1, 62.9), "contradicted"), ((40.2, 52.0, 60.9), "open")],
)
def test_what_changes_slightly_stays_within_its_bound(middle, word):
    """The range of three rows: of a, b and c the first is always lowest, and the second highest."""
    runs = {"a": row(40, 50, 60), "b": row(*middle), "c": row(40.1, 50.1, 60.1)}
    rows = ["a", "b", "c"]
    verdict = judge(Claim("§4", "hardly any change", best(rows), worst(rows), "mAP", within=1.0), runs)
    (pair,) = verdict.differences
    assert verdict.verdict == word and verdict.margin == 1.0 and pair.seeds == (0, 1, 2)
    assert pair.mean == pytest.approx(np.mean(middle) - 50)
    assert pair.low >= 0 or word == "open"


def test_a_bound_on_a_change_stands_alone():
    for fields in ({"within": 0.0}, {"within": 1.0, "margin": 2.0, "margin_dataset": "VehicleID"}):
        with pytest.raises(ValueError, match="must be above 0, without margin"):
            Claim("§4", "hardly any change", "a", "b", "mAP", **fields)
