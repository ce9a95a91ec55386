"""Masks that hold for all images of a fixed camera, and therefore for those to come."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.mask_files import encode_mask
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.component import Component


@dataclass(frozen=True, eq=False)
class FixedMasks(Component):
    """The masks that were given once for all images."""

    ignored: NDArray[np.bool_] | None
    """Where nothing counts, (H, W); None where no such mask was given."""
    foreground: NDArray[np.bool_] | None
    """Where the product is, (H, W); None where no such mask was given."""

    @classmethod
    def of(cls, inputs: Inputs) -> "FixedMasks | None":
        """Takes the masks that hold for all images; None where there are none."""
        ignored, foreground = _fixed(inputs.ignored), _fixed(inputs.foreground)
        return None if ignored is None and foreground is None else cls(ignored, foreground)

    def complete(self, inputs: Inputs) -> Inputs:
        """Returns new images with these masks, each where no other is given for them.

        The masks are scaled to each image. In maps and masks that were given, nothing counts at
        the places to ignore either.
        """
        ignored, maps, masks = inputs.ignored, inputs.maps, inputs.masks
        if ignored is None and self.ignored is not None:
            ignored = _on_all(self.ignored, inputs.images)
            maps = None if maps is None else replace(maps, ignored=ignored)
            masks = None if masks is None else replace(masks, ignored=ignored)
        foreground = inputs.foreground or _on_all(self.foreground, inputs.images)
        return replace(inputs, ignored=ignored, foreground=foreground, maps=maps, masks=masks)


def _fixed(masks: Masks | None) -> NDArray[np.bool_] | None:
    """The mask that all images share, as the first of them sees it."""
    if masks is None or masks.shared is None or len(set(masks.turns)) > 1:
        return None
    return masks[0]


def _on_all(mask: NDArray[np.bool_] | None, images: ImageSet) -> Masks | None:
    return None if mask is None else Masks(images, (encode_mask(mask),) * len(images))
