"""Which vehicle passes which camera when, and how each picture is framed: all labels, no pixel.

Everything is drawn from the preset and one seed, in whole arrays, so that the labels of 50,000 pictures take a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reidpapers.vehicles.render.cameras import Camera, distances, sample_camera
from reidpapers.vehicles.render.catalogue import BY_NAME, COLORS, MODELS
from reidpapers.vehicles.render.image import Scene, mesh_of, project
from reidpapers.vehicles.render.vehicles import Vehicle, sample_marks

# Streams of chance, kept apart from those of the pictures, which are numbered from 0.
STREAM = {"cameras": 1_000_000_001, "vehicles": 1_000_000_002, "tracks": 1_000_000_003, "frames": 1_000_000_004}
# Vehicles set out within so many seconds, and drive this fast between cameras and past them, metres a second.
HOUR = 3600.0
CRUISE = (7.0, 14.0)
PASSING = (5.0, 13.0)
# How many seconds lights and traffic may hold a vehicle up on its way.
DELAY = 40.0
# Share of tracks on which a vehicle turns, and half the tangent of the angle.
TURNS = 0.15
MARGIN = (0.02, 0.13)
ASPECT = (0.75, 1.33)


@dataclass(frozen=True)
class Share:
    """One side of a benchmark, training or test: counts that are met exactly.

    Attributes:
        vehicles, images, tracks, cameras: how many; a track is one vehicle passing one camera once.
        even: every vehicle has the same number of images (``images / vehicles``).
    """

    vehicles: int
    images: int
    tracks: int
    cameras: int
    even: bool = False

    def __post_init__(self) -> None:
        if not 2 * self.vehicles <= self.tracks <= min(self.images, self.vehicles * self.cameras):
            raise ValueError(
                f"{self}: tracks must be between 2 a vehicle and {self.cameras} a vehicle, at most one an image"
            )
        if self.even and self.images % self.vehicles:
            raise ValueError(f"{self}: {self.images} images cannot be shared evenly among {self.vehicles} vehicles")


@dataclass(frozen=True)
class Preset:
    """A rendered benchmark's size and difficulty.

    Attributes:
        name: for titles and folders.
        train, test: counts of each side.
        sizes: smallest and largest longer side of a camera's pictures, pixels.
        twins: mean number of vehicles that share one model and colour.
        models, colors: how many of the 27 models and 10 colours there are.
        marks: how many and how large identity marks are; 1 is usual.
        occlusion: mean share of pictures with something in the way.
    """

    name: str
    train: Share
    test: Share
    sizes: tuple[int, int]
    twins: float = 2.5
    models: int = len(MODELS)
    colors: int = len(COLORS)
    marks: float = 1.0
    occlusion: float = 0.15

    def __post_init__(self) -> None:
        if not (1 <= self.models <= len(MODELS) and 1 <= self.colors <= len(COLORS)):
            raise ValueError(f"preset {self.name}: models 1 to {len(MODELS)}, colors 1 to {len(COLORS)}")
        if not (
            self.twins >= 1
            and 0 <= self.occlusion <= 0.6
            and 0 <= self.marks <= 3
            and 16 <= self.sizes[0] <= self.sizes[1]
        ):
            raise ValueError(
                f"preset {self.name}: twins at least 1, occlusion 0 to 0.6, marks 0 to 3, sizes rising from 16"
            )

    @property
    def cameras(self) -> int:
        """How many cameras there are."""
        return max(self.train.cameras, self.test.cameras)


@dataclass(frozen=True)
class Plan:
    """All labels of a rendered benchmark; images are numbered from 0, training first.

    Attributes:
        vehicles, cameras: what there is.
        seed: the benchmark's seed, which each picture's own chance starts from.
        trained: number of training vehicles; they come first.
        vehicle, camera: ``[N]`` numbers of each image's vehicle and camera.
        time: ``[N]`` seconds.
        place: ``[N, 4]`` x, y, cosine, sine on the camera's road.
        window: ``[N, 3]`` left, top, pixels a unit; ``size``: ``[N, 2]`` height, width.
        box: ``[N, 4]`` the vehicle's x1, y1, x2, y2 in pixels.
    """

    vehicles: tuple[Vehicle, ...]
    cameras: tuple[Camera, ...]
    seed: int
    trained: int
    vehicle: np.ndarray
    camera: np.ndarray
    time: np.ndarray
    place: np.ndarray
    window: np.ndarray
    size: np.ndarray
    box: np.ndarray

    def scene(self, number: int) -> Scene:
        """What fixes the picture of one image."""
        return Scene(
            vehicle=self.vehicles[self.vehicle[number]],
            camera=self.cameras[self.camera[number]],
            place=tuple(float(v) for v in self.place[number]),
            window=tuple(float(v) for v in self.window[number]),
            size=(int(self.size[number, 0]), int(self.size[number, 1])),
            chance=(self.seed, number),
        )


@lru_cache(maxsize=8)
def plan(preset: Preset, seed: int, paint_jitter: float = 0.0) -> Plan:
    """All labels of a benchmark.

    Args:
        preset: size and difficulty.
        seed: settles everything that is drawn by lot.
        paint_jitter: above 0, each vehicle's paint is a shade of its own, by up to this share in each channel.

    Raises:
        ValueError: ``paint_jitter`` is not in 0..0.5, or the seed is negative.
    """
    if not 0 <= paint_jitter <= 0.5 or seed < 0:
        raise ValueError(f"paint_jitter {paint_jitter}: allowed are 0 to 0.5; seed {seed}: allowed are 0 and above")
    cameras = sample_cameras(preset, seed)
    vehicles = sample_vehicles(preset, seed, paint_jitter)
    tracks = _tracks(preset, seed)
    vehicle, camera, time, place = _frames(seed, tracks, vehicles, cameras)
    window, size, box = _framing(seed, vehicles, cameras, vehicle, camera, place)
    return Plan(vehicles, cameras, seed, preset.train.vehicles, vehicle, camera, time, place, window, size, box)


def sample_cameras(preset: Preset, seed: int) -> tuple[Camera, ...]:
    """The benchmark's cameras."""
    rng = np.random.default_rng([seed, STREAM["cameras"], 1])
    return tuple(sample_camera(rng, number, preset.sizes, preset.occlusion) for number in range(preset.cameras))


def camera_metres(preset: Preset, seed: int) -> np.ndarray:
    """Shortest ways by road between the cameras, ``[cameras, cameras]`` in metres."""
    return distances(np.random.default_rng([seed, STREAM["cameras"], 2]), preset.cameras)


def sample_vehicles(preset: Preset, seed: int, paint_jitter: float) -> tuple[Vehicle, ...]:
    """Training vehicles, then test vehicles; on each side several share a model and colour."""
    rng = np.random.default_rng([seed, STREAM["vehicles"], 1])
    kinds = [kind for share in (preset.train, preset.test) for kind in _kinds(rng, preset, share.vehicles)]
    vehicles = []
    for number, (model, color) in enumerate(kinds):
        own = np.random.default_rng([seed, STREAM["vehicles"], number + 2])
        shade = tuple(1 + paint_jitter * float(v) for v in own.uniform(-1, 1, 3))
        vehicles.append(Vehicle(model, color, sample_marks(own, BY_NAME[model], color, preset.marks), shade))
    return tuple(vehicles)


def _kinds(rng: np.random.Generator, preset: Preset, count: int) -> list[tuple[str, str]]:
    """(model, colour) of each vehicle: models and colours come round equally often, no pair twice before all have."""
    wanted = min(preset.models * preset.colors, max(1, round(count / preset.twins)))
    # Models are taken across the types first, so that few models still cover every type.
    order = [MODELS[3 * (i % 9) + i // 9].name for i in range(len(MODELS))][: preset.models]
    first = rng.permutation(len(order))
    colors = rng.permutation(preset.colors)
    pairs = []
    for i in range(wanted):
        lap, step = divmod(i, len(order))
        pairs.append((order[first[step]], COLORS[colors[(step + lap * 3 + lap // 10) % preset.colors]]))
    pairs = list(dict.fromkeys(pairs))
    picks = [*range(len(pairs)), *rng.integers(0, len(pairs), max(0, count - len(pairs)))]
    return [pairs[i] for i in rng.permutation(np.array(picks[:count]))]


def _tracks(preset: Preset, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vehicle, camera, start (seconds) and number of images of every track, in order of vehicles and time."""
    metres = camera_metres(preset, seed)
    columns: tuple[list, ...] = ([], [], [], [])
    for number, share in enumerate((preset.train, preset.test)):
        rng = np.random.default_rng([seed, STREAM["tracks"], number + 1])
        visits = partition(rng, share.tracks, np.full(share.vehicles, 2), np.full(share.vehicles, share.cameras))
        images = _images(rng, share, visits)
        for vehicle, (stops, counts) in enumerate(zip(visits, images, strict=True)):
            route = _route(rng, metres[: share.cameras, : share.cameras], int(stops))
            columns[0].extend([vehicle + number * preset.train.vehicles] * int(stops))
            columns[1].extend(route)
            columns[2].extend(_times(rng, metres, route))
            columns[3].extend(counts)
    return tuple(np.array(column) for column in columns)


def partition(rng: np.random.Generator, total: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whole numbers that sum to ``total``, each within its bounds, drawn by lot with uneven shares.

    Raises:
        ValueError: the bounds do not allow the total.
    """
    if not low.sum() <= total <= high.sum():
        raise ValueError(f"{total} cannot be shared: the bounds allow {low.sum()} to {high.sum()}")
    parts, weight = low.copy(), rng.integers(20, 101, len(low)).astype(np.float64)
    while (left := total - int(parts.sum())) > 0:
        open_ = np.flatnonzero(parts < high)
        order = open_[np.argsort((parts[open_] + 1) / weight[open_], kind="stable")]
        # The least served get one each, so that shares follow the weights.
        parts[order[: max(1, min(left, len(order) // 8))]] += 1
    return parts


def _images(rng: np.random.Generator, share: Share, visits: np.ndarray) -> list[np.ndarray]:
    """Images of each track of each vehicle."""
    if share.even:
        totals = np.full(share.vehicles, share.images // share.vehicles)
    else:
        totals = partition(rng, share.images, visits.copy(), visits * 40)
    least = [np.full(stops, 2 if total >= 2 * stops else 1) for stops, total in zip(visits, totals, strict=True)]
    return [
        partition(rng, int(total), low, np.full(len(low), int(total))) for total, low in zip(totals, least, strict=True)
    ]


def _route(rng: np.random.Generator, metres: np.ndarray, stops: int) -> list[int]:
    """Distinct cameras, from a random first always on to the nearest of those still to come."""
    waiting = [int(c) for c in rng.permutation(len(metres))[:stops]]
    route = [waiting.pop(0)]
    while waiting:
        route.append(waiting.pop(int(np.argmin(metres[route[-1], waiting]))))
    return route


def _times(rng: np.random.Generator, metres: np.ndarray, route: list[int]) -> list[float]:
    """When a vehicle reaches each camera of its route, seconds."""
    now = float(rng.uniform(0, HOUR))
    times = [now]
    for here, there in zip(route[:-1], route[1:], strict=True):
        now += 5 + float(metres[here, there]) / float(rng.uniform(*CRUISE)) + DELAY * float(rng.random())
        times.append(now)
    return times


def _frames(seed: int, tracks: tuple, vehicles: tuple[Vehicle, ...], cameras: tuple[Camera, ...]) -> tuple:
    """Vehicle, camera, time and place of every image."""
    rng = np.random.default_rng([seed, STREAM["frames"], 1])
    owner, seen, start, count = tracks
    chance = rng.random((len(owner), 5))
    toward = np.array([c.toward for c in cameras])[seen]
    toward = np.where(chance[:, 0] < np.array([c.share for c in cameras])[seen], toward, -toward)
    lanes = np.floor(chance[:, 1] * np.array([c.lanes for c in cameras])[seen])
    # Traffic keeps to the right: along x on the right half (y < 0), against it on the left.
    lateral = -toward * (np.array([c.lane for c in cameras])[seen] * (1 + 2 * lanes)) + 0.7 * (chance[:, 4] - 0.5)
    speed = PASSING[0] + (PASSING[1] - PASSING[0]) * chance[:, 2]
    tilt = 0.04 * (chance[:, 3] / (1 - TURNS) - 0.5)
    tilt = np.where(chance[:, 3] > 1 - TURNS, (chance[:, 3] - 1 + TURNS) / TURNS * 0.44 - 0.22, tilt)
    cosine, sine = (1 - tilt**2) / (1 + tilt**2) * toward, 2 * tilt / (1 + tilt**2) * toward
    track = np.repeat(np.arange(len(owner)), count)
    step = np.arange(len(track)) - np.repeat(np.cumsum(count) - count, count)
    low, high = (np.array([c.span[end] for c in cameras])[seen][track] for end in (0, 1))
    gap = (high - low) / np.maximum(count[track] - 1, 1)
    shift = 0.25 * gap * (rng.random(len(track)) - 0.5)
    along = np.where(toward[track] > 0, low + gap * step, high - gap * step) + shift * (count[track] > 1)
    middle = np.array([c.target[0] for c in cameras])[seen][track]
    length = np.array([v.spec.length for v in vehicles])[owner][track]
    ahead = np.array([0.0 if c.kind.startswith("side") else 0.75 for c in cameras])[seen][track]
    x = middle + along + ahead * (length - 4.5)
    time = np.round(start[track] + np.abs(along - np.where(toward[track] > 0, low, high)) / speed[track], 3)
    place = np.stack([x, lateral[track], cosine[track], sine[track]], axis=1)
    return owner[track], seen[track], time, place


def _framing(
    seed: int, vehicles: tuple, cameras: tuple, vehicle: np.ndarray, camera: np.ndarray, place: np.ndarray
) -> tuple:
    """Window, size and box of every image: the vehicle's extent with margins drawn by lot."""
    extent = np.empty((len(vehicle), 4))
    for number in np.unique(vehicle):
        mine = np.flatnonzero(vehicle == number)
        points = mesh_of(vehicles[number]).points
        for seen in np.unique(camera[mine]):
            these = mine[camera[mine] == seen]
            right, down, _ = project(points[None], cameras[seen], place[these][:, None, :])
            extent[these] = np.stack([right.min(1), down.min(1), right.max(1), down.max(1)], axis=1)
    margin = np.random.default_rng([seed, STREAM["frames"], 2]).uniform(*MARGIN, (len(vehicle), 4))
    wide, tall = extent[:, 2] - extent[:, 0], extent[:, 3] - extent[:, 1]
    left, right = extent[:, 0] - margin[:, 0] * wide, extent[:, 2] + margin[:, 2] * wide
    top, bottom = extent[:, 1] - margin[:, 1] * tall, extent[:, 3] + margin[:, 3] * tall
    more_tall = np.maximum((right - left) / ASPECT[1] - (bottom - top), 0)
    more_wide = np.maximum((bottom - top) * ASPECT[0] - (right - left), 0)
    left, right, top, bottom = left - more_wide / 2, right + more_wide / 2, top - more_tall / 2, bottom + more_tall / 2
    long = np.array([c.size for c in cameras])[camera]
    scale = long / np.maximum(right - left, bottom - top)
    size = np.rint(np.stack([(bottom - top) * scale, (right - left) * scale], axis=1)).astype(np.int64)
    corner = np.stack([left, top, left, top], axis=1)
    pixels = (extent - corner) * scale[:, None]
    box = np.concatenate([np.floor(pixels[:, :2] + 0.25), np.ceil(pixels[:, 2:] - 0.25)], axis=1).astype(np.int64)
    box = np.clip(box, 0, np.stack([size[:, 1], size[:, 0], size[:, 1], size[:, 0]], axis=1))
    return np.stack([left, top, scale], axis=1), size, box
