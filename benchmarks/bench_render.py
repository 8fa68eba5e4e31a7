"""How many images a second one core renders: ``python -m benchmarks.bench_render``."""

from __future__ import annotations

import time

from reidpapers.vehicles import rendered
from reidpapers.vehicles.render import Preset, Share, draw, plan

PRESET = Preset("bench", Share(40, 320, 160, 8, even=True), Share(20, 160, 80, 8, even=True), sizes=(64, 64))
ROUNDS, IMAGES = 5, 80


def main() -> None:
    """Draw and encode pictures of 64 pixels on one core; the median of several rounds."""
    scenes = [plan(PRESET, 0).scene(number) for number in range(IMAGES)]
    rates = {"drawn": [], "drawn and encoded": []}
    for scene in scenes[:10]:
        draw(scene)
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for scene in scenes:
            draw(scene)
        rates["drawn"].append(IMAGES / (time.perf_counter() - begun))
        begun = time.perf_counter()
        for scene in scenes:
            picture, mask = draw(scene)
            rendered.encode(picture, "JPEG", quality=rendered.QUALITY)
            rendered.encode(mask, "PNG")
        rates["drawn and encoded"].append(IMAGES / (time.perf_counter() - begun))
    for what, found in rates.items():
        print(f"{what:28} {sorted(found)[ROUNDS // 2]:6.0f} images a second and core at 64 px (at least 80)")


if __name__ == "__main__":
    main()
