"""The suite on a GPU: the papers' own sizes, the evaluator and k-reciprocal encoding, at most eight minutes in all.

Run with ``python -m benchmarks.on_gpu``. Random pictures and random weights: nothing is rendered or downloaded.

* For each paper, at profile ``paper``: the loss terms of three steps on eight images beside the CPU's, with the same
  initial weights and batches, without dropout (whose draws differ) and without TF32; then for what is left of a
  minute the training loop against forward, backward and step alone, images a second, and memory.
* The evaluator and k-reciprocal encoding at VeRi-776's size: scores beside the CPU's, and time over that of the matrix
  products.

``--device cpu --profile smoke`` runs the same where there is no GPU, in seconds.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import torch

from benchmarks import bench_evaluator, bench_rerank
from benchmarks.bench_evaluator import CASES, Case
from benchmarks.scenes import alternate, blocks_within, scene
from reidlib.evaluate import metrics, protocols, rerank
from reidpapers.run.config import Config
from reidpapers.run.papers import PAPERS, load

SECONDS = 60  # a paper, its comparison with the CPU among them
STEPS = 3  # that are compared
BLOCK = 2  # steps between two looks at the clock
# The first step is one forward pass; what follows an update of the weights may lie farther off.
FIRST, LATER = 1e-3, 5e-2
# The longest stage of each paper, from its own initial weights.
STAGES = {
    "mlsl": {"init": "scratch"}, "drdl": {}, "c2f_rank": {"init": "scratch"}, "agnet": {},
    "multiguided": {"learning": "extractor", "extractor": "res50"},
}  # fmt: skip
SMALL = Case(60, 200, vehicles=20, cameras=6, pairs=1, least=0.0, aim=0.0)


def configuration(name: str, profile: str, device: str) -> Config:
    """A paper's longest stage, from random weights."""
    return load(name).Config(profile=profile, pretrained=False, device=device, **STAGES[name])


@contextmanager
def comparable() -> Iterator[None]:
    """No dropout, and convolutions in float32 throughout."""
    with (
        mock.patch.object(torch.nn.functional, "dropout", lambda values, *args, **kwargs: values),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
    ):
        yield


def terms(name: str, profile: str, device: str) -> torch.Tensor:
    """The loss terms of a paper's first steps on eight images, ``[steps, terms]``."""
    paper = load(name)
    config = paper.tiny(configuration(name, profile, device).canonical())
    with comparable():
        return scene(paper, config, vehicles=16, each=4).train(STEPS)


def apart(here: torch.Tensor, there: torch.Tensor) -> tuple[float, float]:
    """The largest relative difference of two series of terms in the first step, and in the later ones."""
    far = (here - there).abs() / torch.maximum(here.abs(), there.abs()).clamp(min=1e-6)
    return far[0].max().item(), far[1:].max().item()


def trained(name: str, profile: str, device: str, seconds: float) -> bool:
    """Print a paper's line; whether its losses are the CPU's."""
    begun = time.perf_counter()
    first, later = apart(terms(name, profile, "cpu"), terms(name, profile, device))
    same = first <= FIRST and later <= LATER
    words = f"losses {first:.0e} from the CPU's at first, {later:.0e} later: {'same' if same else 'NOT THE SAME'}"
    paper, config = load(name), configuration(name, profile, device)
    _forget(device)
    try:
        stage = scene(paper, config)
        left = seconds - (time.perf_counter() - begun)
        bare, whole, ratios = alternate(stage, blocks_within(stage, left, BLOCK), BLOCK)
        words = (
            f"{paper.batch_size(config):4d} images of {config.image_size}  bare {bare:7.1f}/s  whole {whole:7.1f}/s  "
            f"ratio {statistics.median(ratios):.3f}  {_memory(device)}  {words}"
        )
    except torch.cuda.OutOfMemoryError:
        words = f"a batch of {paper.batch_size(config)} does not fit; {words}"
    print(f"  {name:12} {words}  ({time.perf_counter() - begun:.0f} s)", flush=True)
    return same


def evaluated(device: str, case: Case) -> bool:
    """Print the evaluator's time over that of one matrix product; whether its scores are the CPU's."""
    table = bench_evaluator.labels(case)
    values = bench_evaluator.features(table)
    there = values.to(device)
    product = _fastest(lambda: torch.mm(there[: case.queries], there[case.queries :].T), device)
    own = _fastest(lambda: protocols.evaluate("veri", there, table), device)
    here, found = (protocols.evaluate("veri", features, table).mAP for features in (values, there))
    same = abs(here - found) <= 1e-5
    print(
        f"  evaluator    {case.queries:,} x {case.gallery:,}: {own:.3f} s, the product {product:.3f} s, ratio "
        f"{product / own:.2f}  {_memory(device)}  mAP {found:.6f}, the CPU's {here:.6f}: {_word(same)}",
        flush=True,
    )
    return same


def reranked(device: str, case: Case) -> bool:
    """Print k-reciprocal encoding's time over that of its matrix products; whether its distances are the CPU's."""
    with mock.patch.object(bench_rerank, "CASE", case):
        query, gallery = bench_rerank.features(bench_evaluator.labels(case))
    there = query.to(device), gallery.to(device)
    every = torch.cat(there)
    product = _fastest(lambda: every @ every.T, device)
    own = _fastest(lambda: rerank.mean_distance(rerank.k_reciprocal(*there), len(query)), device)
    rows = slice(0, min(64, len(query)))
    here, found = rerank.k_reciprocal(query, gallery)(rows), rerank.k_reciprocal(*there)(rows).cpu()
    # Neighbours that are equally far up to rounding may change places, so a few pairs may differ.
    share = ((here - found).abs() > 1e-4).double().mean().item()
    same = share < 1e-3 and metrics.euclidean(*there)(rows).device == there[0].device
    print(
        f"  k-reciprocal {len(query):,} + {len(gallery):,}: {own:.3f} s, the product {product:.3f} s  "
        f"{_memory(device)}  {share:.1e} of the distances differ from the CPU's: {_word(same)}",
        flush=True,
    )
    return same


def _fastest(call: Callable[[], object], device: str) -> float:
    """Seconds of the fastest of three calls, when the device is done."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return min(times)


def _forget(device: str) -> None:
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _memory(device: str) -> str:
    return f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if device == "cuda" else "(memory: CUDA's alone)"


def _word(same: bool) -> str:
    return "same" if same else "NOT THE SAME"


def main(arguments: list[str] | None = None) -> int:
    """Print every figure; 1 if something is not as on the CPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--profile", default="paper", choices=["paper", "smoke"])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="a paper")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here: --device cpu --profile smoke runs the same on the CPU")
        return 1
    name = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"
    print(f"{name}, PyTorch {torch.__version__}, profile {given.profile}")
    case = CASES["VeRi-776"] if given.profile == "paper" else SMALL
    same = [trained(paper, given.profile, given.device, given.seconds) for paper in PAPERS]
    _forget(given.device)
    same += [evaluated(given.device, case), reranked(given.device, case)]
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
