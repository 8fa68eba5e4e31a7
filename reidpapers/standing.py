"""Where features stand in a world before anything is learnt: ``python -m reidlib standing --seeds 0 1 2``.

Each world's rows are one small file of the results: what a colour histogram, ImageNet's features as they are, who knows
colour and type, or model and colour, and the ideal observer score by VeRi-776's rule. Gates and tables read them by
:mod:`reidpapers.show.standing`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from reidlib import models
from reidlib.data.images import open_store
from reidlib.places import write_atomically
from reidpapers.digest import code_digest
from reidpapers.run import datasets, evaluate_run, fit, imagenet, provenance
from reidpapers.run.config import STUDY, Config
from reidpapers.run.evaluate_run import Trained
from reidpapers.show.standing import START, path_of
from reidpapers.vehicles import bounds, rendered

CODE = "reidpapers.standing"


def write(preset: str, worlds: Sequence[int], show: Callable[[str], None] = print) -> None:
    """Look worlds over and write what was found; those whose file is of today's code and data are left as they are."""
    for seed in worlds:
        config = Config(profile="study", preset=preset, seed=seed).canonical()
        path, digest = path_of(preset, seed), datasets.load(config.source).digest
        if path.is_file():
            there = json.loads(path.read_text(encoding="utf-8"))
            if (there["digest"], there["code"]) == (digest, code_digest(CODE)):
                continue
        found = look_over(config)
        write_atomically(path, json.dumps({"digest": digest, **found}, indent=1) + "\n")
        show(
            f"{preset}, world {seed}: " + ", ".join(f"{name} {100 * s['mAP']:.1f}" for name, s in found["rows"].items())
        )


def look_over(config: Config) -> dict[str, Any]:
    """The rows of a world, the share of matching pairs that see a common mark, and where all this was computed."""
    dataset, world = datasets.load(config.source), rendered.world(config.preset, config.data_seed)
    trunk = models.build(STUDY["backbone"], pretrained=True, image_size=config.image_size)
    trained = Trained(config, trunk, dataset, open_store(dataset, config.image_size))
    untaught = fit.among_alike(trained)
    common, observers = bounds.bounds(world)
    rows = {name: {"mAP": round(scores.mAP, 6), "top1": round(scores.top(1), 6)} for name, scores in observers.items()}
    return {
        "preset": config.preset,
        "world": config.data_seed,
        "rows": {START: untaught["whole"], f"{START}, among like vehicles": untaught["alike"], **rows},
        "common_marks": round(common, 6),
        "weights": imagenet.origins(config) or {},
        "device": evaluate_run.device_fields("cpu"),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
        "code": code_digest(CODE),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
