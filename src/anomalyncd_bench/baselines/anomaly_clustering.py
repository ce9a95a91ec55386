"""Baselines that describe each image by a mean of its anomalous patches: anomaly clustering (AC;
Sohn et al., WACV 2023) and UniFormaly (Lee et al., 2023)."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering
from torch import Tensor
from torch.nn import functional

from anomalyncd.discovery.prototypes import kmeans
from anomalyncd.runtime.progress import track
from anomalyncd_bench.baselines.inputs import BaselineInputs, ReadOneByOne, required

NEIGHBOURHOOD = 3
"""Side, in patches, of the square over which tokens are averaged, as in the paper."""
MOST_REFERENCES = 40
"""Most images with which patches are compared; the paper uses all."""
TYPICAL_SHARE = 0.1
"""Share of its patches over which a typical image spreads its weights, see
docs/reference/baselines.md."""
SHARE = 0.05
"""Share of its patches by which UniFormaly describes an image."""


@dataclass(frozen=True)
class AnomalyClustering:
    """Each image is the mean of its patches, weighted by softmax(d / tau); then Ward linkage.

    The distances d are those of the paper, to the nearest patch of other images (mean over them) or
    of normal images; or, better than published, the scores of the anomaly maps of the benchmark.
    The paper gives tau in the unit of its backbone's distances; here it is the value that spreads
    the weights of a typical image over 10 % of its patches. Simplified: two middle blocks of a
    vision transformer, joined, replace two middle stages of a Wide ResNet-50; patches are compared
    with at most 40 images, drawn at random.
    """

    distances: Literal["others", "normals", "maps"]
    """What patches are compared with; `maps` uses anomaly maps instead."""

    @property
    def needs(self) -> frozenset[str]:
        """See `Baseline.needs`."""
        return frozenset() if self.distances == "others" else frozenset({self.distances})

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """See `Baseline.fit_predict`."""
        patches, distances = inputs.images.patches, self._distances(inputs)
        tau = typical_temperature(distances, TYPICAL_SHARE)
        means = [
            (softmax_weights(distance, tau) @ vectors(patches[index])).numpy()
            for index, distance in enumerate(distances)
        ]
        ward = AgglomerativeClustering(inputs.n_classes, linkage="ward")
        return np.asarray(ward.fit_predict(np.stack(means)), np.int64)

    def _distances(self, inputs: BaselineInputs) -> list[Tensor]:
        """How anomalous each patch of each image is, (P,)."""
        patches = inputs.images.patches
        if self.distances == "maps":
            maps = required(inputs.maps, "anomaly maps", "AC on maps")
            return [on_patches(maps[index], patches[index]) for index in range(len(patches))]
        if self.distances == "others":
            return distances_to_others(patches, inputs.seed)
        normals = required(inputs.normals, "normal images", "AC with normals")
        drawn = _drawn(normals.patches, inputs.seed)
        bank = torch.cat([vectors(normals.patches[index]) for index in drawn])
        indices = track(range(len(patches)), "Comparing with normal images")
        return [nearest(vectors(patches[index]), bank) for index in indices]


@dataclass(frozen=True)
class UniFormaly:
    """Each image is the mean of its 5 % most anomalous patches; then k-means, ten starts.

    Better than published: patches are ranked by the anomaly maps of the benchmark instead of its
    own memory bank with attention masks. Simplified: tokens are averaged over two middle blocks
    instead of eight.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"maps"})

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """See `Baseline.fit_predict`."""
        maps = required(inputs.maps, "anomaly maps", "UniFormaly")
        patches = inputs.images.patches
        means = []
        for index in range(len(patches)):
            tokens = patches[index]
            means.append(top_mean(tokens.mean(0).flatten(1).T, on_patches(maps[index], tokens)))
        return kmeans(np.stack([mean.numpy() for mean in means]), inputs.n_classes, inputs.seed)[1]


def vectors(patches: Tensor) -> Tensor:
    """Tokens averaged over 3 x 3 patches, those of all blocks joined.

    Args:
        patches: (blocks, D, rows, columns).

    Returns:
        (P, blocks * D), row by row.
    """
    near = functional.avg_pool2d(
        patches, NEIGHBOURHOOD, stride=1, padding=NEIGHBOURHOOD // 2, count_include_pad=False
    )
    return near.flatten(0, 1).flatten(1).T.contiguous()


def on_patches(anomaly_map: NDArray[np.float32], patches: Tensor) -> Tensor:
    """Mean score of each patch, (P,), of a map (H, W) over patches (..., rows, columns)."""
    scores = torch.from_numpy(np.asarray(anomaly_map, np.float32))[None, None]
    return functional.adaptive_avg_pool2d(scores, (patches.shape[-2], patches.shape[-1])).flatten()


def top_mean(tokens: Tensor, scores: Tensor) -> Tensor:
    """Mean (D,) of the tokens (P, D) with the highest 5 % of the scores (P,), at least of one."""
    return tokens[scores.topk(max(1, round(SHARE * len(scores)))).indices].mean(0)


def nearest(points: Tensor, references: Tensor) -> Tensor:
    """Euclidean distance of each point, (P, D), to the nearest reference, (Q, D)."""
    squares = references.square().sum(1) - 2 * points @ references.T
    return (squares.amin(1) + points.square().sum(1)).clamp(min=0).sqrt()


def distances_to_others(patches: ReadOneByOne[Tensor], seed: int) -> list[Tensor]:
    """Mean distance of each patch to its nearest in each of the other images (AC, unsupervised).

    Args:
        patches: Of at least two images, (blocks, D, rows, columns) each.
        seed: Draws the images of the comparison, if there are more than 40.

    Returns:
        For each image (P,).
    """
    references = {index: vectors(patches[index]) for index in _drawn(patches, seed)}
    distances = []
    for index in track(range(len(patches)), "Comparing with other images"):
        points = vectors(patches[index])
        nearby = [nearest(points, other) for i, other in references.items() if i != index]
        distances.append(torch.stack(nearby).mean(0))
    return distances


def softmax_weights(distances: Tensor, temperature: float) -> Tensor:
    """Weights of the patches of one image, (P,), which sum to 1: softmax(d / tau)."""
    return torch.softmax(distances / temperature, dim=0)


def typical_temperature(distances: list[Tensor], share: float) -> float:
    """The temperature at which a typical image spreads its weights over a share of its patches.

    How many patches weights are spread over is the exponential of their entropy.

    Args:
        distances: For each image (P,).
        share: 0..1.
    """
    low, high = -6.0, 6.0  # decimal logarithms
    for _ in range(40):
        middle = (low + high) / 2
        too_sharp = _typical_spread(distances, 10.0**middle) < share
        low, high = (middle, high) if too_sharp else (low, middle)
    return math.pow(10, low)


def _typical_spread(distances: list[Tensor], temperature: float) -> float:
    """Share of its patches over which the median image spreads its weights."""
    spreads = []
    for distance in distances:
        log_weights = torch.log_softmax(distance.double() / temperature, dim=0)
        entropy = -(log_weights.exp() * log_weights).sum()
        spreads.append(float(entropy.exp()) / len(distance))
    return float(np.median(spreads))


def _drawn(images: ReadOneByOne[Tensor], seed: int) -> list[int]:
    """At most 40 images, drawn at random."""
    chosen = np.random.default_rng(seed).permutation(len(images))[:MOST_REFERENCES]
    return [int(index) for index in np.sort(chosen)]
