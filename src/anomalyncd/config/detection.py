"""Config of the built-in detectors and of the search for the foreground."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from anomalyncd.config.validation import Count, NonNegative, Positive, Share, require, validated

Threshold = Annotated[float, Field(ge=0, lt=1)]
"""A number from 0 to below 1."""


def _ascending(layers: tuple[int, ...]) -> tuple[int, ...]:
    if not layers or layers[0] < 0 or list(layers) != sorted(set(layers)):
        raise ValueError("block indices in ascending order")
    return layers


def _odd(sides: tuple[int, ...]) -> tuple[int, ...]:
    if not sides or any(side < 1 or side % 2 == 0 for side in sides):
        raise ValueError("odd sides such as 1 and 3")
    return sides


def _has_words(prompt: str) -> str:
    if not any(letter.isalnum() for letter in prompt):
        raise ValueError("a word or two, or None")
    return prompt


@validated("detector")
class DetectorConfig:
    """The detector that makes anomaly maps where none are given: mutual scoring (MuSc), or a
    memory bank (PatchCore) where there are normal images."""

    resolution: Annotated[int, Field(ge=56)] | None = None
    """Regions of interest enter the backbone with the area of a square of this side in pixels. A
    higher resolution shows smaller defects and takes more time. None chooses it so that a patch of
    the backbone covers at most about 24 pixels of the image, but from 336 to 672 for whole images
    and from 504 to 672 for a foreground that is cut out."""
    tile: Annotated[int, Field(ge=0)] | None = None
    """Side in pixels of the overlapping tiles in which images are looked at, as if each tile were
    an image. 0 looks at whole images. None does so too, unless they would be shrunk to less than a
    quarter of their sides, or at all where they are more than three times as long as wide; it then
    takes 448, or the short side of narrower images. See docs/decisions/tiles.md."""
    roi: Literal["foreground", "image"] = "foreground"
    """The region of interest: the `foreground`, cut out and aligned, where a plain background
    surrounds it and else the whole image; or always the whole `image`."""
    layers: Annotated[tuple[int, ...], AfterValidator(_ascending)] = (5, 8)
    """Blocks of the backbone, counted from 0, whose patch tokens are compared. The tokens of the
    last of them also locate the foreground."""
    neighbourhoods: Annotated[tuple[int, ...], AfterValidator(_odd)] = (1,)
    """Sides, in patches, of the squares over which patch tokens are averaged."""
    common: Positive = 2.0
    """Length of the coordinate that replaces the mean of all patch tokens, as a multiple of the
    root mean square distance of tokens from that mean."""
    reference_discount: Share = 0.3
    """Share of a reference patch's own distance to its nearest neighbour in other images that is
    subtracted from distances to it. Places that vary between normal images thereby score lower. 0
    switches it off."""
    n_references: Annotated[int, Field(ge=2)] = 40
    """Number of reference images that each image is compared with (mutual scoring)."""
    closest: tuple[Share, Share] = (0.05, 0.2)
    """The score of a patch is the mean distance to its closest reference images, from the first to
    the second of these shares of them. The very closest are left out, since they may show the same
    object again (mutual scoring)."""
    frequent_kinds: bool = True
    """Whether places that up to half of the images show differently from the others count as
    defects, where the evidence is strong (mutual scoring). See docs/decisions/frequent-kinds.md."""
    bank_size: Count = 10_000
    """Number of patches of normal images in the memory bank."""
    n_candidates: int = 100_000
    """Number of patches of normal images from which those of the memory bank are chosen."""
    n_rotations: Literal[1, 2, 4, 8] = 1
    """Rotations in which each normal image enters the memory bank: 1, 2 (half turns), 4 (quarter
    turns) or 8 (eighths of a turn). More help where there are few normal images and the product
    lies in any direction (AnomalyDINO). A foreground that is aligned is read once."""
    smoothing: NonNegative = 0.5
    """Standard deviation, in patches, of the Gaussian that smooths an anomaly map."""
    map_size: Count | None = 256
    """Anomaly maps have the area of a square of this side in pixels, so that the erosion of MEBin
    means the same for images of all sizes. None gives each map the size of its image."""

    @model_validator(mode="after")
    def _check_fields_together(self) -> Self:
        first, last = self.closest
        require(first < last, "closest", self.closest, "two shares from 0 to 1 in ascending order")
        enough = self.n_candidates >= self.bank_size
        require(enough, "n_candidates", self.n_candidates, "bank_size or more")
        return self


@validated("foreground")
class ForegroundConfig:
    """How the foreground is separated from the background."""

    source: Literal["auto", "backbone", "grounded-sam", "none"] = "auto"
    """What makes foreground masks where none are given: `backbone` separates the patch tokens and
    needs a plain background; `auto` does the same, but takes whole images where there is no such
    background, as with textures; `grounded-sam` uses Grounding DINO and SAM; `none` takes whole
    images."""
    prompt: Annotated[str, AfterValidator(_has_words)] | None = None
    """The product in English words, such as "metal nut"; several products are separated by full
    stops. None takes the name of the folder of the images (`grounded-sam`)."""
    box_threshold: Threshold = 0.3
    """Lowest score of a box that is used (`grounded-sam`)."""
    text_threshold: Threshold = 0.25
    """Lowest score at which a word of the prompt names a box (`grounded-sam`)."""
    mask_threshold: float = 0.0
    """Logit above which a pixel in a box is foreground (`grounded-sam`)."""
    max_objects: Count = 5
    """Highest number of objects in an image: the boxes with the highest scores, or the largest
    connected components."""
    least_share: Threshold = 0.02
    """A foreground that covers less than this share of the image is rejected, and the whole image
    is taken."""
    box_model: str = "IDEA-Research/grounding-dino-tiny"
    """Grounding DINO: its name on the Hugging Face hub, or a folder (`grounded-sam`)."""
    mask_model: str = "facebook/sam-vit-base"
    """SAM: its name on the Hugging Face hub, or a folder (`grounded-sam`)."""
