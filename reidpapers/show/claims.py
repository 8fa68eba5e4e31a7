"""Claims of a paper, judged by paired differences over seeds.

Everything here is in *points*: percent of a score, so that a printed "more than 4 points" is ``margin=4``.
Records store scores as fractions; :func:`score` is where they become points.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal, TypeVar

import numpy as np
from IPython.display import HTML
from scipy import stats

from reidpapers.run import imagenet
from reidpapers.run.records import Record
from reidpapers.run.release import not_the_release
from reidpapers.show.sides import rows_of, value_of
from reidpapers.show.templates import macros

Word = Literal["reproduced", "contradicted", "inconclusive", "not run"]
MARKS: Mapping[str, str] = {"reproduced": "✓", "contradicted": "✗", "inconclusive": "≈", "not run": "–"}
# The darkest reading wins: a verdict is no fresher than the least fresh record behind it.
FRESHNESS = ("fresh", "fresh by probe", "unverified", "stale")
MIN_SEEDS = 3
K = TypeVar("K")
Origin = tuple[str, str, str]  # device type, how it rounds, dataset digest
ByOrigin = Mapping[Origin, Mapping[int, Record]]  # a row's records
Rows = Mapping[str, Mapping[int, Record]]  # one origin's records by row and seed


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper that a measurement can bear out or not.

    Attributes:
        source: where the paper says it: "Table 3", "§V-A3".
        statement: what it says, in a sentence.
        better: the row that should score higher; or what several rows amount to, see :mod:`reidpapers.show.sides`.
        worse: the row it should beat, or several of them for "best of …".
        metric: ``mAP`` or ``top<k>``, or one of a certain test, ``800 top1``; ``accuracy`` of a verification.
        dataset: name of the only dataset that the claim is about; None: whichever is at hand.
        printed: the rival's score as the paper prints it, in points, where the rival has no runs of its own.
        margin: by more than how many points; tested on ``margin_dataset`` alone, 0 on any other data.
        margin_dataset: the name of the dataset that the margin was printed for.
        within: for what should differ little instead: by less than so many points, as the best and the worst of a
            sweep. Seeds' own noise widens such a range, so that it is never 0.

    Raises:
        ValueError: no row to beat, a row compared with itself, an unknown metric, a negative margin, a margin
            without its dataset, or both a margin and ``within``.
    """

    source: str
    statement: str
    better: str
    worse: str | tuple[str, ...]
    metric: str
    margin: float = 0.0
    margin_dataset: str | None = None
    dataset: str | None = None
    printed: float | None = None
    within: float | None = None

    def __post_init__(self) -> None:
        where = f"claim {self.statement!r} ({self.source})"
        if not self.rivals or self.better in self.rivals:
            raise ValueError(f"{where}: worse = {self.worse!r} must name at least one row other than {self.better!r}")
        if not re.fullmatch(r"(\S.* )?(mAP|top[1-9]\d*|accuracy|purity)", self.metric):
            raise ValueError(
                f"{where}: metric = {self.metric!r} is refused: allowed are mAP, accuracy, purity, top1, top2, …, "
                "with a test's name before it where there are several"
            )
        if self.printed is not None and (self.dataset is None or len(self.rivals) > 1):
            raise ValueError(f"{where}: printed = {self.printed} needs its dataset and a single rival")
        if self.margin < 0 or (self.margin > 0 and self.margin_dataset is None):
            raise ValueError(f"{where}: margin = {self.margin} must be 0, or above 0 with a margin_dataset")
        if self.within is not None and (self.within <= 0 or self.margin or self.printed is not None):
            raise ValueError(f"{where}: within = {self.within} must be above 0, without margin and printed rival")

    @property
    def rivals(self) -> tuple[str, ...]:
        """The rows to beat, always as a tuple."""
        return (self.worse,) if isinstance(self.worse, str) else tuple(self.worse)

    @property
    def measure(self) -> str:
        """The metric as it is written: "800 Top-1"."""
        return metric_name(self.metric)


@dataclass(frozen=True)
class Difference:
    """``better − worse`` over the seeds that both rows share, in points, with its 95% interval.

    ``mean``, ``low`` and ``high`` are nan below :data:`MIN_SEEDS` common seeds. Where the two rows were computed on two
    kinds of processor, ``paired`` is False and the seeds are those of each: rounding sends the same seed another way
    there, so the rows are two independent samples (Welch's interval).
    """

    better: str
    worse: str
    mean: float
    low: float
    high: float
    seeds: tuple[int, ...]
    word: Word
    paired: bool = True
    records: tuple[Record, ...] = field(default=(), repr=False, compare=False)

    @property
    def measured(self) -> bool:
        """Whether there were enough seeds for a difference."""
        return bool(np.isfinite(self.mean))

    @property
    def texts(self) -> tuple[str, str, str]:
        """Difference, interval and seeds as a table shows them."""
        if not self.measured:
            return "–", "–", f"{len(self.seeds)} of {MIN_SEEDS}"
        mean, low, high = (signed(value) for value in (self.mean, self.low, self.high))
        return mean, f"{low} to {high}", f"{len(self.seeds)}" + ("" if self.paired else ", unpaired")


@dataclass(frozen=True)
class Verdict:
    """A claim, what our runs say about it, and how far they can be trusted.

    Attributes:
        claim: the claim.
        verdict: the word.
        differences: one for each row to beat, in the claim's order.
        margin: the margin that was tested, in points: the printed one on the printed dataset, else 0; or by less than
            how much a score should change.
        device: type of the device the records come from; None where nothing could be paired.
        dataset: name of the records' dataset; None where nothing could be paired.
        freshness: the least fresh word among the records used; "fresh" where there are none.
        left_out: records of its rows that are of another origin than those that were paired.
        foreign: in what the records' data are not the release whose name they bear; empty where they are.
    """

    claim: Claim
    verdict: Word
    differences: tuple[Difference, ...]
    margin: float
    device: str | None
    dataset: str | None
    freshness: str
    left_out: int = 0
    foreign: str = ""

    @property
    def stale(self) -> bool:
        """Whether code changed under any record used, so that the verdict may be about other code than today's."""
        return self.freshness == "stale"

    @property
    def doubtful(self) -> bool:
        """Whether a record used is stale or not verified, which a reader must know."""
        return self.freshness not in FRESHNESS[:2]

    @property
    def mark(self) -> str:
        """One character for the word: ✓, ✗, ≈ or –."""
        return MARKS[self.verdict]


def metric_name(metric: str) -> str:
    """A metric as it is written: ``top5`` of the test "large" is "large Top-5"."""
    return " ".join(re.sub(r"^top(\d+)$", r"Top-\1", word) for word in metric.split())


def signed(value: float, decimals: int = 1) -> str:
    """A number with its sign, the minus a true one."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def score(record: Record, metric: str) -> float:
    """One score of a record in points, 0 to 100: ``mAP``, ``top<k>`` from its CMC, or ``<test> <metric>``.

    Raises:
        KeyError: the record has no such score.
    """
    test, _, plain = metric.rpartition(" ")
    scores = record.tests.get(test, {}) if test else record.scores
    if plain in scores:
        return 100.0 * float(scores[plain])
    rank = re.fullmatch(r"top([1-9]\d*)", plain)
    if rank is None or int(rank[1]) > len(scores.get("cmc", ())):
        names = [*record.scores, *(f"{name} …" for name in getattr(record, "tests", {}))]
        raise KeyError(f"no score {metric!r} in a record: it has {', '.join(names)}")
    return 100.0 * float(scores["cmc"][int(rank[1]) - 1])


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and half-width of the two-sided 95% t-interval of independent draws; None for the width of one draw.

    Raises:
        ValueError: no values, or one that is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"an interval needs at least one finite value, not {values.tolist()!r}")
    if len(values) == 1:
        return float(values[0]), None
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(stats.t.ppf(0.975, len(values) - 1) * error)


def origin(record: Record) -> Origin:
    """What two records must share for their difference to be the method's: where and on which data they were computed.

    Processors of one name may round differently, so a record tells by a digest how its own does; one from before that
    was noted is only paired with others of that name that lack it too.
    """
    rounds = record.device.get("arithmetic") or f"unknown of {record.device.get('name')}"
    return record.device["type"], rounds, record.data["digest"]


def by_place(records: Iterable[Record]) -> dict[tuple[int, Origin], Record]:
    """Records by seed and origin, in which two rows may be paired."""
    return {(record.seed, origin(record)): record for record in records}


def judge(claim: Claim, runs: Mapping[str, Sequence[Record]]) -> Verdict:
    """The verdict on a claim from the records of each row.

    Differences are paired by seed, within one :func:`origin`: a record is never paired with one of another processor,
    device or dataset, nor one whose trunk began with other ImageNet weights than the same trunk of the other's. Where
    several origins hold all rows, the one with the most common seeds speaks, and what it leaves out is counted. Two
    rows that no processor has both of are compared without pairs. At least :data:`MIN_SEEDS` seeds are needed. What is
    claimed of a dataset is held against its release alone. A claim over several rows is reproduced if every pair is,
    contradicted if any is.

    Args:
        claim: the claim.
        runs: records by row name; a missing row is a row without runs.

    Raises:
        ValueError: two records of one row share seed and origin, so that pairing would be a choice.
    """
    groups = {
        name: _grouped(name, [run for run in runs.get(name, ()) if _is_about(claim, run)])
        for side in (claim.better, *claim.rivals) for name in rows_of(side)
    }  # fmt: skip
    first = rows_of(claim.better)[0]
    group = max(sorted(groups[first]), key=lambda group: _support(claim, _of_group(groups, group)), default=None)
    rows = _of_group(groups, group)
    dataset = next((record.data["name"] for record in rows[first].values()), None)
    foreign = next(filter(None, map(not_the_release, rows[first].values())), "")
    margin = claim.within or (claim.margin if dataset == claim.margin_dataset and not foreign else 0.0)
    pairs = tuple(_difference(claim, rival, rows, margin) for rival in claim.rivals)
    left_out = sum(len(by_seed) for by_group in groups.values() for by_seed in by_group.values())
    left_out -= sum(map(len, rows.values()))
    if claim.printed is None and left_out and not any(pair.measured for pair in pairs):
        apart = [_unpaired(claim, rival, groups, margin) for rival in claim.rivals]
        pairs, left_out = (tuple(apart), 0) if all(pair.measured for pair in apart) else (pairs, left_out)
    used = [record for pair in pairs for record in pair.records]
    worst = max((record.freshness for record in used), key=FRESHNESS.index, default="fresh")
    where = (used[0].device["type"], dataset) if used else (None, None)
    return Verdict(claim, _together(pairs), pairs, margin, *where, worst, left_out, foreign if used else "")


def _is_about(claim: Claim, record: Record) -> bool:
    """Whether a claim is about a record's data: any, or the release of the claim's dataset."""
    return claim.dataset is None or (claim.dataset == record.data["name"] and not not_the_release(record))


def _grouped(row: str, records: Iterable[Record]) -> dict[Origin, dict[int, Record]]:
    """One row's records by origin, then by seed."""
    groups: dict[Origin, dict[int, Record]] = defaultdict(dict)
    for record in records:
        group = origin(record)
        if record.seed in groups[group]:
            where = f"seed {record.seed} on {group[0]} {group[1]}, data {group[2][:12]}"
            raise ValueError(f"row {row!r} has two records of {where}: pass one of them")
        groups[group][record.seed] = record
    return dict(groups)


def _of_group(groups: Mapping[str, ByOrigin], group: Origin | None) -> Rows:
    return {name: by_group.get(group, {}) for name, by_group in groups.items()}  # type: ignore[call-overload]


def _support(claim: Claim, rows: Rows) -> tuple[int, int]:
    """How many seeds a group's rows have in common for the claim's weakest pair, then over all pairs."""
    shared = [len(_seeds((claim.better, rival), rows)) for rival in claim.rivals]
    return min(shared), sum(shared)


def _seeds(sides: Iterable[str], rows: Rows) -> set[int]:
    """Seeds that all rows behind some sides have in common."""
    first, *others = [rows[name] for side in sides for name in rows_of(side)]
    return set(first).intersection(*(common(first, other) for other in others))


def common(mine: Mapping[K, Record], theirs: Mapping[K, Record]) -> set[K]:
    """Seeds, or what else two rows' records go by, where both have one, and no trunk began with other weights."""
    return {key for key in mine.keys() & theirs.keys() if imagenet.agree(mine[key].weights, theirs[key].weights)}


def _difference(claim: Claim, rival: str, rows: Rows, margin: float) -> Difference:
    """One pair of sides: mean difference, interval and word."""
    sides = (claim.better,) if claim.printed is not None else (claim.better, rival)
    seeds = tuple(sorted(_seeds(sides, rows)))
    used = tuple(rows[name][seed] for side in sides for name in rows_of(side) for seed in seeds)
    if len(seeds) < MIN_SEEDS:
        return Difference(claim.better, rival, np.nan, np.nan, np.nan, seeds, "not run", records=used)

    def points(side: str, seed: int) -> float:
        return value_of(side, [score(rows[name][seed], claim.metric) for name in rows_of(side)])

    beaten = {s: points(rival, s) if claim.printed is None else claim.printed for s in seeds}
    mean, half = interval([points(claim.better, s) - beaten[s] for s in seeds])
    low, high = mean - half, mean + half
    return Difference(claim.better, rival, mean, low, high, seeds, _word(claim, low, high, margin), records=used)


def _unpaired(claim: Claim, rival: str, groups: Mapping[str, ByOrigin], margin: float) -> Difference:
    """Two rows of one device type and dataset, but of two processors: Welch's interval."""
    places = [
        ((), ()),
        *((tuple(mine.values()), tuple(theirs.values()))
          for a, mine in groups.get(claim.better, {}).items() for b, theirs in groups.get(rival, {}).items()
          if (a[0], a[2]) == (b[0], b[2]) and _begin_alike(mine.values(), theirs.values())),
    ]  # fmt: skip
    mine, theirs = max(places, key=lambda place: min(map(len, place)))
    seeds = tuple(sorted({record.seed for record in (*mine, *theirs)}))
    if min(len(mine), len(theirs)) < MIN_SEEDS:
        return Difference(claim.better, rival, np.nan, np.nan, np.nan, seeds, "not run", paired=False)
    first, second = ([score(record, claim.metric) for record in row] for row in (mine, theirs))
    mean = float(np.mean(first) - np.mean(second))
    low, high = mean, mean
    if np.ptp(first) or np.ptp(second):
        low, high = map(float, stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95))
    word = _word(claim, low, high, margin)
    return Difference(claim.better, rival, mean, low, high, seeds, word, False, (*mine, *theirs))


def _begin_alike(mine: Iterable[Record], theirs: Iterable[Record]) -> bool:
    return all(imagenet.agree(first.weights, second.weights) for first, second in product(mine, theirs))


def _word(claim: Claim, low: float, high: float, margin: float) -> Word:
    """The word on an interval."""
    if claim.within:
        return "reproduced" if high < margin else "contradicted" if low > margin else "inconclusive"
    return "reproduced" if low > margin else "contradicted" if high < 0 else "inconclusive"


def _together(pairs: Sequence[Difference]) -> Word:
    """The word on several pairs: one contradiction decides, then a missing pair, then the weakest."""
    words = {pair.word for pair in pairs}
    order: tuple[Word, ...] = ("contradicted", "not run", "inconclusive", "reproduced")
    return next(word for word in order if word in words)


def tally(verdicts: Sequence[Verdict]) -> str:
    """How many verdicts there are of each word, as a sentence."""
    counts = {word: sum(verdict.verdict == word for verdict in verdicts) for word in MARKS}
    return f"{len(verdicts)} comparisons: " + ", ".join(f"{count} {word}" for word, count in counts.items()) + "."


def verdict_table(verdicts: Sequence[Verdict], caption: str = "Claims and verdicts") -> HTML:
    """The verdicts as an HTML table: word and mark, statement, each paired difference with its interval and seeds."""
    return HTML(macros("verdicts.j2").table(verdicts, caption))
