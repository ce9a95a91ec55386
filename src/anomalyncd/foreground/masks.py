"""Masks of the foreground, which guide attention and are shown in reports."""

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
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.mask_files import encode_mask
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.key import keep_only_files_of, key_of_version
from anomalyncd.io.writing import write_atomically
from anomalyncd.runtime.progress import track
from anomalyncd.runtime.wording import counted

FOLDER = "foreground"
"""Folder within a run folder, with NAME.png for each image."""
_SIDE = 512

_Finder = Callable[[int], NDArray[np.bool_]]


@dataclass(frozen=True)
class ForegroundSummary:
    """How much of the images is foreground."""

    source: str
    """See `Foreground`."""
    reason: str
    """See `Foreground`."""
    n_images: int
    """Number of masks; 0 if whole images are foreground."""
    n_whole: int
    """Number of images that count as foreground entirely, since none was found in them."""
    shares: tuple[float, float, float] | None
    """Smallest, median and largest share of foreground in the other images, 0..1; None if there
    are no others."""

    def __str__(self) -> str:
        """ "backbone (plain background found); 43 % to 61 % of an image, median 45 %"."""
        text = f"{self.source} ({self.reason})"
        if self.shares is not None:
            low, middle, high = (f"{100 * share:.0f} %" for share in self.shares)
            text += f"; {low} to {high} of an image, median {middle}"
        if self.n_whole:
            text += (
                f"; {self.n_whole} of {counted(self.n_images, 'image counts', 'images count')} as "
                "foreground entirely"
            )
        return text


def write_foreground_masks(
    vit: VisionTransformer,
    inputs: Inputs,
    foreground: Foreground,
    config: Config,
    folder: Path | None,
) -> Masks | None:
    """Finds the foreground of every image and writes its mask as `folder/NAME.png`.

    Masks that are in the folder already are used, so that an interrupted run goes on where it
    stopped; masks of other images or with another config are replaced. An image in which nothing
    is found, or too little to be the product, counts as foreground entirely.

    Args:
        vit: The backbone, on its device and in its precision.
        inputs: The images, and the masks that a person has drawn, which are used in place of the
            method.
        foreground: How the foreground is found.
        config: As the foreground was fitted with.
        folder: The folder; it is created if it does not exist. None keeps the masks in memory, and
            caches no tokens.

    Returns:
        The masks, each with the area of a square of 512 pixels; None if whole images are
        foreground.

    Raises:
        InputError: The folder holds masks that were not made here, or see `GroundedSam`.
    """
    images, drawn = inputs.images, inputs.foreground
    if drawn is None and foreground.source == "none":
        return None
    # Drawn masks count however small they are; an empty one takes the whole image.
    least_share = config.foreground.least_share if drawn is None else 0.0
    if folder is None:
        find = _finder(vit, images, foreground, drawn, config, cached=False)
        found = [_resized_or_whole(find(index), least_share) for index in range(len(images))]
        return Masks(images, tuple(encode_mask(mask) for mask in found))
    drawn_from = None if drawn is None else (drawn.sources, drawn.turns)
    settings = (config.foreground, config.detector)
    made_from = key_of_version(
        images.names, images.sources, images.levels, foreground, drawn_from, settings
    )
    keep_only_files_of(made_from, folder, frozenset({".png"}), "mask")
    paths = tuple(folder / f"{name}.png" for name in images.names)
    missing = [index for index, path in enumerate(paths) if not path.is_file()]
    if missing:
        find = _finder(vit, images, foreground, drawn, config)
        for index in track(missing, "Finding the foreground"):
            mask = _resized_or_whole(find(index), least_share)
            with write_atomically(paths[index]) as temporary:
                temporary.write_bytes(encode_mask(mask))
    return Masks(images, paths)


def summarise(foreground: Foreground, masks: Masks | None) -> ForegroundSummary:
    """Summarises how much of the images is foreground.

    Args:
        foreground: How it was found.
        masks: The masks of all images; None if whole images are foreground.
    """
    shares = np.array([mask.mean() for mask in masks or ()])
    partial = shares[shares < 1]
    low, middle, high = np.quantile(partial, [0, 0.5, 1]) if len(partial) else (0.0, 0.0, 0.0)
    return ForegroundSummary(
        foreground.source,
        foreground.reason,
        len(shares),
        len(shares) - len(partial),
        (float(low), float(middle), float(high)) if len(partial) else None,
    )


def _resized_or_whole(mask: NDArray[np.bool_], least_share: float) -> NDArray[np.bool_]:
    """Resizes a mask to its size on disk; marks the whole image where the mask is too small."""
    height, width = area_sides((mask.shape[0], mask.shape[1]), _SIDE, 1)
    if not mask.any() or mask.mean() < least_share:
        return np.ones((height, width), bool)
    levels = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(levels > 0.5)


def _finder(
    vit: VisionTransformer,
    images: ImageSet,
    foreground: Foreground,
    drawn: Masks | None,
    config: Config,
    cached: bool = True,
) -> _Finder:
    """Returns the function that finds the foreground of the image of an index."""
    if drawn is not None:
        return lambda index: drawn[index]
    component, max_objects = foreground.component, config.foreground.max_objects
    if component is not None:
        reader = whole_reader(vit, config.detector, cached)

        def find(index: int) -> NDArray[np.bool_]:
            tokens = reader.read(images, index)
            size = area_sides(tokens.size, _SIDE, 1)
            return component.smooth_mask(tokens.patches[-1], size, max_objects)

        return find
    model = GroundedSam(config.foreground, vit.cls_token.device)
    prompt = foreground.prompt
    assert prompt is not None
    return lambda index: model.find(images.image(index), prompt)
