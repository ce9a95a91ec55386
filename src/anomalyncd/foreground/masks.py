"""Which pixels of each picture show the product: masks that guide attention."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anomalyncd.backbone.features import whole_reader
from anomalyncd.backbone.pixels import area_sides
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import Config
from anomalyncd.foreground.foreground import Foreground
from anomalyncd.foreground.grounded_sam import GroundedSam
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.masks import Masks, encode_mask
from anomalyncd.io.files import write_atomically
from anomalyncd.io.key import keep_only_files_of, key
from anomalyncd.runtime.progress import track

FOLDER = "foreground"
"""In a run folder; holds NAME.png for each image."""
_SIDE = 512

_Finder = Callable[[int], NDArray[np.bool_]]


@dataclass(frozen=True)
class ForegroundSummary:
    """What was taken for the product, over all pictures."""

    source: str
    """See `Foreground`."""
    reason: str
    """See `Foreground`."""
    n_pictures: int
    """How many were looked at; 0 where whole pictures are taken."""
    n_whole: int
    """In how many nothing was found, so that all of the picture counts."""
    shares: tuple[float, float, float] | None
    """Smallest, median and largest share of the others that is product, 0..1; None without any."""

    def __str__(self) -> str:
        """ "backbone (plain background found); 43 % to 61 % of a picture, median 45 %"."""
        said = f"{self.source} ({self.reason})"
        if self.shares is not None:
            low, middle, high = (f"{100 * share:.0f} %" for share in self.shares)
            said += f"; {low} to {high} of a picture, median {middle}"
        if self.n_whole:
            said += f"; {self.n_whole} of {self.n_pictures} pictures count as a whole"
        return said


def write_foreground_masks(
    vit: VisionTransformer,
    images: ImageSet,
    prior: Foreground,
    given: Masks | None,
    config: Config,
    folder: Path,
) -> Masks | None:
    """Finds the product in every picture and writes its mask as `folder/NAME.png`.

    Masks that are there already are kept; those made from other images or in another way are made
    again. Where nothing is found, or too little to be the product, all of the picture counts.

    Args:
        vit: The backbone that the prior was learnt with, on its device and in its precision.
        images: The pictures.
        prior: How to find the product.
        given: Masks that somebody has drawn; they are taken whatever the prior says.
        config: As the prior was made with.
        folder: Made where it is missing.

    Returns:
        The masks, with the area of a square of 512 pixels each; None where whole pictures are
        taken.

    Raises:
        InputError: The folder holds masks that were not made here, or see `GroundedSam`.
    """
    if given is None and prior.source == "none":
        return None
    sources = None if given is None else given.sources
    stages = (config.foreground, config.detector)
    made_from = key(images.names, images.sources, prior, sources, stages)
    keep_only_files_of(made_from, folder, frozenset({".png"}), "mask")
    paths = tuple(folder / f"{name}.png" for name in images.names)
    missing = [index for index, path in enumerate(paths) if not path.is_file()]
    find = _finder(vit, images, prior, given, config) if missing else None
    for index in track(missing, "Finding the product"):
        assert find is not None
        # What somebody has drawn counts, however small; an empty mask takes the whole picture.
        least = config.foreground.least_share if given is None else 0.0
        mask = _guarded(find(index), least)
        with write_atomically(paths[index]) as temporary:
            temporary.write_bytes(encode_mask(mask))
    return Masks(images, paths)


def summarise(prior: Foreground, masks: Masks | None) -> ForegroundSummary:
    """What was taken for the product, in a few numbers.

    Args:
        prior: How it was found.
        masks: Of all pictures; None where whole pictures are taken.
    """
    shares = np.array([mask.mean() for mask in masks or ()])
    found = shares[shares < 1]
    low, middle, high = np.quantile(found, [0, 0.5, 1]) if len(found) else (0.0, 0.0, 0.0)
    return ForegroundSummary(
        prior.source,
        prior.reason,
        len(shares),
        len(shares) - len(found),
        (float(low), float(middle), float(high)) if len(found) else None,
    )


def _guarded(mask: NDArray[np.bool_], least_share: float) -> NDArray[np.bool_]:
    """Brings a mask to its size on disk; all of the picture where there is too little of it."""
    height, width = area_sides((mask.shape[0], mask.shape[1]), _SIDE, 1)
    if not mask.any() or mask.mean() < least_share:
        return np.ones((height, width), bool)
    levels = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(levels > 0.5)


def _finder(
    vit: VisionTransformer,
    images: ImageSet,
    prior: Foreground,
    given: Masks | None,
    config: Config,
) -> _Finder:
    """What finds the product in the picture of an index."""
    if given is not None:
        return lambda index: given[index]
    product, most = prior.component, config.foreground.max_objects
    if product is not None:
        reader = whole_reader(vit, config.detector)

        def along_component(index: int) -> NDArray[np.bool_]:
            tokens = reader.read(images, index)
            size = area_sides(tokens.size, _SIDE, 1)
            return product.smooth_mask(tokens.patches[-1], size, most)

        return along_component
    model = GroundedSam(config.foreground, vit.cls_token.device)
    prompt = prior.prompt
    assert prompt is not None
    return lambda index: model.find(images.image(index), prompt)
