"""Training over stored tokens: batches, the loss of a step, and the schedule of the epochs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from anomalyncd.config import TrainingConfig
from anomalyncd.discovery import losses
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.share import ALONE, Share
from anomalyncd.embedding.encoder import FrozenFeatures
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd.runtime.progress import track


@dataclass(frozen=True)
class Samples:
    """The regions of one kind, novel or base, that training draws from.

    Attributes:
        tokens: Their frozen tokens.
        targets: How surely novel regions are normal, 0..1, or classes of base regions, (R,).
        share: What this process reads of each batch, where several train together.
    """

    tokens: TokenStore
    targets: Tensor
    share: Share = ALONE


@dataclass(frozen=True)
class Batch:
    """Two views of some regions, the second views after the first.

    Attributes:
        features: Of those views that are in the share of this process.
        targets: Of all regions of the batch, see `Samples`, (B,).
        share: What this process reads of the batch.
    """

    features: FrozenFeatures
    targets: Tensor
    share: Share = ALONE

    def described(self, model: RegionClassifier) -> Tensor:
        """Descriptors of all views of the batch, (2B, D), unit length."""
        return self.share.gather(model.describe(self.features), 2 * len(self.targets))


@dataclass(frozen=True)
class Objective:
    """What training minimises.

    Attributes:
        config: Epochs, rates and weights.
        n_base_classes: The classes of the base set, which come first among the prototypes.
        prior: Shares of the classes for the entropy term, (heads, C); None for equal ones.
    """

    config: TrainingConfig
    n_base_classes: int = 0
    prior: Tensor | None = None


def train(
    model: RegionClassifier, novel: Samples, base: Samples | None, objective: Objective, seed: int
) -> Tensor:
    """Trains the read-out block and the heads; the model is changed in place.

    Args:
        model: On its device; the layers above the frozen blocks are in float32.
        novel: Unlabelled regions and how surely each is normal.
        base: Labelled regions, or None.
        objective: The losses, their weights and the schedule.
        seed: Of the order of samples and the choice of views.

    Returns:
        Clustering loss of each head in the last epoch, (heads,); what the best head is chosen by.
    """
    config = objective.config
    generator = torch.Generator().manual_seed(seed)
    device = model.prototypes.prototypes.device
    optimiser = _optimiser(model, config)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    head_loss = torch.zeros(config.n_heads)
    model.train()
    for epoch in track(range(config.epochs), "Training"):
        _set_learning_rate(optimiser, epoch, config)
        step_losses = []
        for novel_rows, base_rows in _batches(novel, base, config, generator):
            novel_batch = _batch(novel, novel_rows, generator, device)
            base_batch = _batch(base, base_rows, generator, device) if base else None
            loss, clustering = batch_loss(model, novel_batch, base_batch, objective, epoch)
            optimiser.zero_grad()
            loss.backward()
            novel.share.average(trained)
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
    objective: Objective,
    epoch: int,
) -> tuple[Tensor, Tensor]:
    """The loss of one step (AnomalyNCD, eq. 9), and the clustering loss of each head.

    Args:
        model: The model.
        novel: Unlabelled regions and how surely each is normal.
        base: Labelled regions with classes, or None, which leaves only the unlabelled losses.
        objective: The losses and their weights.
        epoch: Sets the pseudo-labels' temperature and how many of them are hard.

    Returns:
        Scalar with a gradient; (heads,) without.
    """
    config = objective.config
    share = config.base_share if base else 0.0
    features = novel.described(model)
    logits = model.prototypes(features)
    per_head = _clustering(logits, novel.targets.repeat(2), objective, epoch)
    loss = (1 - share) * per_head.mean()
    if config.separation_weight:
        apart = losses.separation(model.prototypes.prototypes)
        loss += (1 - share) * config.separation_weight * apart
    projections = [model.projection(features)] if config.contrast else []
    if base:
        base_features = base.described(model)
        loss += share * losses.base_cross_entropy(model.prototypes(base_features), base.targets)
        if config.contrast:
            projections.append(model.projection(base_features))
            loss += share * losses.supervised_contrast(projections[1], base.targets)
    if config.contrast:
        loss += (1 - share) * losses.info_nce(_join_views(projections))
    return loss, per_head.detach()


def _clustering(logits: Tensor, normal: Tensor, objective: Objective, epoch: int) -> Tensor:
    """Self-labelling and mean entropy of each head, (heads,), of logits (heads, 2B, C)."""
    config = objective.config
    temperature = losses.teacher_temperature(epoch, config.epochs, *config.teacher_temperature)
    hard = losses.hard_share(epoch, config.epochs, config.hard_share)
    # Each view has its own share of hard labels (ProtoGCD).
    views = zip(logits.chunk(2, dim=-2), normal.chunk(2), strict=True)
    labels = torch.cat(
        [
            losses.corrected_pseudo_labels(
                view, temperature, objective.n_base_classes, weights, hard
            )
            for view, weights in views
        ],
        dim=-2,
    )
    priors = [None] * len(logits) if objective.prior is None else objective.prior
    return torch.stack(
        [
            losses.distillation(head, label)
            + config.entropy_weight * losses.mean_entropy_gap(head, shares)
            for head, label, shares in zip(logits, labels, priors, strict=True)
        ]
    )


def _join_views(projections: list[Tensor]) -> Tensor:
    halves = [one.chunk(2) for one in projections]
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
    """Draws two different augmented views of each region named, and reads the share of them."""
    share, tokens = samples.share, samples.tokens
    regions, views = tokens.draw_two_views(rows, generator)
    features = tokens.batch(share.of(regions), share.of(views), device)
    return Batch(features, samples.targets[rows].to(device), share)
