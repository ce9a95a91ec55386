"""How a detector looks at pictures: what part of them, and as which vectors."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.data.frame import Frame
from anomalyncd.detect.features import FeatureSpace
from anomalyncd.detect.framing import Framing
from anomalyncd.detect.nearest import grid_positions
from anomalyncd.detect.product import Product
from anomalyncd.model.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Seen:
    """One picture, as a detector sees it."""

    features: list[Tensor]
    """For each layer and neighbourhood the unit vectors of the patches, (D, rows, columns)."""
    size: tuple[int, int]
    """Height and width of the picture, px."""
    frame: Frame | None
    """What the patches show of it; None for all of it."""
    product: NDArray[np.bool_] | None = None
    """Which patches show the product, (rows, columns); None where the background is kept."""
    cls: Tensor | None = None
    """The CLS token, (D,), float32, on the CPU, where image scores are re-ranked."""

    def vectors(self) -> list[Tensor]:
        """For each layer and neighbourhood the unit vectors of what is not masked, (N, D)."""
        return [self.unmasked(one.movedim(0, -1)) for one in self.features]

    def positions(self) -> Tensor:
        """Where the patches of `vectors` lie, (N, 2); see `grid_positions`."""
        rows, columns = self.features[0].shape[1:]
        return self.unmasked(grid_positions(rows, columns).view(rows, columns, 2))

    def unmasked(self, patches: Tensor) -> Tensor:
        """What is not masked, (N, ...), of something a patch, (rows, columns, ...)."""
        flat = patches.flatten(0, 1)
        if self.product is None:
            return flat
        return flat[torch.from_numpy(self.product.ravel()).to(flat.device)]


@dataclass(frozen=True, eq=False)
class View:
    """What a detector looks at in every picture."""

    resolution: int
    """Side of the square with the area at which the backbone is shown it, px."""
    framing: Framing | None
    """Where the product is; None looks at whole pictures."""
    space: FeatureSpace
    """How patches become vectors."""
    product: Product | None = None
    """Tells the product from the background, which is masked; None keeps it."""

    def seen(self, tokens: Tokens, size: tuple[int, int], frame: Frame | None) -> Seen:
        """A picture through this view.

        Args:
            tokens: Of what is looked at.
            size: Height and width of the whole picture, px.
            frame: What is looked at; None for all of it.
        """
        cls = tokens.cls[0].float().cpu() if tokens.cls else None
        return Seen(self.space.features(tokens), size, frame, self._product(tokens), cls)

    def _product(self, tokens: Tokens) -> NDArray[np.bool_] | None:
        """The product and a patch around it; None where the background is kept, or is all."""
        if self.product is None:
            return None
        mask = self.product.mask(tokens.patches[-1]).astype(np.uint8)
        return cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0 if mask.any() else None
