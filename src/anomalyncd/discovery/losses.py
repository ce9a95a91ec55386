"""The losses of self-labelling with pseudo-label correction (AnomalyNCD, section 3.3), and those of
prototypes on a hypersphere (ProtoGCD, as our reconstruction of ProtoAnomalyNCD uses them)."""

import math

import torch
from torch import Tensor
from torch.nn import functional

STUDENT_TEMPERATURE = 0.1


def teacher_temperature(
    epoch: int, n_epochs: int, first: float = 0.07, last: float = 0.04
) -> float:
    """Falls in ten steps over the first 80 % of the epochs, then stays.

    Args:
        epoch: Current epoch, from 0.
        n_epochs: Number of epochs in all.
        first: Temperature of the first epoch.
        last: Temperature from the tenth step on.
    """
    step = min(9, int(epoch * 10 / max(1, round(0.8 * n_epochs))))
    return first + (last - first) * step / 9


def hard_share(epoch: int, n_epochs: int, last: float) -> float:
    """Share of a batch with hard pseudo-labels: rises evenly over the first half of the epochs.

    Args:
        epoch: Current epoch, from 0.
        n_epochs: Number of epochs in all.
        last: Share from half way on.
    """
    return last * min(1.0, 2 * epoch / n_epochs)


def corrected_pseudo_labels(
    logits: Tensor, temperature: float, n_base: int, normal: Tensor, hard: float = 0.0
) -> Tensor:
    """Sharpened teacher distributions over the novel classes, pulled to "normal".

    Adaptive pseudo-labels (ProtoGCD): where the likeliest class leads the second by the largest
    ratio, the distribution gives way to that class alone, before the pull.

    Args:
        logits: (..., B, C), base classes first; the first novel class is the normal one.
        temperature: Teacher temperature.
        n_base: Number of base classes; a novel sample gives them no weight.
        normal: Weight of "normal" in each sample's label, (B,), 0..1.
        hard: Share of the samples that get a hard label, 0..1.

    Returns:
        Detached distributions, (..., B, C).
    """
    cosines = logits.detach()[..., n_base:]
    novel = functional.softmax(cosines / temperature, dim=-1)
    n_hard = round(hard * novel.shape[-2])
    if n_hard and novel.shape[-1] > 1:
        first, second = cosines.topk(2, dim=-1).values.unbind(-1)
        sure = (first - second).topk(n_hard, dim=-1).indices[..., None]
        picked = functional.one_hot(cosines.argmax(-1), novel.shape[-1]).to(novel)
        hardened = torch.zeros_like(novel[..., :1]).scatter(-2, sure, 1.0)
        novel = torch.where(hardened > 0, picked, novel)
    labels = functional.pad((1 - normal)[:, None] * novel, (n_base, 0))
    labels[..., n_base] += normal
    return labels


def distillation(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each view with the pseudo-label of the other view, over all classes.

    Args:
        logits: (..., 2B, C), the second views after the first.
        labels: (..., 2B, C), see `corrected_pseudo_labels`.

    Returns:
        Scalar, mean over leading dimensions, views and samples.
    """
    other = torch.cat(labels.chunk(2, dim=-2)[::-1], dim=-2)
    log_probability = functional.log_softmax(logits / STUDENT_TEMPERATURE, dim=-1)
    return -(other * log_probability).sum(-1).mean()


def mean_entropy_gap(logits: Tensor, prior: Tensor | None = None) -> Tensor:
    """How far the mean prediction is from uniform: log C minus its entropy.

    With a prior it is the Kullback-Leibler divergence from the prior, which for equal shares is the
    same number.

    Args:
        logits: (..., B, C).
        prior: Shares of the classes, (..., C), none of them 0; None for equal ones.

    Returns:
        Scalar, mean over leading dimensions.
    """
    mean = functional.softmax(logits / STUDENT_TEMPERATURE, dim=-1).mean(-2)
    negentropy = (mean * mean.clamp(min=1e-12).log()).sum(-1)
    if prior is None:
        return (math.log(logits.shape[-1]) + negentropy).mean()
    return (negentropy - (mean * prior.log()).sum(-1)).mean()


def separation(prototypes: Tensor) -> Tensor:
    """How close prototypes stand to each other (ProtoGCD): low where they are apart.

    Args:
        prototypes: (..., C, D), of any length, at least two.

    Returns:
        Scalar, mean over leading dimensions and prototypes.
    """
    unit = functional.normalize(prototypes, dim=-1)
    cosines = unit @ unit.mT
    n_classes = cosines.shape[-1]
    itself = torch.eye(n_classes, dtype=torch.bool, device=cosines.device)
    others = (cosines / STUDENT_TEMPERATURE).masked_fill(itself, -math.inf)
    return (others.logsumexp(-1) - math.log(n_classes - 1)).mean()


def info_nce(projections: Tensor, temperature: float = 1.0) -> Tensor:
    """Each view finds the other view of its sample among all views.

    Args:
        projections: (2B, D), the second views after the first.
        temperature: Divides the cosines.
    """
    unit = functional.normalize(projections, dim=-1)
    n = len(unit)
    similarity = unit @ unit.T / temperature
    similarity = similarity.masked_fill(
        torch.eye(n, dtype=torch.bool, device=unit.device), -math.inf
    )
    partner = torch.arange(n, device=unit.device).roll(n // 2)
    return functional.cross_entropy(similarity, partner)


def supervised_contrast(projections: Tensor, labels: Tensor, temperature: float = 0.07) -> Tensor:
    """All views of one base class attract each other (supervised contrastive learning).

    Args:
        projections: (2B, D), the second views after the first.
        labels: (B,), class indices.
        temperature: Divides the cosines.
    """
    unit = functional.normalize(projections, dim=-1)
    both = labels.repeat(2)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    similarity = (unit @ unit.T / temperature).masked_fill(itself, -math.inf)
    log_probability = similarity.log_softmax(-1).masked_fill(itself, 0.0)
    same = (both[:, None] == both) & ~itself
    return -((log_probability * same).sum(-1) / same.sum(-1)).mean()


def base_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of base samples with their classes, mean over the heads.

    Args:
        logits: (heads, 2B, C), the second views after the first.
        labels: (B,), class indices below the number of base classes.
    """
    flat = (logits / STUDENT_TEMPERATURE).flatten(0, 1)
    return functional.cross_entropy(flat, labels.repeat(2 * len(logits)))
