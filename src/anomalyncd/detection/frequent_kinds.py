"""Kinds of defects that so many images show that the closest references show them as well.

Our own; see docs/decisions/frequent-kinds.md.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from anomalyncd.detection.matches import Matches, most_similar
from anomalyncd.io.component import Component
from anomalyncd.runtime.wording import counted

_SIMILAR = 0.5
"""Share of the references, those that resemble an image most, in which a patch is looked for."""
_MIDDLE = (0.3, 0.5)
"""First and last share of these references, closest first: a patch that fewer of them show is far
from these."""
_WINDOW = 2
"""Side of the square of patches that must agree."""
_FEWEST_IMAGES = 20
_LEAST_SHARE = 0.1
_LARGEST_SHARE = 0.5
_LEAST_GAP = 0.45
"""Gap of a frequent kind, in highest scores of an ordinary image. With 40 references, 15 to 42 % of
them had such a gap on a set with a frequent kind, and at most 5 % on eight other sets
(docs/decisions/frequent-kinds.md)."""


@dataclass(frozen=True, eq=False)
class FrequentKinds(Component):
    """What tells patches of frequent kinds from normal ones: a gap in their distances.

    A patch of a frequent kind is close to the references that show the kind too, and far from the
    others. Its gap is the difference between these distances.
    """

    gap: float
    """Mean gap of a square of patches above which they count as a frequent kind."""
    n_images: int
    """Number of references with such patches."""
    n_references: int
    """Number of references."""

    def __str__(self) -> str:
        return (
            f"A frequent kind: {self.n_images} of {counted(self.n_references, 'image')} that were "
            "compared have a place in common that most images, otherwise alike, show differently. "
            "It counts as a defect. If it is normal, set the config field "
            "`detector.frequent_kinds` to false."
        )


def with_frequent_kinds(scores: Tensor, matches: list[Matches], kinds: FrequentKinds) -> Tensor:
    """Raises the scores of patches that belong to a frequent kind; all others stay as they are.

    Args:
        scores: Scores of the patches of an image by the closest references, (rows, columns).
        matches: Those of the image for each layer and neighbourhood.
        kinds: The gap from which on a patch belongs to a frequent kind.

    Returns:
        (rows, columns).
    """
    in_similar = _scores_in_similar(matches, scores)
    gaps = _windows(in_similar - scores)
    sides = (min(_WINDOW, scores.shape[0]), min(_WINDOW, scores.shape[1]))
    margin = (sides[0] - 1, sides[1] - 1)
    largest = functional.max_pool2d(gaps[None], sides, stride=1, padding=margin)[0]
    return torch.where(largest >= kinds.gap, in_similar.maximum(scores), scores)


def find_frequent_kinds(scores: list[Tensor], matches: list[list[Matches]]) -> FrequentKinds | None:
    """Tests whether some of the references share a place that most of them show differently.

    Only places count that the closest references do not show to be anomalous already.

    Args:
        scores: Scores of the patches of each reference, compared with the others,
            (rows, columns).
        matches: Matches of each reference in the others, for each layer and neighbourhood.

    Returns:
        None unless from a tenth to half of the references have a large gap.
    """
    if len(scores) < _FEWEST_IMAGES:
        return None
    averaged = [_windows(of_image) for of_image in scores]
    ordinary = float(np.median([float(of_image.max()) for of_image in averaged]))
    least, count = _LEAST_GAP * ordinary, 0
    for of_image, found, smooth in zip(scores, matches, averaged, strict=True):
        gaps = _windows(_scores_in_similar(found, of_image) - of_image)
        count += bool((gaps[smooth <= ordinary] >= least).any())
    if not _LEAST_SHARE <= count / len(scores) <= _LARGEST_SHARE:
        return None
    return FrequentKinds(least, count, len(scores))


def _scores_in_similar(matches: list[Matches], like: Tensor) -> Tensor:
    """Mean distance to the middle ones of the similar references, (rows, columns)."""
    similar = most_similar(matches, _SIMILAR)
    scores = [of_layer.of(similar).scores(_MIDDLE) for of_layer in matches]
    return torch.stack(scores).mean(0).to(like.device).view(like.shape)


def _windows(patches: Tensor) -> Tensor:
    """Means over squares of patches, (rows - 1, columns - 1)."""
    sides = (min(_WINDOW, patches.shape[0]), min(_WINDOW, patches.shape[1]))
    return functional.avg_pool2d(patches[None], sides, stride=1)[0]
