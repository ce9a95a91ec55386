"""The built-in detectors, with arrays in place of tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from anomalyncd.detection.array_search import BankSearch, ReferenceSearch
from anomalyncd.detection.candidates import NEVER
from anomalyncd.detection.clusters import Vectors
from anomalyncd.detection.tiles import are_own
from anomalyncd.runner.folder import ExportedModel

_N_NEAREST = 5


@dataclass(frozen=True)
class _Extractor:
    tile_side: int | None


class GraphDetector:
    """Scores the patches of an image, as the `Detector` that was exported does.

    Args:
        model: Vectors of the patches that others are compared with, and their names.
    """

    def __init__(self, model: ExportedModel) -> None:
        facts, arrays = model.facts, model.arrays_of("detector")
        self.extractor = _Extractor(facts["tile_side"])
        self._names: tuple[str, ...] = tuple(facts["names"])
        count = sum(name.startswith("vectors.") for name in arrays)
        vectors = [arrays[f"vectors.{index}"] for index in range(count)]
        discounts = [arrays.get(f"discounts.{index}") for index in range(count)]
        lengths, closest = tuple(facts["lengths"]), tuple(facts["closest"])
        self._scorers: list[Callable[..., Vectors]]
        if facts["detector"] == "memory bank":
            banks = map(BankSearch, vectors)
            self._scorers = [partial(_by_bank, *one) for one in zip(banks, discounts, strict=True)]
        else:
            references = (ReferenceSearch(one, lengths) for one in vectors)
            self._scorers = [
                partial(_by_references, closest, *one)
                for one in zip(references, discounts, strict=True)
            ]

    def patch_scores(self, features: list[Vectors], name: str) -> Vectors:
        """Computes the anomaly score of each patch, see `Detector.patch_scores`.

        Args:
            features: Unit vectors of the patches, (rows, columns, D) for each layer.
            name: Name of the image, which is never compared with itself.

        Returns:
            (rows, columns).
        """
        own = np.array(are_own(self._names, name))
        by_layer = [
            scorer(np.ascontiguousarray(one.reshape(-1, one.shape[-1])), own)
            for scorer, one in zip(self._scorers, features, strict=True)
        ]
        scores: Vectors = np.mean(by_layer, axis=0, dtype=np.float32)
        return scores.reshape(features[0].shape[:2])


def _by_references(
    closest: tuple[float, float],
    search: ReferenceSearch,
    discounts: Vectors | None,
    patches: Vectors,
    own: NDArray[np.bool_],
) -> Vectors:
    """See `MutualScoring`; patches (P, D)."""
    similarity, index = search.nearest(patches)
    similarity, index = similarity[~own], index[~own]
    first, last = (round(share * len(similarity)) for share in closest)
    first = min(first, len(similarity) - 1)
    last = max(last, first + 1)
    counting = np.argsort(-similarity, axis=0, kind="stable")[first:last]
    distance = _distances(np.take_along_axis(similarity, counting, 0))
    if discounts is not None:
        distance = distance - discounts[np.take_along_axis(index, counting, 0)]
    means: Vectors = np.maximum(distance.mean(0), 0)
    return means


def _by_bank(
    search: BankSearch, discounts: Vectors | None, patches: Vectors, own: NDArray[np.bool_]
) -> Vectors:
    """See `MemoryBank`; patches (P, D)."""
    if discounts is None:
        return _distances(search.nearest(patches, 1, own)[0][0])
    values, index = search.nearest(patches, _N_NEAREST, own)
    allowed = np.where(values == NEVER, 0, discounts[index])
    best = (_distances(values) - allowed).argmin(0)[None]
    scores = np.take_along_axis(_distances(values) - discounts[index], best, 0)[0]
    discounted: Vectors = np.maximum(scores, 0)
    return discounted


def _distances(similarity: Vectors) -> Vectors:
    """See `detection.feature_space.distances`."""
    return np.sqrt(np.clip(-2 * similarity, 0, 4))
