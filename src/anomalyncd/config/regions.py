"""Config of the stages from anomaly maps to regions."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from anomalyncd.config.validation import Count, NonNegative, Share, require, validated


@validated("mebin")
class MebinConfig:
    """Main element binarisation (AnomalyNCD, section 3.1), and two simpler binarisations to compare
    it with."""

    rules: Literal["paper", "default"] = "default"
    """`paper` converts anomaly maps to 8 bits and takes the score range as published; `default`
    computes in floating point, with a floor and a background peak."""
    binarisation: Literal["mebin", "otsu", "fixed"] = "mebin"
    """Where the threshold of an anomaly map lies: where the number of connected components is most
    stable (`mebin`), where Otsu's method puts it for each map (`otsu`), or in the middle of the
    score range (`fixed`)."""
    n_thresholds: Annotated[int, Field(ge=2, le=255)] = 64
    """Number of thresholds that are tried: `255 - 256 k / n_thresholds`, where 0 to 255 stands for
    the score range. The published step of 4 gives 64 thresholds."""
    erosion: Count = 6
    """Side, in pixels of the map, of the square that erodes the mask; 1 switches erosion off."""
    min_interval_length: Count = 4
    """Number of successive thresholds at which the number of connected components must be the same
    to count as stable."""
    floor: float | None = None
    """Lowest score that can be anomalous, in the unit of the anomaly maps. None derives it from the
    maps of normal images, or else from all maps. The `paper` rules always derive it."""
    background_quantile: Share = 0.85
    """The background peak is this quantile of the highest scores of surfaces without a defect, as
    measured on normal images or else beside the defects. An image without a higher score has no
    region. 0 lets every image have regions. Not used by the `paper` rules or with a `floor`."""
    max_normal_quantile: Share = 0.9
    """The maximal normal score is this quantile of the same scores. 1 sets no maximum. Not used by
    the `paper` rules or with a `floor`."""

    @model_validator(mode="after")
    def _check_fields_together(self) -> Self:
        usable = self.floor is None or self.rules == "default"
        require(usable, "floor", self.floor, "None, or rules='default'")
        return self


@validated("regions")
class RegionConfig:
    """Square boxes around the connected components of a mask (AnomalyNCD, section 3.1)."""

    rules: Literal["paper", "default"] = "default"
    """`paper` merges each box with its direct neighbours, and boxes may extend beyond the image;
    `default` merges until no two boxes are close, and moves boxes into the image."""
    margin: Annotated[float, Field(ge=1)] = 1.1
    """Side of a box divided by the longer side of what it surrounds."""
    min_half_side: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Smallest half side of a box, as a share of the longer side of the image, or of `of_side`."""
    merge_gap: NonNegative = 0.01
    """Boxes are merged if the gap between them is smaller than this share of the longer side of the
    image, or of `of_side`."""
    of_side: Count | None = None
    """What the shares are of, in pixels of the image; MEBin looks at windows of this side, too.
    None takes the side of a tile where images are looked at in tiles, and else the longer side of
    the image."""
    max_per_image: Count | None = None
    """Highest number of regions of an image; the largest are used. None uses all, or with the
    `paper` rules one more than MEBin has counted, as published."""
