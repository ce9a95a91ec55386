"""UNO (Fini et al., ICCV 2021): one loss over labelled classes and Sinkhorn pseudo-labels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from anomalyncd.discovery.classifier import PrototypeHeads
from anomalyncd.embedding.region_store import trainable
from anomalyncd_bench.baselines.inputs import BaselineInputs, TrainingViews, required
from anomalyncd_bench.baselines.trained import (
    CLSEncoder,
    Schedule,
    central_features,
    classes_of,
    minimise,
    seeded,
)

TEMPERATURE = 0.1
_EPSILON = 0.05
_STEPS = 3
_HIDDEN, _PROJECTED = 2048, 256
_N_HEADS, _OVERCLUSTERING = 4, 3
_LEARNING_RATE, _MOMENTUM, _WEIGHT_DECAY = 0.05, 0.9, 1.5e-4
_BATCH = 256


@dataclass(frozen=True)
class UNO:
    """Each view predicts the balanced pseudo-label of the other one, in one softmax with the
    labelled classes; four heads of the true number of classes and four of three times as many.

    Better than published: a pretrained backbone replaces training on the labelled set; only its
    last block is trained. Without labelled images the softmax is over novel classes alone.
    Simplified: 100 epochs instead of 200; the head with the lowest loss counts.
    """

    epochs: int = 100
    """Passes over the images."""
    needs: ClassVar[frozenset[str]] = frozenset({"views"})

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """See `Baseline.fit_predict`."""
        views = required(inputs.views, "training views", "UNO")
        n_base = views.base.n_classes if views.base else 0
        encoder = CLSEncoder(views.encoder)
        heads = seeded(
            lambda: _Heads(encoder.width, inputs.n_classes, n_base), inputs.seed, encoder.device
        )
        lowest = _train(encoder, heads, views, self.epochs, inputs.seed)
        heads.eval()
        with torch.no_grad():
            novel = heads.novel[lowest](central_features(encoder, views.tokens))
        return classes_of(novel)


def sinkhorn(logits: Tensor) -> Tensor:
    """Pseudo-labels that use all classes equally, by three steps of Sinkhorn and Knopp.

    Args:
        logits: Cosines, (B, C).

    Returns:
        (B, C) without a gradient: every row sums to 1, every column roughly to B / C.
    """
    mass = torch.exp((logits.detach() - logits.max()) / _EPSILON)
    for _ in range(_STEPS):
        mass = mass / mass.sum(0).clamp(min=1e-12)
        mass = mass / mass.sum(1, keepdim=True).clamp(min=1e-12)
    return mass


class _NovelHead(nn.Module):
    """A projection and unit prototypes of novel classes."""

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, _HIDDEN),
            nn.BatchNorm1d(_HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, _PROJECTED),
        )
        self.prototypes = PrototypeHeads(_PROJECTED, n_classes, n_heads=1)

    def forward(self, features: Tensor) -> Tensor:
        """Cosines, (B, C), of features (B, D)."""
        cosines: Tensor = self.prototypes(self.mlp(features))
        return cosines[0]


class _Heads(nn.Module):
    """Heads of the novel classes, those of the true number first, and one of labelled classes."""

    def __init__(self, width: int, n_classes: int, n_base: int) -> None:
        super().__init__()
        counts = [n_classes] * _N_HEADS + [_OVERCLUSTERING * n_classes] * _N_HEADS
        self.novel = nn.ModuleList(_NovelHead(width, count) for count in counts)
        self.known = PrototypeHeads(width, n_base, n_heads=1)

    def loss(self, novel: Tensor, known: Tensor, labels: Tensor) -> Tensor:
        """Of each head, (heads,).

        Args:
            novel: CLS tokens, (2B, D), the second views after the first.
            known: CLS tokens of labelled images, (S, D); S may be 0.
            labels: Class of each, (S,).
        """
        both = torch.cat([novel, known])
        known_logits = self.known(both)[0]
        losses = []
        for head in self.novel:
            logits = head(both)
            first, second = logits[: len(novel)].chunk(2)
            balanced = torch.cat([sinkhorn(second), sinkhorn(first)])
            targets = torch.zeros(len(both), known_logits.shape[1] + logits.shape[1])
            targets = targets.to(both.device)
            targets[: len(novel), known_logits.shape[1] :] = balanced
            targets[torch.arange(len(novel), len(both)), labels] = 1
            joint = torch.cat([known_logits, logits], dim=1) / TEMPERATURE
            losses.append(functional.cross_entropy(joint, targets))
        return torch.stack(losses)


def _train(encoder: CLSEncoder, heads: _Heads, views: TrainingViews, epochs: int, seed: int) -> int:
    """Trains both in place; the head of the true number of classes with the lowest last loss."""
    generator = torch.Generator().manual_seed(seed)
    device, base = encoder.device, views.base
    last = torch.zeros(_N_HEADS)

    def loss(rows: Tensor, epoch: int) -> Tensor:
        novel = encoder(views.tokens.two_views(rows, generator, device))
        known, labels = novel[:0], torch.zeros(0, dtype=torch.long, device=device)
        if base is not None:
            chosen = torch.randint(len(base.tokens), rows.shape, generator=generator)
            known = encoder(trainable(base.tokens).two_views(chosen, generator, device))
            labels = torch.from_numpy(base.labels)[chosen].repeat(2).to(device)
        per_head = heads.loss(novel, known, labels)
        if epoch == epochs - 1:
            last.add_(len(rows) * per_head[:_N_HEADS].detach().cpu())
        return per_head.mean()

    optimiser = torch.optim.SGD(
        [*encoder.trainable(), *heads.parameters()],
        lr=_LEARNING_RATE,
        momentum=_MOMENTUM,
        weight_decay=_WEIGHT_DECAY,
    )
    minimise(loss, optimiser, Schedule(len(views.tokens), epochs, _BATCH), generator)
    return int(last.argmin())
