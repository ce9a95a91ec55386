"""From what was read of regions to their classes: describe, start, train, predict."""

from dataclasses import dataclass

import numpy as np
import scipy.special
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.config import TrainingConfig
from anomalyncd.discovery.class_number_criteria import LabelledRegions
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.losses import STUDENT_TEMPERATURE
from anomalyncd.discovery.normality import (
    Normality,
    fit_normality,
    published_weights,
    surely_normal,
)
from anomalyncd.discovery.processes import train_in_processes
from anomalyncd.discovery.prototypes import consensus, start_centres
from anomalyncd.discovery.sampling import blocks, sample
from anomalyncd.discovery.training import Objective, Samples, train
from anomalyncd.embedding.base_regions import BaseRegions
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.region_store import RegionStore, trainable
from anomalyncd.regions.table import Regions
from anomalyncd.runtime.logs import LOG


@dataclass(frozen=True, eq=False)
class Discovery:
    """The classifier that was found, and its predictions for the regions it was found with."""

    classifier: RegionClassifier
    """Reduced to one head and to the novel classes, the normal class first."""
    normality: Normality | None
    """Decides which new regions are normal; None unless scores are smoothed over neighbours."""
    features: NDArray[np.float32]
    """(R, D): unit descriptor of each region."""
    probabilities: NDArray[np.float32]
    """(R, K): class probabilities of each region."""


def discover_classes(
    context: RunContext,
    regions: Regions,
    tokens: RegionStore,
    base: BaseRegions | None,
    n_classes: int,
) -> Discovery:
    """Finds the classes of novel regions (AnomalyNCD, section 3.3).

    Args:
        context: Its encoder's read-out block is trained in place.
        regions: The novel regions, R of them.
        tokens: What was read of them.
        base: Labelled regions, or None.
        n_classes: Number of novel classes, the normal class included.

    Raises:
        ValueError: Training is asked for, but means over rotations were read.
    """
    config, seed = context.config.training, context.seed
    if config.epochs:  # Refused before anything that takes long.
        for store in (tokens, base.tokens) if base else (tokens,):
            trainable(store)
    n_base = base.n_classes if base else 0
    model, normality, normal = _start(context, regions, tokens, base, n_base + n_classes)
    if config.start == "kmeans":
        features = describe_all(model, tokens, regions)
        surely = surely_normal(normality, normal, regions.score)
        starts = [
            start_centres(features, surely, n_classes, one) for one in _seeds(seed, config.n_heads)
        ]
        model.prototypes.prototypes.data[:, n_base:] = torch.stack(starts)
        if base is not None:
            _start_at_base_means(model, base)
    targets = np.zeros_like(normal) if config.correction == "none" else normal
    prior = None
    if config.entropy_prior == "start":
        shares = class_shares(_cosines(model, describe_all(model, tokens, regions)), normal, n_base)
        prior = shares.to(context.encoder.vit.cls_token.device)
    objective = Objective(config, n_base, prior)
    loss = torch.zeros(config.n_heads)
    if config.epochs:
        novel = Samples(trainable(tokens), torch.from_numpy(targets))
        known = Samples(trainable(base.tokens), torch.from_numpy(base.labels)) if base else None
        if context.devices > 1:
            loss = train_in_processes(model, novel, known, objective, context)
        else:
            loss = train(model, novel, known, objective, seed)
    model.eval()
    _log_guidance_factor(context)
    features = describe_all(model, tokens, regions)
    _reduce(model, features, n_base, loss, config)
    cosines = _cosines(model, features)[0]
    if normality is None:
        return Discovery(model, None, features, _softmax(cosines))
    if config.epochs:
        normality, normal = fit_normality(features, regions, seed)
    probabilities = normality.posterior(features, cosines, normal, STUDENT_TEMPERATURE)
    return Discovery(model, normality, features, probabilities)


def describe_start(
    context: RunContext,
    regions: Regions,
    tokens: RegionStore,
    base: BaseRegions | None,
    rows: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float32], LabelledRegions | None]:
    """Describes regions as they are before any training.

    Args:
        context: With the encoder.
        regions: The novel regions, R of them.
        tokens: What was read of them.
        base: Labelled regions, or None.
        rows: The novel regions that are described, (N,); None describes all.

    Returns:
        Unit descriptors of novel regions, (N, D), and of labelled ones.
    """
    model = _new_classifier(context, tokens, 1)
    if context.config.training.correction == "neighbours":
        _fit_descriptor(model, context, regions, tokens, base)
    known = LabelledRegions(describe_all(model, base.tokens), base.labels) if base else None
    return describe_all(model, tokens, regions, rows), known


def classify(
    model: RegionClassifier,
    normality: Normality | None,
    tokens: RegionStore,
    regions: Regions,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Descriptors (R, D) and class probabilities (R, K) of new regions."""
    features = describe_all(model, tokens, regions)
    cosines = _cosines(model, features)[0]
    if normality is None:
        return features, _softmax(cosines)
    normal = normality.weights(features, regions.score)
    return features, normality.posterior(features, cosines, normal, STUDENT_TEMPERATURE)


def _start(
    context: RunContext,
    regions: Regions,
    tokens: RegionStore,
    base: BaseRegions | None,
    n_prototypes: int,
) -> tuple[RegionClassifier, Normality | None, NDArray[np.float32]]:
    """A classifier with fitted descriptors, and how surely each region is normal, (R,), by what."""
    model = _new_classifier(context, tokens, n_prototypes)
    if context.config.training.correction != "neighbours":
        return model, None, published_weights(regions.score)
    fitted = _fit_descriptor(model, context, regions, tokens, base)
    if fitted is None:
        fitted = fit_normality(describe_all(model, tokens, regions), regions, context.seed)
    return model, *fitted


def _fit_descriptor(
    model: RegionClassifier,
    context: RunContext,
    regions: Regions,
    tokens: RegionStore,
    base: BaseRegions | None,
) -> tuple[Normality, NDArray[np.float32]] | None:
    """Fits damping and shape, on a sample of many regions.

    Returns:
        What `fit_normality` found for all regions; None where it saw a sample, or before the shape.
    """
    rows = sample(len(regions), context.seed)
    few = regions.select(rows)
    features = describe_all(model, tokens, regions, rows)
    _, normal = fit_normality(features, few, context.seed)
    sure, known = torch.from_numpy(features[normal > 0.5]), list[Tensor]()
    if base is not None:
        described = torch.from_numpy(describe_all(model, base.tokens))
        labels = torch.from_numpy(base.labels)
        known = [described[labels == label] for label in range(base.n_classes)]
    model.descriptor.fit_damping(sure, known)
    fitted = fit_normality(describe_all(model, tokens, regions, rows), few, context.seed)
    # Training describes augmented views, whose masks are cropped.
    shaped = not context.config.training.epochs and model.descriptor.fit_shape(
        few.shape[fitted[1] <= 0.5]
    )
    return None if shaped or len(rows) < len(regions) else fitted


def _new_classifier(
    context: RunContext, tokens: RegionStore, n_prototypes: int
) -> RegionClassifier:
    """An untrained classifier whose descriptors are centred."""
    encoder = context.encoder
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        model = RegionClassifier(encoder, n_prototypes, context.config.training.n_heads)
    device = encoder.vit.cls_token.device
    model.to(device)
    with torch.inference_mode():
        model.descriptor.fit(tokens.read(encoder).to(device))
    return model


def _log_guidance_factor(context: RunContext) -> None:
    """Logs how training changed the region guidance factor, where it may."""
    encoder, guidance = context.encoder, context.config.encoder
    if guidance.guidance != "learned":
        return
    if not context.config.training.epochs:
        LOG.warning("guidance='learned' learns nothing in 0 epochs; set epochs, or use soft")
        return
    factors = zip(encoder.guidance.learnt_factor.items(), guidance.guidance_factor, strict=True)
    changes = [f"{kind} {before:.4g} -> {after:.4g}" for (kind, after), before in factors]
    LOG.info("region guidance factor before -> after training: %s", ", ".join(changes))


def _seeds(seed: int, n_heads: int) -> list[int]:
    """A seed for the k-means of each head, below 2**32."""
    return [(seed * 1000 + head) % 2**32 for head in range(n_heads)]


def _start_at_base_means(model: RegionClassifier, base: BaseRegions) -> None:
    """Puts the prototype of each base class, in every head, at the mean of its regions."""
    known = torch.from_numpy(describe_all(model, base.tokens))
    for label in range(base.n_classes):
        mean = known[torch.from_numpy(base.labels) == label].mean(0)
        model.prototypes.prototypes.data[:, label] = torch.nn.functional.normalize(mean, dim=0)


def class_shares(cosines: NDArray[np.float32], normal: NDArray[np.float32], n_base: int) -> Tensor:
    """How common each class is at the start, (heads, C), as if each had one region more.

    Args:
        cosines: With the prototypes of each head, (heads, R, C).
        normal: How surely each region is normal, (R,).
        n_base: Number of base classes, which no novel region has.
    """
    n_heads, n_regions, n_classes = cosines.shape
    counts = np.ones((n_heads, n_classes))
    counts[:, n_base] += normal.sum()
    for head, nearest in enumerate(cosines[:, :, n_base + 1 :].argmax(2)):
        others = np.bincount(nearest, 1 - normal, n_classes - n_base - 1)
        counts[head, n_base + 1 :] += others
    return torch.from_numpy(counts / (n_regions + n_classes)).float()


def _reduce(
    model: RegionClassifier,
    features: NDArray[np.float32],
    n_base: int,
    loss: Tensor,
    config: TrainingConfig,
) -> None:
    """Leaves one set of prototypes, those of novel classes."""
    novel = model.prototypes.prototypes.detach()[:, n_base:]
    if config.head_choice == "lowest_loss":
        model.reduce_to(novel[int(loss.argmin())])
        return
    cosines = _cosines(model, features)[:, :, n_base:]
    unit = torch.nn.functional.normalize(novel, dim=-1)
    model.reduce_to(consensus(unit, _softmax(cosines)))


def describe_all(
    model: RegionClassifier,
    tokens: RegionStore,
    regions: Regions | None = None,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Descriptors of the central views of regions, (N, D), unit length.

    Args:
        model: With a fitted descriptor.
        tokens: Of R regions.
        regions: Their table, for their shapes; without it they count as average.
        rows: The regions that are described, (N,); None describes all.
    """
    device = model.prototypes.prototypes.device
    count = len(tokens) if rows is None else len(rows)
    features = np.empty((count, model.descriptor.width), np.float32)
    for block in blocks(count):
        some = block if rows is None else torch.from_numpy(rows[block])
        shapes = None if regions is None else torch.from_numpy(regions.shape)[some]
        with torch.inference_mode():
            pieces = tokens.read(model.encoder, some).to(device)
            features[block] = model.descriptor(pieces, shapes).cpu().numpy()
    return features


def _cosines(model: RegionClassifier, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """With each head's prototypes, (heads, R, C), of descriptors (R, D)."""
    device, cosines = model.prototypes.prototypes.device, []
    for block in blocks(len(features)):
        with torch.inference_mode():
            logits = model.prototypes(torch.from_numpy(features[block]).to(device))
        cosines.append(logits.cpu().numpy())
    return np.concatenate(cosines, axis=1)


def _softmax(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    probabilities: NDArray[np.float32] = scipy.special.softmax(
        cosines / STUDENT_TEMPERATURE, axis=-1
    )
    return probabilities
