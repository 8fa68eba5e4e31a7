"""What a rendered benchmark is asked for: counts of each side, sizes, how alike its vehicles are, and in which style."""

from __future__ import annotations

from dataclasses import dataclass, field

from reidpapers.vehicles.render.catalogue import COLORS, MODELS, TYPES

STYLES = ("plain", "street")
# Streams of chance, kept apart from those of the pictures, which are numbered from 0.
STREAM = {"cameras": 1_000_000_001, "vehicles": 1_000_000_002, "tracks": 1_000_000_003, "frames": 1_000_000_004,
          "passes": 1_000_000_005}  # fmt: skip


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
        models, colors: how many of the 27 models (in the street's style, any number from 9) and 10 colours there are.
        marks: how many and how large identity marks are; 1 is usual.
        occlusion: mean share of pictures with something in the way.
        style: a name in :data:`STYLES`: the 27 low-poly models in daylight, or a street with all that varies there.
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
    style: str = field(default="plain", repr=False)  # not shown: what was named before there were styles keeps its name

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise ValueError(f"preset {self.name}: style {self.style!r}: allowed are {', '.join(STYLES)}")
        low, high = (1, len(MODELS)) if self.style == "plain" else (len(TYPES), 9999)
        if not (low <= self.models <= high and 1 <= self.colors <= len(COLORS)):
            raise ValueError(f"preset {self.name}: models {low} to {high}, colors 1 to {len(COLORS)}")
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
