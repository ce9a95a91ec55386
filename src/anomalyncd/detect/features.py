"""Patch tokens of an image, as detectors compare them."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from anomalyncd.model.tokens import Tokens
from anomalyncd.settings import DetectorSettings


def normalised(patches: Tensor) -> Tensor:
    """Tokens (D, rows, columns), normalised over the whole picture (MuSc, section 3.1)."""
    return functional.layer_norm(patches, patches.shape)


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


def fit_feature_space(pictures: list[Tokens], settings: DetectorSettings) -> FeatureSpace:
    """Learns what patches have in common.

    Args:
        pictures: Tokens of some images, as they leave the backbone.
        settings: Neighbourhoods, and `common`.
    """
    means, constants = [], []
    maps = [pooled(tokens, settings.neighbourhoods) for tokens in pictures]
    for same_kind in zip(*maps, strict=True):
        patches = torch.cat([one.flatten(1).T for one in same_kind]).cpu()
        mean = patches.mean(0)
        spread = (patches - mean).square().sum(1).mean().sqrt()
        means.append(mean)
        constants.append(settings.common * max(float(spread), 1e-6))
    return FeatureSpace(tuple(means), tuple(constants), settings.neighbourhoods)
