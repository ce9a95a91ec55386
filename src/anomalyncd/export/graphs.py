"""The parts of a model that run on its backbone, each as one graph of tensors."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from anomalyncd.backbone.vit import Block, VisionTransformer
from anomalyncd.detection.patches import PatchExtractor
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.embedding.augmentation import CropBatch, rotations
from anomalyncd.embedding.encoder import RegionEncoder


class PatchGraph(nn.Module):
    """From one image to the vectors that a detector compares, for any grid of patches.

    Args:
        vit: The backbone, in float32 on the CPU.
        extractor: Of the detector.
        layers: Blocks, counted from 0, whose patch tokens are compared.
    """

    def __init__(
        self, vit: VisionTransformer, extractor: PatchExtractor, layers: Sequence[int]
    ) -> None:
        super().__init__()
        self.vit, self.layers, self.space = vit, tuple(layers), extractor.space
        self.locator = extractor.roi_locator

    def forward(self, pixels: Tensor, positions: Tensor) -> tuple[Tensor, ...]:
        """Computes the vectors of the patches.

        Args:
            pixels: (1, 3, H, W), normalised, H and W multiples of the patch size.
            positions: Position embedding of the patches, (1, rows * columns, D).

        Returns:
            For each layer and neighbourhood unit vectors, (rows * columns, D + 1), row by row; then
            the coordinate of each patch that locates the foreground, (rows, columns), if the
            detector needs it.
        """
        embedded = self.vit.patch_embed(pixels)
        patches = embedded.flatten(2).transpose(1, 2) + positions
        tokens = torch.cat([_prefix(self.vit), patches], dim=1)
        maps = []
        for index in range(max(self.layers) + 1):
            tokens = cast(Block, self.vit.blocks[index])(tokens)
            if index in self.layers:
                grid = tokens[:, self.vit.n_prefix :].transpose(1, 2).reshape(embedded.shape)
                maps.append(_normalised(grid))
        pooled = [self._pooled(one, side) for one in maps for side in self.space.neighbourhoods]
        constants = zip(pooled, self.space.means, self.space.constants, strict=True)
        vectors = [_unit(*one) for one in constants]
        if self.locator is None:
            return tuple(vectors)
        foreground = self.locator.foreground
        centred = maps[-1][0] - foreground.mean[:, None, None]
        return (*vectors, (centred * foreground.direction[:, None, None]).sum(0))

    @staticmethod
    def _pooled(patches: Tensor, side: int) -> Tensor:
        if side == 1:
            return patches
        return functional.avg_pool2d(patches, side, stride=1, padding=side // 2)


def _prefix(vit: VisionTransformer) -> Tensor:
    cls, _ = vit.positions(vit.config.grid, vit.config.grid)
    prefix = vit.cls_token + cls
    return torch.cat([prefix, vit.reg_token], dim=1) if vit.config.n_registers else prefix


def _normalised(patches: Tensor) -> Tensor:
    """As `backbone.features.normalised`, written out so that the graph takes any grid."""
    centred = patches - patches.mean((1, 2, 3), keepdim=True)
    return centred / (centred.square().mean((1, 2, 3), keepdim=True) + 1e-5).sqrt()


def _unit(patches: Tensor, mean: Tensor, constant: float) -> Tensor:
    centred = patches[0].flatten(1).T - mean
    joined = torch.cat([centred, torch.full_like(centred[:, :1], constant)], dim=1)
    return functional.normalize(joined, dim=1)


class RegionGraph(nn.Module):
    """From crops and what guides attention to the pieces of their descriptors.

    Args:
        encoder: In float32 on the CPU.
    """

    def __init__(self, encoder: RegionEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor, masks: Tensor, maps: Tensor | None = None) -> Tensor:
        """Computes the pieces of the descriptors, the mean over all rotations.

        Args:
            images: (B, 3, S, S), normalised.
            masks: (B, 1, S, S), 0..1, 1 on the anomaly.
            maps: (B, 1, S, S), 0..1; None unless they guide attention.

        Returns:
            (B, sum of widths).
        """
        n_rotations = self.encoder.config.n_rotations
        views = [*rotations(CropBatch(images, masks, None, maps), n_rotations)]
        features = self.encoder.frozen_features(
            torch.cat([view.images for view in views]),
            torch.cat([view.masks for view in views]),
            None,
            None if maps is None else torch.cat([cast(Tensor, view.maps) for view in views]),
        )
        if n_rotations == 1:
            # As in a token store, from which the only view is read.
            features = replace(features, tokens=features.tokens.to(torch.bfloat16).float())
        pieces = self.encoder.read(features)
        means: Tensor = pieces.unflatten(0, (n_rotations, -1)).mean(0)
        return means


class ClassGraph(nn.Module):
    """From pieces and shapes to descriptors and their likeness to each prototype.

    Args:
        classifier: In float32 on the CPU.
    """

    def __init__(self, classifier: RegionClassifier) -> None:
        super().__init__()
        self.descriptor, self.prototypes = classifier.descriptor, classifier.prototypes

    def forward(self, pieces: Tensor, shapes: Tensor) -> tuple[Tensor, Tensor]:
        """Computes descriptors and cosines.

        Args:
            pieces: (B, sum of widths).
            shapes: (B, 2), see `Regions.shape`.

        Returns:
            Unit vectors, (B, D), and cosines with the prototypes, (B, K).
        """
        features = self.descriptor(pieces, shapes)
        return features, self.prototypes(features)[0]
