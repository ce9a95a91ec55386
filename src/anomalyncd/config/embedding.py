"""Config of the stages from regions to descriptors."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from anomalyncd.config.validation import Count, Positive, Share, require, validated


@validated("encoder")
class EncoderConfig:
    """How the descriptor of a region is computed (AnomalyNCD, section 3.2)."""

    guidance: Literal["hard", "soft", "learned", "none"] = "soft"
    """How the mask guides attention: `hard` hides patches outside the mask, as published; `soft`
    weighs patches by how much of them is anomalous; `learned` does the same with factors that are
    trained in the read-out block; `none` leaves attention as it is."""
    guidance_factor: tuple[Positive, Positive, Positive] = (1.0, 0.1, 0.01)
    """Weight in the attention of a patch that is anomalous, of foreground, and of background
    (`soft`, `learned`). Without foreground masks there is no background."""
    guided_rows: Literal["cls", "patches", "all"] = "cls"
    """Tokens whose attention is guided: the CLS token as published, the patch tokens, or both."""
    guided_by: Literal["mask", "map"] = "mask"
    """Where patches are anomalous: as the `mask` shows, or as much as the anomaly `map`, rescaled
    to 0..1, shows. Where masks are given and there is no map, the mask is used."""
    n_guided: Annotated[int, Field(ge=0)] = 9
    """Number of guided blocks, counted from the last block of the backbone."""
    readout: int = 10
    """The read-out block, counted from 0, or from -1 backwards: the block that is trained and whose
    CLS token is the first part of the descriptor. Earlier blocks are frozen."""
    extra_cls: tuple[int, ...] = (8,)
    """Earlier blocks whose CLS token is added to the descriptor; training does not change it."""
    region_means: tuple[int, ...] = (5,)
    """Earlier blocks whose mean patch token inside the mask is added to the descriptor."""
    centred: bool = True
    """Whether the mean over all regions is subtracted from each part of the descriptor."""
    shape_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.5
    """Weight of size and elongation of the mask beside the other parts of the descriptor together,
    where these fall into clear groups; 0 never uses them. With training they are never used."""
    n_rotations: Literal[1, 4, 8] = 4
    """Rotations of a crop over which its descriptor is averaged, so that the direction of a defect
    does not matter: 1, 4 (quarter turns) or 8 (their mirror images as well). With training it is
    always 1, since the augmented views already contain rotations."""


@validated("crops")
class CropConfig:
    """How crops enter the backbone, and how they are augmented."""

    load_size: Count = 256
    """Side in pixels to which the crop of a region is resized."""
    size: Count = 224
    """Side in pixels of the window of the crop that enters the backbone."""
    n_views: Annotated[int, Field(ge=0)] = 4
    """Number of augmented views of each crop in the token store; each training step uses two of
    them."""
    colour: Share = 1.0
    """Strength of the colour augmentation, from 0 (none) to 1 (as published)."""
    memory_limit_gb: Annotated[float, Field(ge=0, allow_inf_nan=True)] = 4.0
    """A token store that is larger than this many gigabytes lies in a memory-mapped file; infinity
    always allows memory. With several rotations no tokens are kept."""

    @model_validator(mode="after")
    def _check_fields_together(self) -> Self:
        require(self.size <= self.load_size, "size", self.size, "load_size or less")
        return self
