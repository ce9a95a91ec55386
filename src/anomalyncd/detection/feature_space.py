"""The feature space in which patches are compared, and distances in it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from anomalyncd.backbone.features import Tokens, normalised
from anomalyncd.config import DetectorConfig
from anomalyncd.io.component import Component


def similarities(features: Tensor, others: Tensor) -> Tensor:
    """Computes the cosines of unit vectors, minus 1: from -2 to 0, and 0 for equal vectors.

    A similarity is half the negative squared distance. It is 0 for the nearest patches, where
    bfloat16 is finest; cosines near 1 would be rounded to multiples of 0.004.

    Args:
        features: Unit vectors of the patches of an image, or their projections, (D, rows, columns).
        others: Unit vectors that they are compared with, projected alike, (M, D).

    Returns:
        (M, rows * columns), on the device and in the precision of `features`.
    """
    minus_one = features.new_full((1, features[0].numel()), -1)
    return torch.addmm(minus_one, others.to(features.device, features.dtype), features.flatten(1))


def distances(similarity: Tensor) -> Tensor:
    """Converts similarities to distances from 0 to 2, float32; `NEVER` becomes 2."""
    return (-2 * similarity.float()).clamp(0, 4).sqrt()


def pooled(tokens: Tokens, neighbourhoods: tuple[int, ...]) -> list[Tensor]:
    """Normalises tokens and averages them over neighbourhoods, with zeros outside the image.

    Args:
        tokens: Tokens of an image.
        neighbourhoods: Sides of the square neighbourhoods, in patches.

    Returns:
        For each layer and neighbourhood (D, rows, columns), float32.

    Source: MuSc, section 3.1.
    """
    maps = []
    for patches in tokens.patches:
        tokens_of_layer = normalised(patches.float())
        maps += [
            functional.avg_pool2d(tokens_of_layer, side, stride=1, padding=side // 2)
            for side in neighbourhoods
        ]
    return maps


@dataclass(frozen=True, eq=False)
class FeatureSpace(Component):
    """Turns tokens into unit vectors whose distances are not dominated by the mean token.

    The mean token is subtracted, and a further coordinate of constant length is added. Without it,
    tokens near the mean would point in arbitrary directions.

    Source: our own; see docs/decisions/default-preset.md.
    """

    means: tuple[Tensor, ...]
    """Mean token for each layer and neighbourhood, (D,)."""
    constants: tuple[float, ...]
    """Further coordinate for each layer and neighbourhood."""
    neighbourhoods: tuple[int, ...]
    """Sides, in patches, of the squares over which tokens are averaged."""

    def features(self, tokens: Tokens) -> list[Tensor]:
        """Computes the unit vectors of the patches of one image.

        Args:
            tokens: Tokens of the image.

        Returns:
            For each layer and neighbourhood (D + 1, rows, columns), in the precision of the tokens.
        """
        features = []
        precision = tokens.patches[0].dtype
        with torch.inference_mode():
            maps = pooled(tokens, self.neighbourhoods)
            for patches, mean, constant in zip(maps, self.means, self.constants, strict=True):
                centred = patches - mean.to(patches.device)[:, None, None]
                common = torch.full_like(centred[:1], constant)
                unit = functional.normalize(torch.cat([centred, common]), dim=0)
                features.append(unit.to(precision))
        return features


def fit_feature_space(images: list[Tokens], config: DetectorConfig) -> FeatureSpace:
    """Computes the mean token and the further coordinate of each layer and neighbourhood.

    Args:
        images: Tokens of some images.
        config: Neighbourhoods, and `common`.
    """
    means, constants = [], []
    maps = [pooled(tokens, config.neighbourhoods) for tokens in images]
    for layer in zip(*maps, strict=True):
        patches = torch.cat([patches_of_image.flatten(1).T for patches_of_image in layer]).cpu()
        mean = patches.mean(0)
        spread = (patches - mean).square().sum(1).mean().sqrt()
        means.append(mean)
        constants.append(config.common * max(float(spread), 1e-6))
    return FeatureSpace(tuple(means), tuple(constants), config.neighbourhoods)
