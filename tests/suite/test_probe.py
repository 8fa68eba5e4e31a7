"""Two probes are the same: within the tolerance here, within what rounding can do on another processor."""

import pytest

from reidpapers.mlsl.paper import PAPER
from reidpapers.run.probe import SPREAD, Stamp, difference

# What today's code gives: plain, then nudged three times. The second loss answers to rounding, the first does not.
NOW = [{"loss": [1.0, 2.0], "rate": [0.1]}, {"loss": [1.0, 2.02], "rate": [0.1]}, {"loss": [1.0, 1.99], "rate": [0.1]},
       {"loss": [1.0, 2.01], "rate": [0.1]}]  # fmt: skip


def differs(loss, arithmetic="other", rate=(0.1,)):
    calls = []
    part = difference(
        Stamp("code", {"loss": list(loss), "rate": list(rate)}, arithmetic),
        "here",
        lambda nudge: calls.append(nudge) or NOW[nudge],
    )
    return part, calls


@pytest.mark.parametrize("arithmetic", ["here", "other", None])
def test_equal_probes_are_replayed_once(arithmetic):
    assert differs((1.0, 2.0), arithmetic) == (None, [0])
    assert differs((1.00005, 2.0), arithmetic) == (None, [0]), "within the tolerance"


def test_on_the_same_processor_nothing_but_the_tolerance_counts():
    assert differs((1.0, 2.001), "here") == ("loss", [0])


def test_on_another_processor_a_value_may_go_as_far_as_rounding_takes_it():
    assert differs((1.0, 2.0 + 0.99 * SPREAD * 0.02)) == (None, [0, 1, 2, 3])
    assert differs((1.0, 2.0 + 1.01 * SPREAD * 0.02))[0] == "loss"
    assert differs((1.001, 2.0))[0] == "loss", "a value that rounding leaves alone is held as tightly as here"
    assert differs((1.0, 2.0), rate=(0.1001,))[0] == "rate"


@pytest.mark.parametrize("loss", [(1.0,), (1.0, 2.0, 3.0)])
def test_a_part_of_another_length_differs(loss):
    assert differs(loss) == ("loss", [0])


def test_a_nudge_moves_what_is_trained_by_a_rounding_error_and_is_repeatable():
    config, data = PAPER.Config(profile="smoke", learning="feature"), {"identities": 5}
    plain, nudged = (PAPER.probe(config, data, nudge) for nudge in (0, 1))
    assert nudged == PAPER.probe(config, data, 1) != PAPER.probe(config, data, 2)
    assert nudged["feature rate"] == plain["feature rate"] and nudged["scores"] == plain["scores"]
    assert nudged["feature loss"] != plain["feature loss"]
    assert nudged["feature loss"][0] == pytest.approx(plain["feature loss"][0], rel=1e-4)
