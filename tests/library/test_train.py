"""The training loop: schedules by hand, a resumed run equal to an undisturbed one bit by bit, and clear refusals."""

import math

import pytest
import torch
from torch import nn

from reidlib.train import Checkpoint, History, Schedule, train

PLAN = Schedule(12, 1e-2, warmup=2, cosine=True)


class Killed(Exception):
    """Stands for anything that ends a process."""


def network():
    """Linear layers, dropout and batch normalisation: weights, buffers and a random layer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3)
        )


def batches(step):
    generator = torch.Generator().manual_seed(step)
    return torch.randn((16, 6), generator=generator), torch.randint(0, 3, (16,), generator=generator)


def objective(net, batch):
    output = net(batch[0])
    return {"class": nn.functional.cross_entropy(output, batch[1]), "size": output.square().mean()}


WEIGHTS = {"class": 1.0, "size": 0.25}


def trained(schedule=PLAN, **options):
    net = network()
    history = train(net, objective, WEIGHTS, options.pop("feed", batches), schedule, **options)
    return net, history


def same(first, second):
    """Equal bit by bit: weights, running statistics, counters."""
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(one == other and torch.equal(a, b) for (one, a), (other, b) in pairs)


def test_drops():
    schedule = Schedule(48, 1e-3, drops=(24, 36))
    rates = [schedule(step) for step in (0, 23, 24, 35, 36, 47)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    assert Schedule(10, 1.0, drops=(5,), factor=0.5)(7) == 0.5


def test_warmup_and_cosine():
    schedule = Schedule(20, 2.0, warmup=4, cosine=True)
    assert [schedule(step) for step in range(4)] == pytest.approx([0.5, 1.0, 1.5, 2.0])
    assert schedule(4) == pytest.approx(2.0)
    assert schedule(12) == pytest.approx(1.0), "half way down"
    assert schedule(16) == pytest.approx(1 + math.cos(math.pi * 0.75))
    rates = [schedule(step) for step in range(4, 20)]
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < 0.05


def test_a_constant_rate():
    assert {Schedule(5, 0.3)(step) for step in range(5)} == {0.3}


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_the_steps_are_the_textbook_ones(optimizer):
    net, history = trained(optimizer=optimizer)
    plain, rows = network().train(), []
    adapt = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer](plain.parameters(), betas=(0.9, 0.999))
    with torch.random.fork_rng():
        for step in range(PLAN.iterations):
            torch.manual_seed(step)
            adapt.param_groups[0]["lr"] = PLAN(step)
            terms = objective(plain, batches(step))
            total = terms["class"] + 0.25 * terms["size"]
            adapt.zero_grad()
            total.backward()
            adapt.step()
            rows.append([total.item(), terms["class"].item(), terms["size"].item()])
    assert history.terms == ["total", "class", "size"]
    torch.testing.assert_close(history.table(), torch.tensor(rows))
    for found, wanted in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_it_learns():
    _, history = trained(Schedule(150, 1e-2), feed=lambda step: batches(0))
    loss = history.table()[:, 0]
    assert loss[-10:].mean() < 0.8 * loss[:10].mean()


def test_twice_is_the_same_and_another_seed_is_not():
    (first, log), (second, again) = trained(), trained()
    assert same(first, second) and torch.equal(log.table(), again.table())
    assert not torch.equal(trained(seed=1)[1].table(), log.table()), "the seed rules dropout"


@pytest.mark.parametrize("killed_at", [1, 4, 7, 11])
def test_a_resumed_run_equals_an_undisturbed_one(tmp_path, killed_at):
    whole, log = trained()
    checkpoint, steps = tmp_path / "deep" / "run.pt", []

    def feed(step):
        if step == killed_at:
            raise Killed
        return batches(step)

    with pytest.raises(Killed):
        trained(feed=feed, checkpoint=Checkpoint(checkpoint))
    torch.manual_seed(12345)  # another process has another random state
    resumed, again = trained(checkpoint=Checkpoint(checkpoint), progress=steps.append)
    assert same(whole, resumed)
    assert again.terms == log.terms and torch.equal(again.table(), log.table())
    assert steps[0] == killed_at, "twelve steps are few enough to save each"
    assert sum(steps) == PLAN.iterations
    assert [path.name for path in checkpoint.parent.iterdir()] == ["run.pt"]


def test_a_finished_run_is_not_trained_again(tmp_path):
    whole, log = trained(checkpoint=Checkpoint(tmp_path / "run.pt"))
    again, table = trained(checkpoint=Checkpoint(tmp_path / "run.pt"), feed=lambda step: pytest.fail("trained again"))
    assert same(whole, again) and torch.equal(log.table(), table.table())


def test_a_checkpoint_is_written_at_least_every_twentieth(tmp_path):
    saved = []

    def watch(step, net):
        saved.append(torch.load(tmp_path / "run.pt")["step"] if (tmp_path / "run.pt").exists() else 0)

    trained(Schedule(100, 1e-3), checkpoint=Checkpoint(tmp_path / "run.pt"), watch=watch)
    assert max(step - done for step, done in enumerate(saved)) < 5


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path):
    def feed(step):
        images, labels = batches(step)
        return (images * math.nan if step == 33 else images), labels

    with pytest.raises(FloatingPointError, match="at step 33"):
        trained(Schedule(100, 1e-3), feed=feed, checkpoint=Checkpoint(tmp_path / "run.pt"))
    assert torch.load(tmp_path / "run.pt")["step"] <= 33, "no checkpoint holds what was spoiled"


@pytest.mark.parametrize(
    "weights", [{"class": 1.0}, {"class": 1.0, "size": 1.0, "colour": 1.0}, {"class": 1.0, "sise": 1.0}]
)
def test_terms_without_a_weight_are_refused(weights):
    with pytest.raises(ValueError, match=r"\['class', 'size'\] are not those weighted"):
        train(network(), objective, weights, batches, PLAN)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match="'rmsprop' is refused: allowed are adam, adamw, sgd"):
        trained(optimizer="rmsprop")


def test_the_callers_random_state_is_untouched():
    torch.manual_seed(99)
    before = torch.get_rng_state()
    trained()
    assert torch.equal(torch.get_rng_state(), before)


def test_watch_sees_the_gradients_of_each_step():
    seen = []
    trained(watch=lambda step, net: seen.append((step, float(net[0].weight.grad.norm()))))
    assert [step for step, _ in seen] == list(range(12)) and all(norm > 0 for _, norm in seen)


def test_bfloat16_is_near_float32_and_keeps_float32_weights():
    net, log = trained(precision="bfloat16")
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    exact = trained()[1].table()
    assert not torch.equal(log.table(), exact)
    torch.testing.assert_close(log.table()[0], exact[0], rtol=0.05, atol=0.02)


def test_an_empty_history_is_a_table():
    assert History().table().shape == (0, 0)
