"""From maps to regions."""

from dataclasses import dataclass
from typing import Literal

from anomalyncd.config.checks import require


@dataclass(frozen=True)
class MebinConfig:
    """Main element binarisation (AnomalyNCD, section 3.1), and what it can be compared with."""

    rules: Literal["paper", "default"] = "default"
    """`paper`: maps in 8 bits and the range as published; `default`: floating point, safe range."""
    binarisation: Literal["mebin", "otsu", "fixed"] = "mebin"
    """Where a map is cut: where its region count is most stable (`mebin`), where Otsu's method
    images its scores, for each map anew (`otsu`), or half way up the score range (`fixed`)."""
    n_thresholds: int = 64
    """Number of thresholds `255 - 256 k / n_thresholds`, on the scale that maps the score range to
    0..255; the published step of 4 makes 64."""
    erosion: int = 6
    """Side in map pixels of the box that erodes each map; 1 switches erosion off."""
    min_interval_length: int = 4
    """Thresholds in a row for which a region count must hold to be called stable."""
    floor: float | None = None
    """Lowest score that can be anomalous, in map units; None derives it from the maps, those of
    normal images where there are some. The `paper` rules always derive it."""
    background_quantile: float = 0.85
    """Share of sound surfaces, seen on normal images or beside the main elements of the images, that
    a image must exceed to have a region; 0 lets every image have some. Not used by the `paper` rules
    or with a `floor`."""
    max_normal_quantile: float = 0.9
    """The split between normal and anomalous regions is not above what this share of sound surfaces
    stays below; 1 leaves the split alone. As `background_quantile`, not used by the `paper` rules or with a
    `floor`."""

    def __post_init__(self) -> None:
        require(self.rules in ("paper", "default"), "rules", self.rules, "use paper or default")
        known = self.binarisation in ("mebin", "otsu", "fixed")
        require(known, "binarisation", self.binarisation, "use mebin, otsu or fixed")
        require(2 <= self.n_thresholds <= 255, "n_thresholds", self.n_thresholds, "use 2..255")
        require(self.erosion >= 1, "erosion", self.erosion, "use 1 (off) or more")
        require(
            self.min_interval_length >= 1,
            "min_interval_length",
            self.min_interval_length,
            "use >= 1",
        )
        require(
            self.floor is None or self.rules == "default",
            "floor",
            self.floor,
            "use rules='default'",
        )
        for name in ("background_quantile", "max_normal_quantile"):
            share = getattr(self, name)
            require(0 <= share <= 1, name, share, "use 0..1")


@dataclass(frozen=True)
class RegionConfig:
    """Square crops around the connected parts of a mask (AnomalyNCD, section 3.1)."""

    rules: Literal["paper", "default"] = "default"
    """`paper`: boxes merged with direct neighbours, may leave the image; `default`: merged
    transitively, shifted inside."""
    margin: float = 1.1
    """Side of a crop over the longer side of its connected part."""
    min_half_side: float = 0.1
    """Smallest half side of a crop as a share of the image's longer side."""
    merge_gap: float = 0.01
    """Boxes closer than this share of the image's longer side become one."""
    max_per_image: int | None = None
    """Keep at most this many regions an image, largest first; None keeps all (`paper`: MEBin's
    count + 1, as published)."""

    def __post_init__(self) -> None:
        require(self.rules in ("paper", "default"), "rules", self.rules, "use paper or default")
        require(self.margin >= 1, "margin", self.margin, "use 1 or more")
        require(0 < self.min_half_side <= 0.5, "min_half_side", self.min_half_side, "use 0..0.5")
        require(self.merge_gap >= 0, "merge_gap", self.merge_gap, "use 0 or more")
        require(
            self.max_per_image is None or self.max_per_image >= 1,
            "max_per_image",
            self.max_per_image,
            "use 1 or more",
        )
