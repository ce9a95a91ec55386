"""SCAN (Van Gansbeke et al., ECCV 2020): neighbours share a class; then self-labelling."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anomalyncd.embedding.token_store import TokenStore
from anomalyncd_bench.baselines.inputs import BaselineInputs, required
from anomalyncd_bench.baselines.trained import (
    CLSEncoder,
    LinearHeads,
    Schedule,
    central_features,
    classes_of,
    minimise,
    random_view,
    seeded,
)

MOST_NEIGHBOURS = 20
_ENTROPY_WEIGHT = 5.0
_CONFIDENT = 0.99
_LEARNING_RATE, _WEIGHT_DECAY = 1e-4, 1e-4
_BATCH = 64


@dataclass(frozen=True)
class SCAN:
    """Trains nearest neighbours to get the same class while all classes are used; then images that
    are classified with confidence give pseudo-labels to their augmented views.

    Better than published: neighbours by the CLS tokens of the backbone instead of a pretext task.
    Simplified: 20 neighbours as in the paper, but at most half the mean size of a class; one head;
    flips, rotations and colours as augmentation, and none for weak views; 50 epochs of each step
    instead of 100.
    """

    epochs: int = 50
    """Passes over the images in each of the two steps."""
    needs: ClassVar[frozenset[str]] = frozenset({"views"})

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """See `Baseline.fit_predict`."""
        views = required(inputs.views, "training views", "SCAN")
        encoder, cache = CLSEncoder(views.encoder), views.tokens
        head = seeded(
            lambda: LinearHeads(encoder.width, inputs.n_classes, 1), inputs.seed, encoder.device
        )
        generator = torch.Generator().manual_seed(inputs.seed)
        n_neighbours = min(MOST_NEIGHBOURS, max(1, len(cache) // (2 * inputs.n_classes)))
        near = neighbours(central_features(encoder, cache), n_neighbours)
        self._fit_neighbours(encoder, head, cache, near, generator)
        self._fit_self_labels(encoder, head, cache, generator)
        with torch.no_grad():
            return classes_of(head(central_features(encoder, cache))[0])

    def _fit_neighbours(
        self,
        encoder: CLSEncoder,
        head: LinearHeads,
        cache: TokenStore,
        near: Tensor,
        generator: torch.Generator,
    ) -> None:
        def loss(rows: Tensor, epoch: int) -> Tensor:
            chosen = torch.randint(near.shape[1], rows.shape, generator=generator)
            views = [
                random_view(cache, which, generator, encoder.device)
                for which in (rows, near[rows, chosen])
            ]
            anchors, others = (head(encoder(view))[0].softmax(-1) for view in views)
            return neighbour_loss(anchors, others)

        self._minimise(loss, encoder, head, cache, generator)

    def _fit_self_labels(
        self,
        encoder: CLSEncoder,
        head: LinearHeads,
        cache: TokenStore,
        generator: torch.Generator,
    ) -> None:
        def loss(rows: Tensor, epoch: int) -> Tensor | None:
            with torch.no_grad():
                weak = cache.batch(rows, torch.zeros_like(rows), encoder.device)
                probabilities = head(encoder(weak))[0].softmax(-1)
            strong = head(encoder(random_view(cache, rows, generator, encoder.device)))[0]
            return self_label_loss(strong, probabilities)

        self._minimise(loss, encoder, head, cache, generator)

    def _minimise(
        self,
        loss: Callable[[Tensor, int], Tensor | None],
        encoder: CLSEncoder,
        head: LinearHeads,
        cache: TokenStore,
        generator: torch.Generator,
    ) -> None:
        parameters = [*encoder.trainable(), *head.parameters()]
        optimiser = torch.optim.Adam(parameters, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        minimise(loss, optimiser, Schedule(len(cache), self.epochs, _BATCH), generator)


def neighbours(features: Tensor, count: int) -> Tensor:
    """The other images that are nearest to each image by cosine, (N, count), nearest first."""
    unit = functional.normalize(features.cpu(), dim=1)
    return (unit @ unit.T).fill_diagonal_(-2).topk(count).indices


def neighbour_loss(anchors: Tensor, others: Tensor) -> Tensor:
    """Negative log agreement, minus five times the entropy of the mean (SCAN, eq. 2).

    Args:
        anchors: Probabilities, (B, C).
        others: Those of a neighbour of each, (B, C).
    """
    agreement = (anchors * others).sum(1).clamp(min=1e-8).log().mean()
    mean = anchors.mean(0).clamp(min=1e-8)
    return -agreement + _ENTROPY_WEIGHT * (mean * mean.log()).sum()


def self_label_loss(strong: Tensor, weak: Tensor) -> Tensor | None:
    """Cross-entropy with the classes of images classified with confidence, balanced by class.

    Args:
        strong: Logits of augmented views, (B, C).
        weak: Probabilities of the views without augmentation, (B, C), without a gradient.

    Returns:
        Scalar; None if no image is classified with a probability above 0.99.
    """
    highest, labels = weak.max(1)
    sure = highest > _CONFIDENT
    if not sure.any():
        return None
    counts = torch.bincount(labels[sure], minlength=weak.shape[1])
    balance = sure.sum() / counts.clamp(min=1)
    return functional.cross_entropy(strong[sure], labels[sure], weight=balance)
