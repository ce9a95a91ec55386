"""The nearest patches that the patches of an image have in each reference image."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from anomalyncd.detection.feature_space import distances

_STEADY = 0.8
"""Share of the patches of an image, those whose distances vary least from reference to reference,
by which references are compared as wholes."""


@dataclass(frozen=True)
class Matches:
    """The nearest neighbours of P patches in R references, for one layer and neighbourhood."""

    similarity: Tensor
    """Similarity of each patch to its nearest neighbour, see `similarities`, (R, P), float32."""
    index: Tensor
    """Index of that neighbour among the patches of all references, (R, P), int64."""
    discounts: Tensor | None
    """Reference discount of each patch of all references, (N,), float32; None without it."""

    def scores(self, shares: tuple[float, float]) -> Tensor:
        """Computes the mean discounted distance of each patch to some of the references.

        Args:
            shares: First and last share of the references, closest first, that count.

        Returns:
            (P,), float32, at least 0.
        """
        count = len(self.similarity)
        first, last = (round(share * count) for share in shares)
        first = min(first, count - 1)
        last = max(last, first + 1)
        closest = self.similarity.topk(last, dim=0)
        distance = distances(closest.values[first:])
        if self.discounts is not None:
            matched = self.index.gather(0, closest.indices[first:])
            distance = distance - self.discounts.to(distance.device)[matched]
        return distance.mean(0).clamp(min=0)

    def of(self, references: Tensor) -> "Matches":
        """Returns the matches in some references, given by their indices."""
        return replace(self, similarity=self.similarity[references], index=self.index[references])


def most_similar(matches: list[Matches], share: float) -> Tensor:
    """Chooses the references that resemble an image as a whole.

    The patches whose distances vary most between references do not count: a kind of defect that
    some references show and others do not must not decide which of them are chosen.

    Args:
        matches: Those of one image for each layer and neighbourhood.
        share: Share of the references.

    Returns:
        Indices of the references, at least three if there are so many, (M,), int64.
    """
    distance = torch.stack([distances(of_layer.similarity) for of_layer in matches]).mean(0)
    count, n_patches = distance.shape
    steady = distance.std(0, correction=0).argsort()[: max(1, round(_STEADY * n_patches))]
    return distance[:, steady].mean(1).argsort()[: max(min(3, count), round(share * count))]
