"""The built-in detectors, with arrays in place of tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.detection.largest import largest
from anomalyncd.detection.tiles import are_own
from anomalyncd.runner.folder import ExportedModel

_N_NEAREST = 5
_NEVER = -3.0
Vectors = NDArray[np.float32]


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
        self._vectors = [_from_bfloat16(arrays[f"vectors.{index}"]) for index in range(count)]
        self._discounts = [arrays.get(f"discounts.{index}") for index in range(count)]
        self._starts = np.concatenate([[0], np.cumsum(facts["lengths"])]).astype(int)
        self._closest: tuple[float, float] = tuple(facts["closest"])
        by_kind: dict[str, Callable[..., Vectors]] = {
            "memory bank": self._by_bank,
            "mutual scoring": self._by_references,
        }
        self._scores = by_kind[facts["detector"]]

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
            self._scores(layer, one.reshape(-1, one.shape[-1]), own)
            for layer, one in enumerate(features)
        ]
        scores: Vectors = np.mean(by_layer, axis=0, dtype=np.float32)
        return scores.reshape(features[0].shape[:2])

    def _by_references(self, layer: int, patches: Vectors, own: NDArray[np.bool_]) -> Vectors:
        """See `MutualScoring`; patches (P, D), one reference at a time."""
        values, indices = [], []
        for reference in np.flatnonzero(~own):
            start, stop = self._starts[reference : reference + 2]
            highest, rows = _nearest(self._vectors[layer][start:stop] @ patches.T, 1)
            values.append(highest - 1)
            indices.append(rows + start)
        similarity, index = np.concatenate(values), np.concatenate(indices)
        first, last = (round(share * len(similarity)) for share in self._closest)
        first = min(first, len(similarity) - 1)
        last = max(last, first + 1)
        closest = np.argsort(-similarity, axis=0, kind="stable")[first:last]
        distance = _distances(np.take_along_axis(similarity, closest, 0))
        discounts = self._discounts[layer]
        if discounts is not None:
            distance = distance - discounts[np.take_along_axis(index, closest, 0)]
        means: Vectors = np.maximum(distance.mean(0), 0)
        return means

    def _by_bank(self, layer: int, patches: Vectors, own: NDArray[np.bool_]) -> Vectors:
        """See `MemoryBank`; patches (P, D)."""
        similarity = self._vectors[layer] @ patches.T - np.float32(1)
        similarity[own] = _NEVER
        discounts = self._discounts[layer]
        if discounts is None:
            return _distances(_nearest(similarity, 1)[0][0])
        values, index = _nearest(similarity, min(_N_NEAREST, len(similarity)))
        allowed = np.where(values == _NEVER, 0, discounts[index])
        best = (_distances(values) - allowed).argmin(0)[None]
        chosen = np.take_along_axis(index, best, 0)[0]
        scores = _distances(np.take_along_axis(values, best, 0)[0]) - discounts[chosen]
        discounted: Vectors = np.maximum(scores, 0)
        return discounted


def _nearest(similarity: Vectors, count: int) -> tuple[Vectors, NDArray[np.int32]]:
    """See `detection.feature_space.nearest`."""
    bits, rows = largest(similarity.view(np.int32), count)
    return bits.view(np.float32), rows


def _distances(similarity: Vectors) -> Vectors:
    """See `detection.feature_space.distances`."""
    return np.sqrt(np.clip(-2 * similarity, 0, 4))


def _from_bfloat16(bits: NDArray[Any]) -> Vectors:
    """Numbers whose bits are stored as uint16, since NumPy has no bfloat16."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
