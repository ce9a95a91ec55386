"""Training over cached tokens: what was seen, what was lost, epoch by epoch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from anomalyncd.config import TrainingConfig
from anomalyncd.discovery import losses
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.embedding.encoder import FrozenFeatures
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd.runtime.progress import track


@dataclass(frozen=True)
class Samples:
    """The regions of one kind, novel or base, that training draws from.

    Attributes:
        tokens: Their frozen tokens.
        targets: How surely novel regions are normal, 0..1, or classes of base regions, (R,).
    """

    tokens: TokenStore
    targets: Tensor


@dataclass(frozen=True)
class Batch:
    """Two views of some regions, the second views after the first."""

    features: FrozenFeatures
    targets: Tensor


def train(
    model: RegionClassifier,
    novel: Samples,
    base: Samples | None,
    n_base_classes: int,
    config: TrainingConfig,
    seed: int,
    prior: Tensor | None = None,
) -> Tensor:
    """Trains the read-out block and the heads; the model is changed in place.

    Args:
        model: On its device, float32 above the trunk.
        novel: Unlabelled regions and how surely each is normal.
        base: Labelled regions, or None.
        n_base_classes: Classes of `base`, which own the first prototypes.
        config: Epochs, rates and weights.
        seed: Of the order of samples and the choice of views.
        prior: Shares of the classes for the entropy term, (heads, C); None for equal ones.

    Returns:
        Clustering loss of each head in the last epoch, (heads,); what the best head is chosen by.
    """
    generator = torch.Generator().manual_seed(seed)
    device = model.prototypes.prototypes.device
    optimiser = _optimiser(model, config)
    head_loss = torch.zeros(config.n_heads)
    model.train()
    for epoch in track(range(config.epochs), "Training"):
        _set_learning_rate(optimiser, epoch, config)
        step_losses = []
        for novel_rows, base_rows in _batches(novel, base, config, generator):
            novel_batch = _batch(novel, novel_rows, generator, device)
            base_batch = _batch(base, base_rows, generator, device) if base else None
            loss, clustering = batch_loss(
                model, novel_batch, base_batch, n_base_classes, epoch, config, prior
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step_losses.append(clustering.cpu())
        if step_losses:
            head_loss = torch.stack(step_losses).mean(0)
    model.eval()
    return head_loss


def batch_loss(
    model: RegionClassifier,
    novel: Batch,
    base: Batch | None,
    n_base_classes: int,
    epoch: int,
    config: TrainingConfig,
    prior: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The loss of one step (AnomalyNCD, eq. 9), and the clustering loss of each head.

    Args:
        model: The model.
        novel: Unlabelled regions and how surely each is normal.
        base: Labelled regions with classes, or None, which leaves only the unlabelled losses.
        n_base_classes: Classes of `base`.
        epoch: Sets the pseudo-labels' temperature and how many of them are hard.
        config: Epochs and weights.
        prior: Shares of the classes for the entropy term, (heads, C); None for equal ones.

    Returns:
        Scalar with a gradient; (heads,) without.
    """
    share = config.base_share if base else 0.0
    features = model.describe(novel.features)
    per_head = _clustering(
        model.prototypes(features), novel.targets.repeat(2), n_base_classes, epoch, config, prior
    )
    loss = (1 - share) * per_head.mean()
    if config.separation_weight:
        loss += config.separation_weight * losses.separation(model.prototypes.prototypes)
    projections = [model.projection(features)] if config.contrast else []
    if base:
        base_features = model.describe(base.features)
        loss += share * losses.base_cross_entropy(model.prototypes(base_features), base.targets)
        if config.contrast:
            projections.append(model.projection(base_features))
            loss += share * losses.supervised_contrast(projections[1], base.targets)
    if config.contrast:
        loss += (1 - share) * losses.info_nce(_join_views(projections))
    return loss, per_head.detach()


def _clustering(
    logits: Tensor,
    normal: Tensor,
    n_base_classes: int,
    epoch: int,
    config: TrainingConfig,
    prior: Tensor | None,
) -> Tensor:
    """Self-labelling and mean entropy of each head, (heads,), of logits (heads, 2B, C)."""
    labels = losses.corrected_pseudo_labels(
        logits,
        losses.teacher_temperature(epoch, config.epochs, *config.teacher_temperature),
        n_base_classes,
        normal,
        losses.hard_share(epoch, config.epochs, config.hard_share),
    )
    priors = [None] * len(logits) if prior is None else prior
    return torch.stack(
        [
            losses.distillation(head, label)
            + config.entropy_weight * losses.mean_entropy_gap(head, shares)
            for head, label, shares in zip(logits, labels, priors, strict=True)
        ]
    )


def _join_views(projections: list[Tensor]) -> Tensor:
    halves = [part.chunk(2) for part in projections]
    return torch.cat([half[view] for view in (0, 1) for half in halves])


def _optimiser(model: RegionClassifier, config: TrainingConfig) -> torch.optim.SGD:
    parameters = model.trainable(config.trained)
    model.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)


def _set_learning_rate(
    optimiser: torch.optim.Optimizer, epoch: int, config: TrainingConfig
) -> None:
    fraction = 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate * (1e-3 + (1 - 1e-3) * fraction)


def _batches(
    novel: Samples, base: Samples | None, config: TrainingConfig, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Indices of novel and base regions, step by step, for one epoch.

    With a base set both kinds are drawn alike often, with replacement, and a step that lacks
    either is skipped; without one every region comes once.
    """
    n_novel = len(novel.tokens)
    if base is None:
        nothing = torch.empty(0, dtype=torch.long)
        for rows in torch.randperm(n_novel, generator=generator).split(config.batch_size):
            yield rows, nothing
        return
    n_base = len(base.tokens)
    weights = torch.cat([torch.full((n_novel,), n_base / n_novel), torch.ones(n_base)])
    drawn = torch.multinomial(weights, n_novel + n_base, replacement=True, generator=generator)
    for rows in drawn.split(config.batch_size):
        novel_rows, base_rows = rows[rows < n_novel], rows[rows >= n_novel] - n_novel
        if len(novel_rows) and len(base_rows):
            yield novel_rows, base_rows


def _batch(
    samples: Samples, rows: Tensor, generator: torch.Generator, device: torch.device
) -> Batch:
    """Draws two different augmented views of each region named."""
    features = samples.tokens.two_views(rows, generator, device)
    return Batch(features, samples.targets[rows].to(device))
