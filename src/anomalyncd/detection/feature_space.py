"""Likeness of patches to others, and which of these count."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from anomalyncd.backbone.features import Tokens, normalised
from anomalyncd.config import DetectorConfig

NEVER = -3.0
"""A likeness below any other: that of patches that are not to be compared."""


@dataclass(frozen=True, eq=False)
class SamePlace:
    """Where patches that others are compared with lie, for images that are photographed alike."""

    positions: Tensor
    """(M, 2), float32: y and x of their middles, as shares of the height and width of the view."""
    within: float
    """How far from its own place a patch is compared, in the same shares."""

    def near(self, rows: int, columns: int) -> Tensor:
        """Which of the M patches lie near each patch of a grid, (M, rows * columns), bool.

        Half a patch is added, since the grids of two pictures may differ by a row.
        """
        reaches = []
        for axis, count in enumerate((rows, columns)):
            middles = (torch.arange(count) + 0.5) / count
            apart = (self.positions[:, axis : axis + 1].cpu() - middles).abs()
            reaches.append(apart <= self.within + 0.5 / count)
        return (reaches[0][:, :, None] & reaches[1][:, None]).flatten(1)


def grid_positions(rows: int, columns: int) -> Tensor:
    """Middles of the patches of a grid, (rows * columns, 2); see `SamePlace.positions`."""
    y, x = (torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns
    return torch.cartesian_prod(y, x).view(-1, 2)


def likeness(features: Tensor, others: Tensor) -> Tensor:
    """Cosines of unit vectors, minus 1: -2..0, 0 where they are equal.

    Half the squared distance with its sign turned. bfloat16 has its finest steps next to 0, where
    the nearest patches are; cosines near 1 would come in steps of .004.

    Args:
        features: Of the patches of a picture, (D, rows, columns).
        others: (M, D).

    Returns:
        (M, rows * columns), on the device and in the precision of `features`.
    """
    away = features.new_full((1, features[0].numel()), -1)
    return torch.addmm(away, others.to(features.device, features.dtype), features.flatten(1))


def distances(alike: Tensor) -> Tensor:
    """Distances 0..2 of unit vectors, float32, of the shape of their `likeness`; `NEVER` is 2."""
    return (-2 * alike.float()).clamp(0, 4).sqrt()


def pooled(tokens: Tokens, neighbourhoods: tuple[int, ...]) -> list[Tensor]:
    """Normalised tokens, averaged over r x r patches with zeros outside (MuSc, section 3.1).

    In float32, in which differences from a mean are taken.

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
class FeatureSpace:
    """Unit vectors of patches that differ by more than what all patches have in common.

    A token's cosine to another is mostly that of the mean token to itself. So the mean is taken
    away, and a further coordinate of constant length stands for it: without one, tokens near the
    mean would point anywhere. Our own; docs/decisions/default-preset.md.
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
                apart = one - mean.to(one.device)[:, None, None]
                common = torch.full_like(apart[:1], constant)
                unit = functional.normalize(torch.cat([apart, common]), dim=0)
                features.append(unit.to(precision))
        return features


def fit_feature_space(pictures: list[Tokens], config: DetectorConfig) -> FeatureSpace:
    """Learns what patches have in common.

    Args:
        pictures: Tokens of some images, as they leave the backbone.
        config: Neighbourhoods, and `common`.
    """
    means, constants = [], []
    maps = [pooled(tokens, config.neighbourhoods) for tokens in pictures]
    for same_kind in zip(*maps, strict=True):
        patches = torch.cat([one.flatten(1).T for one in same_kind]).cpu()
        mean = patches.mean(0)
        spread = (patches - mean).square().sum(1).mean().sqrt()
        means.append(mean)
        constants.append(config.common * max(float(spread), 1e-6))
    return FeatureSpace(tuple(means), tuple(constants), config.neighbourhoods)
