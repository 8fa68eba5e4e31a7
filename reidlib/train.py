"""The one training loop: learning-rate schedule, mixed precision, checkpoint and resume.

A step's batch and dropout come from (seed, stage, step) alone, so a checkpoint is the network, the optimizer and the
number of steps done; a resumed run ends with the same weights as an undisturbed one.
"""

from __future__ import annotations

import ctypes
import io
import math
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reidlib import parallel
from reidlib.places import write_atomically

Objective = Callable[[nn.Module, Any], dict[str, Tensor]]
CHECKPOINTS = 20  # a run, so that a kill costs at most a twentieth of it
CHECKPOINT_STEPS = 500  # but no more than this many steps


@dataclass(frozen=True)
class Schedule:
    """Learning rate at each step.

    Attributes:
        iterations: length of training, ≥ 0 steps; 0 leaves a network as it is.
        rate: initial (highest) learning rate.
        drops: steps from which on the rate is multiplied by ``factor`` once more.
        factor: of each drop.
        warmup: steps over which the rate rises linearly from 0.
        cosine: fall along half a cosine to 0 instead of dropping.
    """

    iterations: int
    rate: float
    drops: tuple[int, ...] = ()
    factor: float = 0.1
    warmup: int = 0
    cosine: bool = False

    def __call__(self, step: int) -> float:
        """The rate of step number ``step``, counted from 0.

        >>> [Schedule(8, 1.0, drops=(4, 6))(step) for step in (0, 4, 7)]
        [1.0, 0.1, 0.010000000000000002]
        """
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        if self.cosine:
            share = (step - self.warmup) / max(1, self.iterations - self.warmup)
            return self.rate * 0.5 * (1 + math.cos(math.pi * share))
        return self.rate * self.factor ** sum(step >= drop for drop in self.drops)


def _same(stamp: Mapping[str, Any]) -> bool:
    del stamp
    return True


@dataclass(frozen=True)
class Checkpoint:
    """Where a training saves its state now and then, and resumes.

    Attributes:
        path: of the file; the caller removes it when all is done.
        stamp: saved with the state, such as which code is at work; plain values.
        fits: whether a state of an earlier training may be gone on with, by its stamp.
    """

    path: Path
    stamp: Mapping[str, Any] = field(default_factory=dict)
    fits: Callable[[Mapping[str, Any]], bool] = _same


@dataclass
class History:
    """What happened at each step: every term of the loss; and how many steps came from a checkpoint."""

    terms: list[str] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)  # [len(terms)] a step, on the training device
    resumed: int = 0

    @torch.no_grad()
    def append(self, losses: Mapping[str, Tensor]) -> None:
        self.terms = list(losses)
        self.values.append(torch.stack([value.float() for value in losses.values()]))

    def table(self) -> Tensor:
        """``[steps, terms]`` on the CPU."""
        return torch.stack(self.values).cpu() if self.values else torch.empty(0, len(self.terms))


def train(
    network: nn.Module,
    objective: Objective,
    weights: Mapping[str, float],
    batches: Callable[[int], Any],
    schedule: Schedule,
    *,
    optimizer: str = "adam",
    weight_decay: float | None = None,
    seed: int = 0,
    precision: str = "float32",
    checkpoint: Checkpoint | None = None,
    progress: Callable[[int], None] = lambda steps: None,
    watch: Callable[[int, nn.Module], None] | None = None,
) -> History:
    """Train a network in place.

    Args:
        network: on its device.
        objective: ``(network, batch) → {term: value}``.
        weights: factor of each term in the total; its names must be the objective's.
        batches: batch number ``step``.
        schedule: learning rate and length.
        optimizer: ``adam`` or ``adamw`` (β₁ = 0.9, β₂ = 0.999), or ``sgd`` (momentum 0.9).
        weight_decay: its weight decay; None: torch's default for the optimizer.
        seed: of dropout.
        precision: ``float32``, or ``bfloat16`` for the forward pass.
        checkpoint: what to resume from if it is there, and where to save now and then.
        progress: called with the number of steps done since its last call.
        watch: called after each backward pass, for probes and for several processes.

    Raises:
        FloatingPointError: the loss stopped being finite; the message names the step.
        ValueError: the objective's terms are not those of ``weights``.
    """
    adapt = _optimizer(optimizer, network, weight_decay)
    history = History()
    first = history.resumed = _resume(checkpoint, network, adapt, history)
    progress(first)
    device = next(network.parameters()).device
    every = min(CHECKPOINT_STEPS, max(1, schedule.iterations // CHECKPOINTS))
    network.train()
    if device.type == "cpu":
        _keep_memory()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        for step in range(first, schedule.iterations):
            for group in adapt.param_groups:
                group["lr"] = schedule(step)
            _seed(seed * 1_000_003 + step, device)  # dropout's draws
            batch = batches(step)
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                losses = objective(network, batch)
            _check_terms(losses, weights)
            total = sum(weights[term] * value for term, value in losses.items())
            adapt.zero_grad()
            total.backward()  # type: ignore[union-attr]
            if watch:
                watch(step, network)
            adapt.step()
            history.append({"total": total, **losses})  # type: ignore[dict-item]
            progress(1)
            if (step + 1) % every == 0 or step + 1 == schedule.iterations:
                _check_finite(history, step)
                if checkpoint and parallel.is_main():
                    _save(checkpoint, step + 1, network, adapt, history)
    return history


def _seed(number: int, device: torch.device) -> None:
    """As ``torch.manual_seed``, without its tenth of a millisecond for devices that are not there."""
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)


def _keep_memory() -> None:
    """Have the C library keep freed memory: to take each tensor's pages anew costs a tenth of a step, or more."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None:
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: never give the heap's end back
        mallopt(-3, 2**30) or mallopt(-3, 2**25)  # M_MMAP_THRESHOLD: tensors lie in the heap; older ones cap it


def _optimizer(name: str, network: nn.Module, weight_decay: float | None) -> torch.optim.Optimizer:
    betas, momentum = {"betas": (0.9, 0.999)}, {"momentum": 0.9}
    kinds = {
        "adam": (torch.optim.Adam, betas),
        "adamw": (torch.optim.AdamW, betas),
        "sgd": (torch.optim.SGD, momentum),
    }
    if name not in kinds:
        raise ValueError(f"optimizer = {name!r} is refused: allowed are {', '.join(kinds)}")
    kind, options = kinds[name]
    decay = {} if weight_decay is None else {"weight_decay": weight_decay}
    return kind(network.parameters(), **options, **decay, fused=True)  # type: ignore[arg-type]


def _check_terms(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
    if losses.keys() != weights.keys():
        raise ValueError(f"loss terms {sorted(losses)} are not those weighted: {sorted(weights)}")


def _check_finite(history: History, step: int) -> None:
    finite = torch.stack(history.values[-CHECKPOINT_STEPS:]).isfinite().all(1)
    if not finite.all():
        bad = step + 1 - len(finite) + int((~finite).nonzero()[0])
        raise FloatingPointError(f"the loss is not finite at step {bad}; a lower learning rate may help")


def _save(
    checkpoint: Checkpoint, step: int, network: nn.Module, adapt: torch.optim.Optimizer, history: History
) -> None:
    """Write a checkpoint all at once: a kill leaves the previous one."""
    state = {"step": step, "network": network.state_dict(), "optimizer": adapt.state_dict()}
    state |= {"terms": history.terms, "values": history.table(), "stamp": dict(checkpoint.stamp)}
    save_atomically(state, checkpoint.path)


def save_atomically(state: Any, path: Path) -> None:
    """``torch.save`` to a file that is either complete or not there."""
    content = io.BytesIO()  # torch hides the reason why a file cannot be written
    torch.save(state, content)
    write_atomically(path, content.getbuffer())


def load_saved(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """What :func:`save_atomically` wrote; None where there is nothing, or nothing that can be read, which is named."""
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # what a cut file raises depends on where it was cut
        warnings.warn(
            f"{path} cannot be read ({type(error).__name__}): it counts as absent, and is made again", stacklevel=2
        )
        return None


def _resume(checkpoint: Checkpoint | None, network: nn.Module, adapt: torch.optim.Optimizer, history: History) -> int:
    """Load a checkpoint if there is one that fits; the number of steps already done."""
    device = next(network.parameters()).device
    state = load_saved(checkpoint.path, device) if checkpoint else None
    if state is None:
        return 0
    if not checkpoint.fits(state["stamp"]):  # type: ignore[union-attr]
        warnings.warn(f"{checkpoint.path} was left by other code: training begins anew", stacklevel=3)  # type: ignore[union-attr]
        return 0
    network.load_state_dict(state["network"])
    adapt.load_state_dict(state["optimizer"])
    history.terms = state["terms"]
    history.values = list(state["values"].to(device))
    return state["step"]
