"""SimGCD (Wen et al., ICCV 2023) on whole images, and AMEND (Banerjee et al., WACV 2024), which
extends it by a wider neighbourhood and a margin."""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anomalyncd.config import PRESETS
from anomalyncd.discovery import losses
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.discover import describe_all, discover_classes
from anomalyncd.discovery.training import Batch, Objective, batch_loss
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.region_store import trainable
from anomalyncd.regions.table import Regions
from anomalyncd.runtime.measurement import Stages
from anomalyncd_bench.baselines.inputs import BaselineInputs, TrainingViews, required
from anomalyncd_bench.baselines.reading import UNGUIDED
from anomalyncd_bench.baselines.trained import Schedule, classes_of, minimise, seeded

N_NEIGHBOURS = 5
"""Nearest images that attract each view, and nearest images of each of these."""
EXPANDED_WEIGHT = 0.1
"""Weight of the neighbours' neighbours; neighbours and the other view weigh 1."""
_MARGIN_WEIGHT = 1.0


@dataclass(frozen=True)
class SimGCD:
    """The training of the preset `paper` on whole images, without regions or score correction.

    AnomalyNCD's training descends from this method. Better than published: four heads, of which the
    one with the lowest loss counts, and base classes are never predicted for novel images.
    Simplified: 50 epochs instead of 200.
    """

    epochs: int = 50
    """Passes over the images."""
    needs: ClassVar[frozenset[str]] = frozenset({"views"})

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """See `Baseline.fit_predict`."""
        views = required(inputs.views, "training views", "SimGCD")
        paper = PRESETS["paper"]
        training = replace(paper.training, epochs=self.epochs)
        n_images = len(views.tokens)
        ones, boxes = np.ones(n_images), np.zeros((n_images, 4))
        area, score = ones.astype(np.int64), ones.astype(np.float32)
        all_anomalous = Regions(np.arange(n_images), boxes, area, score, ones > 0)
        config = replace(paper, encoder=UNGUIDED, training=training)
        context = RunContext(copy.deepcopy(views.encoder), config, inputs.seed, Path(), Stages())
        n_classes = inputs.n_classes
        found = discover_classes(context, all_anomalous, views.tokens, views.base, n_classes)
        return np.asarray(found.probabilities.argmax(1), np.int64)


@dataclass(frozen=True)
class AMEND:
    """SimGCD in which neighbours, and neighbours of neighbours, are further positives of the
    contrastive loss, and a margin that adapts to their mean distance separates the prototypes.

    Simplified: one head; the margin has a hinge, since without one its distances cancel out;
    neighbours are searched among all images, not in a queue; 50 epochs instead of 200.
    """

    epochs: int = 50
    """Passes over the images."""
    needs: ClassVar[frozenset[str]] = frozenset({"views"})

    def fit_predict(self, inputs: BaselineInputs) -> NDArray[np.int64]:
        """See `Baseline.fit_predict`."""
        views = required(inputs.views, "training views", "AMEND")
        n_base = views.base.n_classes if views.base else 0
        model = _new_model(views, n_base + inputs.n_classes, inputs.seed)
        self._train(model, views, n_base, inputs.seed)
        model.eval()
        features = torch.from_numpy(describe_all(model, views.tokens))
        with torch.no_grad():
            logits = model.prototypes(features.to(model.prototypes.prototypes.device))
        return classes_of(logits[0, :, n_base:])

    def _train(self, model: RegionClassifier, views: TrainingViews, n_base: int, seed: int) -> None:
        """Trains the last block, the prototypes and the projection in place."""
        config = replace(PRESETS["paper"].training, epochs=self.epochs, contrast=False)
        share = config.base_share if views.base else 0.0
        generator = torch.Generator().manual_seed(seed)
        device = model.prototypes.prototypes.device
        bank = _projected(model, views)

        def loss(rows: Tensor, epoch: int) -> Tensor:
            features = views.tokens.two_views(rows, generator, device)
            novel, known = Batch(features, torch.zeros(len(rows), device=device)), None
            projections = functional.normalize(model.projection(model.describe(features)), dim=-1)
            if views.base:
                base = trainable(views.base.tokens)
                chosen = torch.randint(len(base), rows.shape, generator=generator)
                labels = torch.from_numpy(views.base.labels)[chosen].to(device)
                known = Batch(base.two_views(chosen, generator, device), labels)
            total, _ = batch_loss(model, novel, known, Objective(config, n_base), epoch)
            total = total + (1 - share) * neighbourhood_contrast(projections, rows, bank.clone())
            if known is not None:
                supervised = model.projection(model.describe(known.features))
                total = total + share * losses.supervised_contrast(supervised, known.targets)
            bank[rows] = projections[: len(rows)].detach()
            return total + _MARGIN_WEIGHT * adaptive_margin(model.prototypes.prototypes[0])

        optimiser = torch.optim.SGD(
            model.trainable(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
        model.train()
        schedule = Schedule(len(views.tokens), self.epochs, config.batch_size)
        minimise(loss, optimiser, schedule, generator)


def neighbourhood_contrast(projections: Tensor, rows: Tensor, bank: Tensor) -> Tensor:
    """InfoNCE, temperature 1, with neighbours as further positives of lower or equal weight.

    Args:
        projections: Unit vectors of two views, (2B, D), the second views after the first.
        rows: Which image each is a view of, (B,).
        bank: Unit vectors of all images, (N, D), without a gradient.

    Returns:
        Scalar.
    """
    n_near = min(N_NEIGHBOURS, len(bank) - 1)
    itself = torch.arange(len(bank), device=bank.device)
    near = (bank @ bank.T).index_put((itself, itself), bank.new_tensor(-2.0)).topk(n_near).indices
    to_bank = projections @ bank.T
    image = rows.repeat(2).to(bank.device)[:, None]
    first = to_bank.detach().scatter(1, image, -2.0).topk(n_near).indices
    second = near[first].flatten(1)
    views = projections @ projections.T
    anchors = torch.arange(len(views), device=views.device)
    partner = views[anchors, anchors.roll(len(rows))][:, None]
    positives = torch.cat([partner, to_bank.gather(1, first), to_bank.gather(1, second)], dim=1)
    weights = positives.new_ones(positives.shape[1])
    weights[1 + n_near :] = EXPANDED_WEIGHT
    not_negative = torch.eye(len(rows), dtype=torch.bool, device=views.device).repeat(2, 2)
    negatives = views.masked_fill(not_negative, -torch.inf)
    every = torch.cat([positives, negatives], dim=1).logsumexp(1, keepdim=True)
    return ((every - positives) @ weights).mean() / weights.sum()


def adaptive_margin(prototypes: Tensor) -> Tensor:
    """Penalty on prototypes that are nearer to each other than prototypes are on average.

    Args:
        prototypes: (C, D), at least two.

    Returns:
        Scalar: sum over pairs of max(0, mean squared distance - squared distance + cosine) / C.
    """
    unit = functional.normalize(prototypes, dim=-1)
    upper = torch.triu_indices(len(unit), len(unit), offset=1, device=unit.device)
    cosines = (unit @ unit.T)[upper[0], upper[1]]
    squares = 2 - 2 * cosines
    return (squares.mean() - squares + cosines).clamp(min=0).sum() / len(unit)


def _new_model(views: TrainingViews, n_prototypes: int, seed: int) -> RegionClassifier:
    encoder = copy.deepcopy(views.encoder)
    device = encoder.vit.cls_token.device
    return seeded(lambda: RegionClassifier(encoder, n_prototypes, n_heads=1), seed, device)


def _projected(model: RegionClassifier, views: TrainingViews) -> Tensor:
    """Unit projections of the central views of all images, (N, D)."""
    features = torch.from_numpy(describe_all(model, views.tokens))
    with torch.no_grad():
        projections = model.projection(features.to(model.prototypes.prototypes.device))
    return functional.normalize(projections, dim=-1)
