"""Which vehicle passes which camera when, and how each picture is framed: all labels, no pixel.

Everything is drawn from the preset and one seed, in whole arrays, so that the labels of 50,000 pictures take a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reidpapers.vehicles.render.cameras import Camera, distances
from reidpapers.vehicles.render.image import Scene
from reidpapers.vehicles.render.preset import STREAM, Preset, Share
from reidpapers.vehicles.render.styles import STYLES, Style
from reidpapers.vehicles.render.vehicles import Vehicle

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
        style: how it is drawn, a key of :data:`~reidpapers.vehicles.render.styles.STYLES`.
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
    style: str = "plain"

    def scene(self, number: int) -> Scene:
        """What fixes the picture of one image."""
        plain = Scene(
            vehicle=self.vehicles[self.vehicle[number]],
            camera=self.cameras[self.camera[number]],
            place=tuple(float(v) for v in self.place[number]),
            window=tuple(float(v) for v in self.window[number]),
            size=(int(self.size[number, 0]), int(self.size[number, 1])),
            chance=(self.seed, number),
        )
        return STYLES[self.style].staged(plain, self, number)


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
    style = STYLES[preset.style]
    cameras = style.cameras(preset, seed)
    vehicles = style.vehicles(preset, seed, paint_jitter)
    tracks = _tracks(preset, seed)
    vehicle, camera, time, place = _frames(seed, tracks, vehicles, cameras)
    window, size, box = _framing(seed, style, vehicles, cameras, vehicle, camera, place)
    return Plan(
        vehicles, cameras, seed, preset.train.vehicles, vehicle, camera, time, place, window, size, box, preset.style
    )


def camera_metres(preset: Preset, seed: int) -> np.ndarray:
    """Shortest ways by road between the cameras, ``[cameras, cameras]`` in metres."""
    return distances(np.random.default_rng([seed, STREAM["cameras"], 2]), preset.cameras)


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
    seed: int, style: Style, vehicles: tuple, cameras: tuple, vehicle: np.ndarray, camera: np.ndarray, place: np.ndarray
) -> tuple:
    """Window, size and box of every image: the vehicle's extent with margins drawn by lot."""
    extent = np.empty((len(vehicle), 4))
    for number in np.unique(vehicle):
        mine = np.flatnonzero(vehicle == number)
        points = style.mesh_of(vehicles[number]).points
        for seen in np.unique(camera[mine]):
            these = mine[camera[mine] == seen]
            right, down, _ = style.project(points[None], cameras[seen], place[these][:, None, :])
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
