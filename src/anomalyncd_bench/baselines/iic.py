"""IIC (Ji et al., ICCV 2019): mutual information between the classes of two views."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd_bench.baselines.inputs import BaselineInputs, required
from anomalyncd_bench.baselines.trained import (
    CLSEncoder,
    LinearHeads,
    Schedule,
    central_features,
    classes_of,
    minimise,
    seeded,
)

_N_HEADS, _OVERCLUSTERING = 5, 5
_LEARNING_RATE = 3e-4
_BATCH = 64


@dataclass(frozen=True)
class IIC:
    """Maximises the mutual information between the classes of two views of an image; five heads of
    the true number of classes, and five auxiliary heads of five times as many.

    Better than published: a pretrained backbone instead of random weights. Simplified: both kinds
    of heads are trained in every step, not in turn; batches of 64 and three times the learning
    rate, for 100 epochs; the head with the lowest loss counts.
    """

    epochs: int = 100
    """Passes over the images."""
    needs: ClassVar[frozenset[str]] = frozenset({"views"})

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """See `Baseline.fit_predict`."""
        views = required(inputs.views, "training views", "IIC")
        encoder, cache = CLSEncoder(views.encoder), views.tokens
        generator, n_classes = torch.Generator().manual_seed(inputs.seed), inputs.n_classes
        width, device = encoder.width, encoder.device
        heads = seeded(lambda: LinearHeads(width, n_classes, _N_HEADS), inputs.seed, device)
        finer = seeded(
            lambda: LinearHeads(width, _OVERCLUSTERING * n_classes, _N_HEADS), inputs.seed, device
        )
        last = torch.zeros(_N_HEADS)

        def loss(rows: Tensor, epoch: int) -> Tensor:
            features = encoder(cache.two_views(rows, generator, device))
            informative = mutual_information(*heads(features).softmax(-1).chunk(2, dim=1))
            if epoch == self.epochs - 1:
                last.sub_(len(rows) * informative.detach().cpu())
            further = mutual_information(*finer(features).softmax(-1).chunk(2, dim=1))
            return -informative.mean() - further.mean()

        parameters = [*encoder.trainable(), *heads.parameters(), *finer.parameters()]
        optimiser = torch.optim.Adam(parameters, lr=_LEARNING_RATE)
        minimise(loss, optimiser, Schedule(len(cache), self.epochs, _BATCH), generator)
        with torch.no_grad():
            return classes_of(heads(central_features(encoder, cache))[int(last.argmin())])


def mutual_information(first: Tensor, second: Tensor) -> Tensor:
    """Mutual information, in nats, between the classes of two views of the same images.

    Args:
        first: Probabilities, (..., B, C).
        second: Those of the other views, (..., B, C).

    Returns:
        (...): sum of P log(P / (P_row P_column)), P being the mean outer product, made symmetric.
    """
    joint = first.transpose(-2, -1) @ second / first.shape[-2]
    joint = ((joint + joint.transpose(-2, -1)) / 2).clamp(min=1e-12)
    rows, columns = joint.sum(-1, keepdim=True), joint.sum(-2, keepdim=True)
    return (joint * (joint.log() - rows.log() - columns.log())).sum((-2, -1))
