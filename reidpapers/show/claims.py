"""Claims of a paper, and what is found of them: :mod:`reidpapers.show.measure` measures, ``judgement`` makes words.

Everything here is in *points*: percent of a score, so that a printed "more than 4 points" is ``margin=4``.
Records store scores as fractions; :func:`score` is where they become points.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np
from IPython.display import HTML
from scipy import stats

from reidpapers.run import imagenet
from reidpapers.run.records import Record
from reidpapers.show.templates import macros

Word = Literal["reproduced", "contradicted", "no difference", "open", "not testable here", "not run"]
MARKS: Mapping[str, str] = {
    "reproduced": "✓", "contradicted": "✗", "no difference": "=", "open": "≈", "not testable here": "∅", "not run": "–",
}  # fmt: skip
ANSWERS: Mapping[Word, str] = {"reproduced": "yes", "contradicted": "no"}  # to what this suite asks and no paper says
LEVEL = 0.05  # of two-sided tests, over all statements of a paper together
LEAST = 1.0  # points: a smaller difference is none
# The darkest reading wins: a verdict is no fresher than the least fresh record behind it.
FRESHNESS = ("fresh", "fresh by probe", "unverified", "stale")
MIN_SEEDS = 3
MIN_WORLDS = 5  # replicates, where each has a world of its own
K = TypeVar("K")
Origin = tuple[str, str, str]  # device type, how it rounds, the data or what their worlds share


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
        by: the words of the statement that say the margin; where it is not tested, they are not said.
        within: for what should differ little instead: by less than so many points, as the best and the worst of a
            sweep. Seeds' own noise widens such a range, so that it is never 0.
        replicates: from how many on it is measured; None: :data:`MIN_WORLDS`, or :data:`MIN_SEEDS` in a single world.

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
    by: str = ""
    dataset: str | None = None
    printed: float | None = None
    within: float | None = None
    replicates: int | None = None

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

    ``mean``, ``low`` and ``high`` are nan below :data:`MIN_SEEDS` common seeds, or :data:`MIN_WORLDS` worlds. Where the
    two rows were computed on two kinds of processor, ``paired`` is False and the seeds are those of each: rounding
    sends the same seed another way there, so the rows are two independent samples (Welch's interval). ``above`` and
    ``below`` are one-sided p-values: for a difference above the margin, and for one below zero. The first ``ours`` of
    the records are the better row's.
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
    above: float = 1.0
    below: float = 1.0
    ours: int = 0

    @property
    def measured(self) -> bool:
        """Whether there were enough seeds for a difference."""
        return bool(np.isfinite(self.mean))

    @property
    def sides(self) -> tuple[tuple[Record, ...], ...]:
        """The records of either row, those that there are."""
        return tuple(filter(None, (self.records[: self.ours], self.records[self.ours :])))

    @property
    def texts(self) -> tuple[str, str, str]:
        """Difference, interval and seeds as a table shows them."""
        if not self.measured:
            least = MIN_WORLDS if any("worlds" in record.data for record in self.records) else MIN_SEEDS
            return "–", "–", f"{len(self.seeds)} of {least}"
        mean, low, high = (signed(value) for value in (self.mean, self.low, self.high))
        return mean, f"{low} to {high}", f"{len(self.seeds)}" + ("" if self.paired else ", unpaired")


@dataclass(frozen=True)
class Verdict:
    """A claim, what our runs say about it, and how far they can be trusted.

    Attributes:
        claim: the claim.
        verdict: the word; until it is judged beside a paper's other statements, the one it would have alone.
        differences: one for each row to beat, in the claim's order.
        margin: the margin that was tested, in points: the printed one on the printed dataset, else 0; or by less than
            how much a score should change.
        device: type of the device the records come from; None where nothing could be paired.
        dataset: name of the records' dataset; None where nothing could be paired.
        freshness: the least fresh word among the records used; "fresh" where there are none.
        left_out: records of its rows that are of another origin than those that were paired.
        foreign: in what the records' data are not the release whose name they bear; empty where they are.
        primary: whether it is the measure that decides on its statement; the others only stand beside it.
        reason: why the statement is not testable here; empty otherwise.
        p: two-sided, corrected for the paper's number of statements.
        asked: whether it is this suite that asks, and no paper that claims.
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
    primary: bool = True
    reason: str = ""
    p: float = 1.0
    asked: bool = False

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
        """One character for the word, see :data:`MARKS`."""
        return MARKS[self.verdict]

    @property
    def said(self) -> str:
        """The word; to a question of ours yes or no, where the statement would be reproduced or contradicted."""
        return ANSWERS.get(self.verdict, self.verdict) if self.asked else self.verdict

    @property
    def statement(self) -> str:
        """What is said; with the words for a margin only where that was tested."""
        by = self.claim.by if self.margin and self.claim.margin else ""
        return f"{self.claim.statement}, {by}" if by else self.claim.statement


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

    Where each seed has a world of its own, the worlds must be of one kind here, and :func:`common` sees to it that a
    record is only paired with one of its own world.

    Processors of one name may round differently, so a record tells by a digest how its own does; one from before that
    was noted is only paired with others of that name that lack it too.
    """
    rounds = record.device.get("arithmetic") or f"unknown of {record.device.get('name')}"
    return record.device["type"], rounds, record.data.get("worlds") or record.data["digest"]


def by_place(records: Iterable[Record]) -> dict[tuple[int, Origin], Record]:
    """Records by seed and origin, in which two rows may be paired."""
    return {(record.seed, origin(record)): record for record in records}


def common(mine: Mapping[K, Record], theirs: Mapping[K, Record]) -> set[K]:
    """Seeds, or what else two rows' records go by, where both have one of the same data and ImageNet weights."""
    return {key for key in mine.keys() & theirs.keys() if _alike(mine[key], theirs[key])}


def _alike(mine: Record, theirs: Record) -> bool:
    """Whether two records are of the same data, and no trunk began with other weights."""
    return mine.data["digest"] == theirs.data["digest"] and imagenet.agree(mine.weights, theirs.weights)


def tally(verdicts: Sequence[Verdict]) -> str:
    """How many statements there are of each word, as a sentence."""
    deciding = sorted((one for one in verdicts if one.primary), key=lambda one: list(MARKS).index(one.verdict))
    words = [verdict.said for verdict in deciding]
    counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    return f"{len(words)} statement{'s' if len(words) != 1 else ''}: {counts}."


def verdict_table(verdicts: Sequence[Verdict], caption: str = "Claims and verdicts") -> HTML:
    """The verdicts as an HTML table: word and mark, statement, each paired difference with its interval and seeds."""
    return HTML(macros("verdicts.j2").table(verdicts, caption, one_reason(verdicts)))


def one_reason(verdicts: Iterable[Verdict]) -> str:
    """Why all statements that are not testable here are so, where it is the same for all; it is then said once."""
    reasons = {verdict.reason for verdict in verdicts if verdict.reason}
    return reasons.pop() if len(reasons) == 1 else ""
