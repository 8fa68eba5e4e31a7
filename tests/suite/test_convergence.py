"""How a loss term falls, by hand; and what DRDL and C2F-Rank say of it."""

import math
from types import SimpleNamespace

import pytest

from reidpapers.c2f_rank import tables as c2f_rank
from reidpapers.drdl import tables as drdl
from reidpapers.show import convergence
from reidpapers.show.convergence import Convergence, half_way, remaining, roughness


def run(values, seed=0):
    return SimpleNamespace(
        history={"fine": values}, seed=seed, device={"type": "cpu"}, data={"digest": "d"}, weights={}
    )


def test_measures_by_hand():
    falling = run([4.0, 3.0, 2.0, 1.0])
    assert half_way(falling, "fine") == 50 and roughness(falling, "fine") == 25 and remaining(falling, "fine") == 25
    flat = run([2.0] * 10)
    assert half_way(flat, "fine") == 100 and roughness(flat, "fine") == 0 and remaining(flat, "fine") == 100


def test_one_low_value_in_a_long_noisy_history_is_not_half_the_way():
    values = [1.0] * 100
    values[30] = 0.1
    assert half_way(run(values), "fine") == 100  # means of five: 0.82 at least
    values[30:35] = [0.1] * 5
    assert half_way(run(values), "fine") == pytest.approx(100 * 28 / 96)  # three of five low ones make a mean of 0.46


@pytest.mark.parametrize("slow, word", [
    (30, "reproduced"), (-30, "contradicted"), (None, "open"),
])  # fmt: skip
def test_a_sentence_is_judged_by_pairs_of_one_seed(slow, word):
    def halved_at(step, seed):
        return run([1.0] * step + [0.0] * (100 - step), seed)

    fast = [halved_at(40 + seed, seed) for seed in range(4)]
    other = [40 + seed + (slow if slow is not None else (20 if seed % 2 else -20)) for seed in range(4)]
    rows = {"fast": fast, "slow": [halved_at(step, seed) for seed, step in enumerate(other)]}
    question = Convergence("§1", "fast is faster", "fast", "slow", "fine", half_way)
    assert convergence.judge(question, rows)[0] == word
    assert convergence.judge(question, {**rows, "slow": rows["slow"][:2]}) == ("not run", "–")
    texts = convergence.facts({"fast": "fine", "none": "fine"}, [question], rows)
    assert list(texts) == ["fast: fine", "§1: fast is faster"] and word in texts["§1: fast is faster"]
    assert texts["fast: fine"].startswith("halved after")


@pytest.mark.parametrize("tables", [drdl, c2f_rank])
def test_the_papers_sentences_are_about_rows_that_log_the_term(tables):
    names = {row.name for row in tables.rows("all")}
    for question in tables.CONVERGENCE:
        assert {question.lower, question.higher} <= names & tables.TERM.keys()


def test_a_term_that_begins_at_nothing_has_no_measure_and_does_not_count():
    nothing, falling = run([0.0, 0.0, 0.0]), run([4.0, 2.0, 1.0], seed=1)
    assert all(math.isnan(measure(nothing, "fine")) for measure in (half_way, roughness, remaining))
    texts = convergence.facts({"row": "fine"}, (), {"row": [nothing, falling]})
    assert texts == convergence.facts({"row": "fine"}, (), {"row": [falling]})
    assert "–%" in convergence.facts({"row": "fine"}, (), {"row": [nothing]})["row: fine"]
    question = Convergence("§1", "it falls", "low", "high", "fine", remaining)
    assert convergence.judge(question, {"low": [nothing] * 3, "high": [falling] * 3}) == ("not run", "–")
