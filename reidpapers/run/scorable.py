"""Whether a test can be scored at all: told from labels alone, before hours are spent on a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reidlib.data.manifest import Dataset, Manifest, Test
from reidlib.evaluate.metrics import Relevance
from reidlib.evaluate.protocols import PROTOCOLS, needs


def unscorable(dataset: Dataset, tests: Sequence[Test] | None = None) -> list[str]:
    """Why test sets cannot be scored, whatever a network learns, a sentence for each such set.

    Args:
        dataset: whose labels.
        tests: some test sets; None: its own.
    """
    problems = {test.name: _problem(test, dataset.manifest) for test in (dataset.tests if tests is None else tests)}
    return [f"{f'test set {name}: ' if name else ''}{problem}" for name, problem in problems.items() if problem]


def matchless(relevance: Relevance) -> str | None:
    """Why none of the queries has a match that counts, or None where one has.

    Example:
        >>> matchless(Relevance([1, 2], [1, 3], [5, 6], [5, 7]))
        'of 2 queries 1 have no gallery image of their vehicle, and for 1 all of these are junk (by their own camera)'
    """
    own = _shared(relevance.query, relevance.gallery)
    sides = (relevance.query, relevance.query_junk), (relevance.gallery, relevance.gallery_junk)
    span = 1 + max(int(np.max(junk)) for _, junk in sides)  # type: ignore[arg-type]
    junk = _shared(*(np.where((code < 0) | (other < 0), -1, code * span + other) for code, other in sides))  # type: ignore[operator]
    if (own > junk).any():
        return None
    return (
        f"of {len(own):,} queries {int((own == 0).sum()):,} have no gallery image of their vehicle, and for "
        f"{int((own > 0).sum()):,} all of these are junk (by their own camera)"
    )


def _shared(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """How many gallery items have each query's code, ``[Q]``; none a negative one."""
    ordered = np.sort(gallery)
    first, last = (np.searchsorted(ordered, query, side) for side in ("left", "right"))
    return np.where(query < 0, 0, last - first)


def _problem(test: Test, manifest: Manifest) -> str | None:
    """Why a test set cannot be scored, or None."""
    if test.protocol == "verification":
        for role, pairs in (("pairs", test.pairs), ("threshold pairs", test.threshold_pairs)):
            if pairs is None or pairs["same"].nunique() < 2:
                return f"its {role} are not of both kinds, of one model and of two"
        return None
    table, rule = manifest.rows(*needs(test)), PROTOCOLS[test.protocol]
    try:
        tasks = [task for rules in (rule.tasks, rule.cmc_tasks) if rules for task in rules(table[test.rows(table)])]
    except ValueError as error:
        return str(error)
    problem = next(filter(None, (matchless(task.relevance) for task in tasks)), None)
    return f"protocol {test.protocol!r} scores nothing: {problem}" if problem else None
