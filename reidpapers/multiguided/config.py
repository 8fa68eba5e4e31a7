"""What a run of the multi-guided system is: its fields, what of them a kind of run uses, and which trunk it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from reidlib.backbones import LOADS, check_trunk
from reidpapers.run.config import STUDY, Config, ListOrJson
from reidpapers.run.datasets import LABELS

Kind = Literal["extractor", "classifier_color", "classifier_type", "segmenter", "ensemble"]
Extractor = Literal["res50", "agn", "dense161bs", "dense161", "hrnet"]

EXTRACTORS = ("res50", "agn", "dense161bs", "dense161", "hrnet")  # in the order of Table 2
DENSE = ("dense161bs", "dense161")  # with fewer identities a batch
ATTRIBUTES = ("color", "type")
MATCHED_BY = {"vehicle_id", "camera_id"}  # labels of the data, without which there is no test
TRUNKS: Mapping[str, Mapping[str, str]] = {
    "small": {
        "res50": "small_ibn", "agn": "small_ibn", "dense161bs": "small_dense", "dense161": "small_dense",
        "hrnet": "small_hr", "classifier": "small",
    },
    "light": {
        "res50": "mobilenet_v1", "agn": "mobilenet_v1", "dense161bs": "mobilenet_v2", "dense161": "efficientnet_lite0",
        "hrnet": "squeezenet1_1", "classifier": "mobilenet_v1",
    },
    "exact": {
        "res50": "resnet50_ibn", "agn": "resnet50_ibn", "dense161bs": "densenet161", "dense161": "densenet161",
        "hrnet": "hrnet_w18", "classifier": "resnet50",
    },
}  # fmt: skip

# Fields that each part of the system reads; a run's other fields go to their defaults, so that equal runs have one
# record. What an ensemble reads is what its members, its classifiers and its own post-processing do.
SHARED = {"simulated", "weight_decay", "schedule", "pad", "images"}
EXTRACTION = {
    "width", "triplet_weight", "margin", "center_weight", "center_on", "shrink", "erase", "iterations", "epochs",
    "rate", "identities", "trunks",
}  # fmt: skip
OF_EXTRACTOR: Mapping[str, set[str]] = {
    "res50": set(), "hrnet": set(), "agn": {"attribute_weight"}, "dense161": {"identities_dense"},
    "dense161bs": {"identities_dense", "substitute", "masks"},
}  # fmt: skip
CLASSIFICATION = {"iterations_classifier", "rate_classifier", "identities", "trunks"}
SEGMENTATION = {"iterations_segmenter", "rate_segmenter", "identities", "encoder"}
PENALTIES = {"constraint_by", "literal", "delta_type", "delta_color"}
RECIPROCAL = {"k1", "k2", "plain_weight"}


class MultiGuidedConfig(Config):
    """One run of the multi-guided system. Defaults are the paper's (sections 3 and 4.2); a profile sets the scale."""

    SCALES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"preset": "smoke_simulated", "image_size": 32, "width": 32, "shrink_above": 28, "identities": 4,
                  "identities_dense": 4, "images": 2, "iterations": 8, "iterations_classifier": 8,
                  "iterations_segmenter": 6, "device": "cpu"},
        "quick": {"preset": "small_simulated", "image_size": 64, "width": 256, "shrink_above": 48, "identities": 16,
                  "identities_dense": 16, "iterations": 300, "iterations_classifier": 200,
                  "iterations_segmenter": 150, "device": "cpu"},
        "study": {**STUDY, "preset": "study_simulated", "backbone": "small", "trunks": "light", "width": 256,
                  "shrink_above": 72, "identities": 12, "identities_dense": 12, "iterations": 900,
                  "iterations_classifier": 300, "iterations_segmenter": 300, "rate": 3.5e-4, "rate_classifier": 3.5e-4},
        "paper": {"preset": "veri_simulated", "image_size": 320, "trunks": "exact", "pretrained": True,
                  "encoder": "resnet50", "epochs": 120, "iterations_classifier": 20_000,
                  "iterations_segmenter": 20_000, "rate": 3.5e-4, "rate_classifier": 3.5e-4,
                  "rate_segmenter": 3.5e-4},
    }  # fmt: skip
    EPOCHS: ClassVar[Mapping[str, str]] = {"iterations": "epochs"}

    weights: str | None = Field(
        None, description="local file of IBN-Net's weights of ResNet-50-IBN, which res50 and agn start from"
    )
    learning: Kind = Field(
        "ensemble", description="one feature extractor, a classifier of colours or types, the PSPNet that segments "
        "vehicles, or the whole system: an ensemble of extractors with its post-processing"
    )  # fmt: skip
    extractor: Extractor = Field("res50", description="which extractor, where one learns")
    members: Annotated[tuple[Extractor, ...], ListOrJson] = Field(
        EXTRACTORS, min_length=1, description="extractors whose features an ensemble joins"
    )
    shares: Annotated[tuple[float, ...], ListOrJson] = Field(
        (), description="weight of each member's unit-length feature; empty: equal"
    )
    trunks: Literal["small", "light", "plain", "exact"] = Field(
        "small", description="stand-ins for CPUs that keep each trunk's trait; light networks with ImageNet weights, "
        "which differ as the paper's do; backbone for all, to compare with other papers' methods; or the paper's own"
    )  # fmt: skip
    width: int = Field(2048, ge=2, le=2**14, description="numbers of the feature f")
    triplet_weight: float = Field(1.0, ge=0, le=1e3, description="weight of the triplet loss (eq. 4); 0: without")
    margin: float = Field(0.5, ge=0, le=100, description="of the triplet loss (eq. 3)")
    center_weight: float = Field(5e-4, ge=0, le=1e3, description="weight of the centre loss (eq. 4); 0: without")
    center_on: Literal["f", "f_bn"] = Field("f", description="which feature the centre loss pulls")
    attribute_weight: float = Field(1.0, ge=0, le=1e3, description="weight of AGN's colour and type losses (eq. 5)")
    agn_feature: Literal["f_id", "f_c"] = Field(
        "f_id", description="AGN's feature in an ensemble: the identity branch's, or with those of colour and type"
    )
    pad: float = Field(
        10 / 320, ge=0, le=0.5, description="border before the random crop, as a share of the image's side"
    )
    shrink: float = Field(0.5, ge=0, le=1, description="how often a large object is shrunk and brought back to size")
    shrink_above: int = Field(
        320, ge=1, le=4096, description="large is an object whose original picture has more pixels than a square of "
        "this side: the paper's is the input; embedded pictures are all smaller, so there it is their median side"
    )  # fmt: skip
    erase: float = Field(0.5, ge=0, le=1, description="how often a rectangle is erased")
    substitute: float = Field(0.5, gt=0, le=1, description="how often Dense161BS sees another image's background")
    masks: Literal["predicted", "given"] = Field(
        "predicted", description="whose masks tell background from vehicle: the PSPNet's, or the dataset's own"
    )
    simulated: bool = Field(True, description="learn from simulated images, too")
    constraint: bool = Field(True, description="attribute constraint (eq. 6)")
    constraint_by: Literal["classifiers", "agn"] = Field(
        "classifiers", description="what predicts colour and type: networks of their own, or AGN's branches"
    )
    literal: bool = Field(False, description="eq. 6 as printed, which punishes pairs that agree")
    delta_type: float = Field(0.1, ge=0, le=100, description="penalty for another type, in mean distances")
    delta_color: float = Field(0.1, ge=0, le=100, description="penalty for another colour, in mean distances")
    groups: Literal["both", "queries", "tracks", "none"] = Field(
        "both", description="group re-ranking: near queries share a feature, near images bring their tracks"
    )
    theta_query: float = Field(0.2, ge=0, le=100, description="queries nearer than this are grouped, in mean distances")
    theta_gallery: float = Field(
        0.6, ge=0, le=100, description="images nearer than this bring their track, in mean distances"
    )
    theta_on: Literal["distance", "penalised"] = Field(
        "distance", description="what tells that an image is near enough to bring its track: the distance of features, "
        "as in section 3.3, or that with the penalties of the attribute constraint"
    )  # fmt: skip
    reciprocal: bool = Field(False, description="k-reciprocal encoding instead of Euclidean distance")
    k1: int = Field(20, ge=1, le=10**4, description="neighbours of the k-reciprocal encoding")
    k2: int = Field(6, ge=1, le=10**4, description="neighbours over which it is averaged")
    plain_weight: float = Field(0.3, ge=0, le=1, description="how much of the plain distance it keeps")
    identities: int = Field(64, ge=2, le=4096, description="identities a batch")
    identities_dense: int = Field(24, ge=2, le=4096, description="identities a batch of the DenseNets")
    images: int = Field(4, ge=2, le=256, description="images of each identity in a batch")
    iterations: int = Field(
        300, ge=1, le=10**7, description="steps of an extractor; DenseNets with fewer identities take more, so that "
        "all see as many images"
    )  # fmt: skip
    epochs: float = Field(
        0, ge=0, le=10**4, description="length of an extractor's training in epochs, each as many images as there are; "
        "0: in steps. The paper has 120; of classifiers and PSPNet it says nothing"
    )  # fmt: skip
    iterations_classifier: int = Field(200, ge=1, le=10**7, description="steps of a classifier")
    iterations_segmenter: int = Field(150, ge=1, le=10**7, description="steps of the PSPNet")
    rate: float = Field(2e-3, gt=0, le=10, description="highest learning rate of an extractor")
    rate_classifier: float = Field(2e-3, gt=0, le=10, description="highest learning rate of a classifier")
    rate_segmenter: float = Field(3e-3, gt=0, le=10, description="highest learning rate of the PSPNet")
    schedule: Literal["steps", "cosine"] = Field(
        "steps", description="of the rate, after a warm-up from a tenth of it over the first twelfth: x 0.1 at "
        "4/12 and 7/12, or a cosine"
    )  # fmt: skip
    weight_decay: float = Field(5e-4, ge=0, le=1, description="of Adam")
    encoder: Literal["tu-test_resnet", "resnet18", "resnet50"] = Field(
        "tu-test_resnet", description="trunk of the PSPNet: timm's smallest ResNet, for CPUs, or the paper's kind"
    )

    @model_validator(mode="after")
    def _trunk_allows(self) -> MultiGuidedConfig:
        """Refuse a trunk that the extractor does not have, and weights for stand-ins, which have none."""
        names = self.trunk_names()
        if self.backbone not in ("small", *names):
            raise ValueError(
                f"backbone = {self.backbone!r} is refused: the extractor settles the trunk, here {', '.join(names)}; "
                "trunks = small, light, plain or exact chooses between stand-ins and the paper's own"
            )
        if (self.pretrained and self.trunks == "small") or (self.weights and self.trunks != "exact"):
            raise ValueError(
                f"pretrained = {self.pretrained}, weights = {self.weights!r} are refused for trunks = {self.trunks!r}: "
                "small ones have no ImageNet weights, and a file is for trunks = 'exact'"
            )
        for name in names:
            check_trunk(name, pretrained=False, weights=None, image_size=self.image_size)
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> MultiGuidedConfig:
        """Refuse what no run could mean."""
        if not LABELS.get(self.dataset, MATCHED_BY) >= MATCHED_BY:
            fit = ", ".join(name for name, labels in LABELS.items() if labels >= MATCHED_BY)
            raise ValueError(
                f"dataset = {self.dataset!r} is refused: the system needs vehicles seen by cameras; allowed are {fit}"
            )
        if len(set(self.members)) != len(self.members):
            raise ValueError(f"members = {list(self.members)} is refused: allowed are distinct extractors")
        if self.shares and (len(self.shares) != len(self.members) or min(self.shares) <= 0):
            raise ValueError(
                f"shares = {list(self.shares)} is refused: allowed is a number > 0 for each of the {len(self.members)} "
                "members, or none for equal ones"
            )
        if self.learning == "ensemble" and self.predictor() == "agn" and "agn" not in self.members:
            raise ValueError(
                f"constraint_by = 'agn' is refused: members = {list(self.members)} lack agn, whose branches would "
                "predict colour and type"
            )
        return self

    def trunk_names(self) -> tuple[str, ...]:
        """The trunks of a run: an ensemble's members' and classifiers', or the one that learns; none of a PSPNet."""
        parts = (*EXTRACTORS, "classifier")
        trunks = TRUNKS.get(self.trunks) or dict.fromkeys(parts, self.backbone)
        if self.learning == "ensemble":
            parts = (*self.members, *(["classifier"] if self.predictor() == "classifiers" else []))
            return tuple(dict.fromkeys(trunks[part] for part in parts))
        part = {"extractor": self.extractor, "segmenter": ""}.get(self.learning, "classifier")
        return (trunks[part],) if part else ()

    def imagenet(self) -> Mapping[str, str | None]:
        """Those of all parts: the file that may be named is for ResNet-50-IBN alone."""
        files = {name: self.weights if name == "resnet50_ibn" else None for name in self.trunk_names()}
        return {name: file for name, file in files.items() if file or (self.pretrained and name in LOADS)}

    def predictor(self) -> str | None:
        """What predicts the colours and types of an ensemble's test images; None where none are asked for."""
        return self.constraint_by if self.learning == "ensemble" and self.constraint else None

    def member(self, extractor: str) -> MultiGuidedConfig:
        """The run of one extractor as an ensemble has it."""
        return self.but(learning="extractor", extractor=extractor)

    def but(self, **changes: Any) -> MultiGuidedConfig:
        """A copy with some fields changed; a trunk is the extractor's own and does not go over to another's."""
        follows = {"learning", "extractor", "trunks", "members"} & changes.keys()
        moved = {"backbone": "small"} if follows and changes.get("trunks", self.trunks) != "plain" else {}
        return super().but(**{**moved, **changes})

    def canonical(self) -> MultiGuidedConfig:
        """Fields that a run does not use go to their defaults, so that equal runs have one record."""
        # Guided augmentation takes the place of the shared one; features have unit length and distances a root.
        unused = {"crop", "rotation", "brightness", "test_distance", "backbone"}
        unused |= set(MultiGuidedConfig.model_fields) - set(Config.model_fields) - _used(self) - {"learning"}
        names = self.trunk_names()
        if not set(names) & set(LOADS):
            unused |= {"pretrained"}
        if "resnet50_ibn" not in names:
            unused |= {"weights"}
        kept = super().canonical().without(unused)
        return kept.model_copy(update={"backbone": names[0]}) if len(names) == 1 else kept


def starts_from(config: MultiGuidedConfig) -> tuple[MultiGuidedConfig, ...]:
    """An ensemble's members, in their order, and its classifiers of colour and type; the PSPNet of Dense161BS."""
    runs: tuple[MultiGuidedConfig, ...] = ()
    if config.learning == "ensemble":
        runs = tuple(config.member(name) for name in config.members)
        if config.predictor() == "classifiers":
            runs += tuple(config.but(learning=f"classifier_{name}") for name in ATTRIBUTES)
    elif config.learning == "extractor" and config.extractor == "dense161bs" and config.masks == "predicted":
        runs = (config.but(learning="segmenter"),)
    return tuple(run.canonical() for run in runs)


def _used(config: MultiGuidedConfig) -> set[str]:
    """The fields of this paper that a run reads."""
    if config.learning == "extractor":
        return {"extractor"} | _used_by(config, config.extractor)
    if config.learning == "segmenter":
        return SHARED | SEGMENTATION
    if config.learning != "ensemble":
        return SHARED | CLASSIFICATION
    used = {"members", "constraint", "groups", "reciprocal", "shares"}
    used |= set().union(*(_used_by(config, member) for member in config.members))
    used |= {"agn_feature"} if "agn" in config.members else set()
    used |= PENALTIES if config.constraint else set()
    used |= CLASSIFICATION if config.predictor() == "classifiers" else set()
    used |= {"theta_query"} if config.groups in ("both", "queries") else set()
    used |= {"theta_gallery"} if config.groups in ("both", "tracks") else set()
    used |= {"theta_on"} if config.groups in ("both", "tracks") and config.constraint else set()
    return used | (RECIPROCAL if config.reciprocal else set())


def _used_by(config: MultiGuidedConfig, extractor: str) -> set[str]:
    """The fields that an extractor's training reads."""
    used = SHARED | EXTRACTION | OF_EXTRACTOR[extractor]
    used -= set() if config.triplet_weight else {"margin"}
    used -= set() if config.center_weight else {"center_on"}
    used |= {"shrink_above"} if config.shrink else set()
    return used | (SEGMENTATION if extractor == "dense161bs" and config.masks == "predicted" else set())
