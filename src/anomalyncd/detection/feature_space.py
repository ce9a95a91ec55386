"""Unit vectors of patches, and distances between them."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from anomalyncd.backbone.features import Tokens, normalised
from anomalyncd.config import DetectorConfig
from anomalyncd.io.component import Component

NEVER = -3.0
"""A similarity below any other: that of patches that are not compared."""


def similarities(features: Tensor, others: Tensor) -> Tensor:
    """Cosines of unit vectors, minus 1: -2..0, 0 where they are equal.

    This is half the negative squared distance. bfloat16 has its finest steps next to 0, where the
    nearest patches are; cosines near 1 would be rounded to steps of .004.

    Args:
        features: Unit vectors of the patches of an image, (D, rows, columns).
        others: Unit vectors to compare with, (M, D).

    Returns:
        (M, rows * columns), on the device and in the precision of `features`.
    """
    minus_one = features.new_full((1, features[0].numel()), -1)
    return torch.addmm(minus_one, others.to(features.device, features.dtype), features.flatten(1))


def distances(similarity: Tensor) -> Tensor:
    """Distances 0..2 of unit vectors, float32, of the shape of their `similarities`; `NEVER` becomes 2."""
    return (-2 * similarity.float()).clamp(0, 4).sqrt()


def pooled(tokens: Tokens, neighbourhoods: tuple[int, ...]) -> list[Tensor]:
    """Normalised tokens, averaged over r x r patches with zeros outside (MuSc, section 3.1).

    The result is float32, in which differences from a mean are taken.

    Args:
        tokens: As they leave the backbone.
        neighbourhoods: The sides r, in patches.

    Returns:
        For each layer and neighbourhood (D, rows, columns).
    """
    maps = []
    for patches in tokens.patches:
        whole = normalised(patches.float())
        maps += [
            functional.avg_pool2d(whole, side, stride=1, padding=side // 2)
            for side in neighbourhoods
        ]
    return maps


@dataclass(frozen=True, eq=False)
class FeatureSpace(Component):
    """Turns tokens into unit vectors that differ by more than their common mean.

    The cosine of two tokens is dominated by their common mean. The mean is therefore subtracted,
    and a further coordinate of constant length is added, without which tokens near the mean would
    point in arbitrary directions. Our own; docs/decisions/default-preset.md.
    """

    means: tuple[Tensor, ...]
    """For each layer and neighbourhood the mean token, (D,)."""
    constants: tuple[float, ...]
    """For each layer and neighbourhood the further coordinate."""
    neighbourhoods: tuple[int, ...]
    """Sides, in patches, of the squares over which tokens are averaged."""

    def features(self, tokens: Tokens) -> list[Tensor]:
        """Unit vectors of the patches of one image.

        Args:
            tokens: As they leave the backbone.

        Returns:
            For each layer and neighbourhood (D + 1, rows, columns), in the precision of the tokens.
        """
        features = []
        precision = tokens.patches[0].dtype
        with torch.inference_mode():
            maps = pooled(tokens, self.neighbourhoods)
            for one, mean, constant in zip(maps, self.means, self.constants, strict=True):
                centred = one - mean.to(one.device)[:, None, None]
                common = torch.full_like(centred[:1], constant)
                unit = functional.normalize(torch.cat([centred, common]), dim=0)
                features.append(unit.to(precision))
        return features


def fit_feature_space(images: list[Tokens], config: DetectorConfig) -> FeatureSpace:
    """Fits the mean of the patches and the length of the common coordinate.

    Args:
        images: Tokens of some images, as they leave the backbone.
        config: Neighbourhoods, and `common`.
    """
    means, constants = [], []
    maps = [pooled(tokens, config.neighbourhoods) for tokens in images]
    for layer in zip(*maps, strict=True):
        patches = torch.cat([one.flatten(1).T for one in layer]).cpu()
        mean = patches.mean(0)
        spread = (patches - mean).square().sum(1).mean().sqrt()
        means.append(mean)
        constants.append(config.common * max(float(spread), 1e-6))
    return FeatureSpace(tuple(means), tuple(constants), config.neighbourhoods)
