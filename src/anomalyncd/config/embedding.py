"""From regions to vectors."""

from dataclasses import dataclass
from typing import Literal

from anomalyncd.config.checks import require


@dataclass(frozen=True)
class EncoderConfig:
    """How a region becomes a vector (AnomalyNCD, section 3.2)."""

    guidance: Literal["hard", "soft", "learned", "none"] = "soft"
    """How the mask leads attention: `hard` as published, `soft` in proportion to coverage,
    `learned` like `soft` with a factor that training adapts in the read-out block."""
    guidance_factor: tuple[float, float, float] = (1.0, 0.1, 0.01)
    """How much attention a patch of anomaly, of product and of background is due, before affinity
    is weighed in (`soft`, `learned`). Without object masks there is no background."""
    guided_rows: Literal["cls", "patches", "all"] = "cls"
    """Whose attention is led: that of the CLS token as published, of the patches, or of both."""
    guided_by: Literal["mask", "map"] = "mask"
    """What covers a patch: the mask of the anomaly, or its map, rescaled to 0..1. Where masks are
    given there is no map, and the mask is taken."""
    n_guided: int = 9
    """Guided blocks, counted from the last block of the backbone."""
    readout: int = 10
    """Block, counted from 0 or back from -1, that is trained and whose CLS token is read."""
    extra_cls: tuple[int, ...] = (8,)
    """Earlier blocks whose CLS token joins the vector, unchanged by training."""
    region_means: tuple[int, ...] = (5,)
    """Earlier blocks whose mean patch token under the mask joins the vector."""
    centred: bool = True
    """Whether the mean over all regions is taken from each part of the vector."""
    n_rotations: int = 4
    """Poses of a region over which its vector is averaged, since a defect is the same whichever way
    it lies: 1, 4 (quarter turns) or 8 (their mirror images as well). With epochs it is one,
    whatever is set: training learns that from augmented views."""

    def __post_init__(self) -> None:
        modes, rows = ("hard", "soft", "learned", "none"), ("cls", "patches", "all")
        require(self.guidance in modes, "guidance", self.guidance, f"use one of {modes}")
        require(self.guided_rows in rows, "guided_rows", self.guided_rows, f"use one of {rows}")
        require(self.guided_by in ("mask", "map"), "guided_by", self.guided_by, "use mask or map")
        factor = self.guidance_factor
        positive = len(factor) == 3 and all(0 < one < float("inf") for one in factor)
        require(positive, "guidance_factor", factor, "use three numbers above 0")
        require(self.n_guided >= 0, "n_guided", self.n_guided, "use 0 or more")
        require(self.n_rotations in (1, 4, 8), "n_rotations", self.n_rotations, "use 1, 4 or 8")


@dataclass(frozen=True)
class CropConfig:
    """Crops as they enter the backbone, and how they are augmented."""

    load_size: int = 256
    """Side in pixels to which a region is resized."""
    size: int = 224
    """Side in pixels of the window that is cut out of it."""
    n_views: int = 4
    """Augmented views of a region that are kept; each step of training draws two of them."""
    colour: float = 1.0
    """Strength of the colour augmentation, 0 (none) to 1 (as published)."""
    memory_limit_gb: float = 4.0
    """Stored tokens beyond this size lie in a memory-mapped file instead of memory."""
