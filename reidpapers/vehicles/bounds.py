"""What a world of the street lets anyone know: side data of its pictures, and how well ideal observers would do.

An observer who knows model and colour ranks all vehicles of the same kind first, ties broken by chance. The ideal
observer also knows every mark that a picture shows: where query and gallery picture show a common mark he is sure, and
where one shows a mark on a side that the other shows without it, he knows that they differ.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from reidlib.data.images import open_store
from reidlib.evaluate import protocols
from reidlib.evaluate.metrics import Scores
from reidpapers.vehicles import rendered
from reidpapers.vehicles.render.street.image import pixels_seen
from reidpapers.vehicles.render.street.vehicles import FITTING, StreetVehicle
from reidpapers.vehicles.rendered import World

PIXELS = 8  # from which on a mark counts as seen
DRAWS = 5  # of the chance that breaks ties
VIEWS = ("front", "front-side", "side", "rear-side", "rear")
EDGES = (0.92, 0.38, -0.38, -0.92)  # cosines of the angle between heading and camera at which views part


def viewpoints(world: World) -> np.ndarray:
    """From where each image of a plan shows its vehicle, ``[N]`` names of :data:`VIEWS`."""
    plan = world.plan
    eye = np.array([camera.position for camera in plan.cameras])[plan.camera]
    x, y, c, s = plan.place.T
    dx, dy = eye[:, 0] - x, eye[:, 1] - y
    ahead = (c * dx + s * dy) / np.sqrt(dx * dx + dy * dy)
    return np.array(VIEWS)[(ahead[:, None] < np.array(EDGES)).sum(1)]


def seen(world: World, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of each mark ``[N, 32]`` and of each side ``[N, 5]`` on some images of a plan, by their numbers.

    Raises:
        ValueError: the world is not of the street, so that its marks are not counted.
    """
    if world.preset.style != "street":
        raise ValueError(f"preset {world.preset.name}: marks are counted in presets of style 'street' only")
    parts = [pixels_seen(world.plan.scene(int(number))) for number in numbers]
    return np.stack([marks for marks, _ in parts]), np.stack([sides for _, sides in parts])


def side_data(world: World, images: pd.Series, pixels: float = PIXELS) -> pd.DataFrame:
    """Viewpoint, light and visible marks of some images.

    Args:
        world: of the street.
        images: their names.
        pixels: from how many pixels on a mark counts as visible.

    Returns:
        A frame with ``image``, ``viewpoint``, ``light`` and ``marks``, a tuple of (number, what it is).
    """
    numbers = np.array([world.numbers[image] for image in images])
    marks, _ = seen(world, numbers)
    shown = [
        tuple(
            (int(k), _named(world.plan.vehicles[world.plan.vehicle[number]], int(k))) for k in np.flatnonzero(row) if k
        )
        for number, row in zip(numbers, marks >= pixels, strict=True)
    ]
    lights = [world.plan.scene(int(number)).camera.light for number in numbers]
    return pd.DataFrame(
        {"image": list(images), "viewpoint": viewpoints(world)[numbers], "light": lights, "marks": shown}
    )


def _named(vehicle: StreetVehicle, number: int) -> str:
    """What a mark is, by its number."""
    return "fitting" if number == FITTING else vehicle.marks[number - 1].kind


def bounds(world: World, pixels: float = PIXELS) -> tuple[float, dict[str, Scores]]:
    """The share of query–match pairs that see a common mark, and the scores of observers by what they know.

    Args:
        world: of the street.
        pixels: from how many pixels on a mark counts as seen.

    Returns:
        The share, 0 to 1; and the scores of "colour histogram", "colour and type", "model and colour" and "ideal
        observer".
    """
    dataset = rendered.load(world.preset, world.seed, world.paint_jitter)
    table = dataset.manifest.rows("query", "gallery")
    numbers = np.array([world.numbers[image] for image in table["image"]])
    distinct, where = np.unique(numbers, return_inverse=True)
    marks, sides = (values[where] >= pixels for values in seen(world, distinct))
    marks[:, 0] = False
    query, gallery = ((table["split"] == split).to_numpy() for split in ("query", "gallery"))
    common, levels = _known(world, table, numbers, marks, sides, query, gallery)
    store = open_store(dataset, 64)
    scores = {"colour histogram": protocols.evaluate("veri", histograms(store, table), table)}
    for name, columns in (("colour and type", ["color", "type"]), ("model and colour", ["model", "color"])):
        kind = table[columns].agg("/".join, axis=1).to_numpy()
        scores[name] = observer(table, (kind[query][:, None] == kind[gallery]).astype(np.float32))
    scores["ideal observer"] = observer(table, levels)
    return common, scores


def _known(world, table, numbers, marks, sides, query, gallery) -> tuple[float, np.ndarray]:
    """Share of matching pairs with a common mark, and how alike the ideal observer finds each pair, ``[Q, G]``."""
    owner = world.plan.vehicle[numbers]
    kind = table[["model", "color"]].agg("/".join, axis=1).to_numpy()
    carried = np.stack([_carriers(vehicle.marks) for vehicle in world.plan.vehicles])[owner]  # [N, 32, 5]
    camera = table["camera_id"].to_numpy()
    q, g = np.flatnonzero(query), np.flatnonzero(gallery)
    levels = np.zeros((len(q), len(g)), np.float32)
    common = pairs = 0
    for row, one in enumerate(q):
        alike = np.flatnonzero(kind[g] == kind[one])
        others = g[alike]
        same = owner[others] == owner[one]
        shared = (marks[others] & marks[one]).any(1) & same
        mine = (carried[one][marks[one]].any(0) & sides[others]).any(1) | marks[one, FITTING]
        theirs = ((carried[others] & marks[others][..., None]).any(1) & sides[one]).any(1) | marks[others, FITTING]
        levels[row, alike] = np.where(shared, 3, np.where(~same & (mine | theirs), 1, 2))
        counted = same & (camera[others] != camera[one])
        common, pairs = common + int((shared & counted).sum()), pairs + int(counted.sum())
    return common / max(pairs, 1), levels


def _carriers(marks: tuple) -> np.ndarray:
    """Which sides carry each mark, bool ``[32, 5]``."""
    carried = np.zeros((32, 5), bool)
    for number, mark in enumerate(marks[: FITTING - 1]):
        carried[number + 1, list(mark.panels)] = True
    return carried


def observer(table: pd.DataFrame, levels: np.ndarray) -> Scores:
    """Scores of one who finds pairs alike as ``levels`` ``[Q, G]`` say, ties broken by chance (mean of some draws)."""
    rows = torch.arange(len(table), dtype=torch.float32)[:, None]
    chance = torch.Generator().manual_seed(0)
    alike = torch.from_numpy(levels)

    def draw() -> Scores:
        noise = torch.rand(alike.shape, generator=chance)
        far = 4 - alike + 0.9 * noise
        return protocols.evaluate("veri", rows, table, distance=lambda query, gallery: lambda part: far[part].clone())

    return Scores.averaged([draw() for _ in range(DRAWS)])


def histograms(store, table: pd.DataFrame, bins: int = 6) -> Tensor:
    """Square roots of the shares of colours in the middle of each image, ``[N, bins³]``."""
    pixels = store.pixels[store.places(table).numpy()]
    inner = pixels[:, pixels.shape[1] // 6 : -(pixels.shape[1] // 6), pixels.shape[2] // 6 : -(pixels.shape[2] // 6)]
    cell = (inner.astype(np.int64) * bins // 256).reshape(len(inner), -1, 3)
    code = (cell[..., 0] * bins + cell[..., 1]) * bins + cell[..., 2]
    counts = np.stack([np.bincount(row, minlength=bins**3) for row in code])
    return torch.from_numpy(np.sqrt(counts / counts.sum(1, keepdims=True)).astype(np.float32))
