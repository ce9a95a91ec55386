"""UniFormaly (Lee et al., 2023): the mean of the most anomalous patches, then k-means."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.discovery.prototypes import kmeans
from anomalyncd_bench.baselines.anomaly_clustering import on_patches
from anomalyncd_bench.baselines.inputs import BaselineInputs, required

SHARE = 0.05
"""Share of the patches of an image that it is described by."""


@dataclass(frozen=True)
class UniFormaly:
    """Each image is the mean of its 5 % most anomalous patches; k-means, ten starts.

    A better start than the paper gave it: patches are ranked by the anomaly maps that everybody
    else gets, in place of its own memory bank with attention masks. Simplified: tokens are averaged
    over two middle blocks instead of eight.
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


def top_mean(tokens: Tensor, scores: Tensor) -> Tensor:
    """Mean (D,) of the tokens (P, D) with the highest 5 % of the scores (P,), at least of one."""
    return tokens[scores.topk(max(1, round(SHARE * len(scores)))).indices].mean(0)
