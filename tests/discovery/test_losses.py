"""The losses: published values and what must hold for any input."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from anomalyncd.discovery.losses import (
    STUDENT_TEMPERATURE,
    base_cross_entropy,
    corrected_pseudo_labels,
    distillation,
    hard_share,
    info_nce,
    mean_entropy_gap,
    separation,
    supervised_contrast,
    teacher_temperature,
)
from anomalyncd.discovery.normality import published_weights

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "losses.safetensors")
N_BASE = 3


def _cosines(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1


def test_published_teacher_temperature() -> None:
    ours = [teacher_temperature(epoch, 50) for epoch in range(50)]
    assert ours == pytest.approx(GOLDEN["teacher_temperature"].tolist(), abs=1e-9)


@pytest.mark.parametrize("epoch", [0, 3, 17, 39, 45])
def test_published_distillation(epoch: int) -> None:
    logits = GOLDEN["student_logits"]
    normal = GOLDEN["sample_weights"]
    labels = corrected_pseudo_labels(logits, teacher_temperature(epoch, 50), N_BASE, normal)
    loss = distillation(logits, labels)
    torch.testing.assert_close(loss, GOLDEN[f"distill_epoch_{epoch}"][0], atol=1e-5, rtol=0)


def test_published_mean_entropy() -> None:
    gap = mean_entropy_gap(GOLDEN["student_logits"])
    torch.testing.assert_close(gap, GOLDEN["mean_entropy"][0], atol=1e-6, rtol=0)


def test_published_contrast() -> None:
    features = GOLDEN["features"]
    torch.testing.assert_close(info_nce(features), GOLDEN["info_nce"][0], atol=1e-5, rtol=0)
    loss = supervised_contrast(features, GOLDEN["labels"])
    torch.testing.assert_close(loss, GOLDEN["supcon"][0], atol=1e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(n_epochs=st.integers(1, 200))
def test_teacher_sharpens_over_the_first_four_fifths(n_epochs: int) -> None:
    values = [teacher_temperature(epoch, n_epochs) for epoch in range(n_epochs)]
    assert values[0] == 0.07
    assert values == sorted(values, reverse=True)
    assert min(values) >= 0.04 - 1e-12
    late = values[max(1, math.ceil(0.8 * n_epochs)) :]
    assert late == pytest.approx([0.04] * len(late))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n_base=st.integers(0, 3),
    temperature=st.floats(0.01, 0.1),
    normal=st.floats(0, 1),
)
def test_pseudo_labels_are_distributions_over_the_novel_classes(
    seed: int, n_base: int, temperature: float, normal: float
) -> None:
    logits = _cosines(2, 5, n_base + 4, seed=seed)
    labels = corrected_pseudo_labels(logits, temperature, n_base, torch.full((5,), normal))
    assert labels.shape == logits.shape
    assert not labels[..., :n_base].any()
    assert labels.min() >= 0
    torch.testing.assert_close(labels.sum(-1), torch.ones(2, 5))
    assert (labels[..., n_base] >= normal - 1e-6).all()


def test_published_weights_of_low_scores_pull_to_the_first_novel_class() -> None:
    logits = _cosines(6, N_BASE + 4).requires_grad_()
    scores = np.array([0.0, 0.2, 0.5, 0.7, 1.0, 0.4], np.float32)
    normal_weights = torch.from_numpy(published_weights(scores))
    labels = corrected_pseudo_labels(logits, 0.05, N_BASE, normal_weights)
    assert not labels.requires_grad
    novel = functional.softmax(logits.detach()[:, N_BASE:] / 0.05, dim=-1)
    normal = torch.tensor([1.0, 0, 0, 0])
    torch.testing.assert_close(labels[0, N_BASE:], 0.5 * novel[0] + 0.5 * normal)
    torch.testing.assert_close(labels[1, N_BASE:], 0.7 * novel[1] + 0.3 * normal)
    torch.testing.assert_close(labels[2:5, N_BASE:], novel[2:5])


@settings(max_examples=30, deadline=None)
@given(n_epochs=st.integers(1, 200), last=st.floats(0, 1))
def test_hard_labels_spread_over_the_first_half(n_epochs: int, last: float) -> None:
    shares = [hard_share(epoch, n_epochs, last) for epoch in range(n_epochs)]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[math.ceil(n_epochs / 2) :] == [last] * (n_epochs // 2)


def test_the_surest_labels_are_hard_and_pulled_to_normal_afterwards() -> None:
    cosines = torch.tensor([[0.9, 0.1, 0.2], [0.4, 0.45, 0.3], [0.0, 0.2, 0.6], [0.5, 0.4, 0.1]])
    logits = torch.cat([torch.full((4, 2), 0.95), cosines], dim=1)  # base classes lead in vain
    normal = torch.tensor([0.0, 0.0, 0.25, 0.0])
    labels = corrected_pseudo_labels(logits, 0.05, 2, normal, hard=0.5)
    soft = functional.softmax(cosines / 0.05, dim=-1)
    expected = torch.stack(
        [torch.tensor([1.0, 0, 0]), soft[1], torch.tensor([0.25, 0, 0.75]), soft[3]]
    )
    torch.testing.assert_close(labels[:, 2:], expected)
    assert not labels[:, :2].any()
    all_hard = corrected_pseudo_labels(logits, 0.05, 2, torch.zeros(4), hard=1.0)
    assert all_hard.argmax(1).tolist() == [2, 3, 4, 2]
    assert all_hard.max(1).values.tolist() == [1.0] * 4
    both = corrected_pseudo_labels(torch.stack([logits, logits.flip(0)]), 0.05, 2, normal, 0.5)
    torch.testing.assert_close(both[0], labels)


def test_distillation_asks_each_view_for_the_label_of_the_other() -> None:
    logits = _cosines(4, 3)
    labels = torch.eye(3)[[0, 1, 2, 2]]
    log_probability = (logits / STUDENT_TEMPERATURE).log_softmax(-1)
    expected = -torch.stack([log_probability[i, k] for i, k in enumerate((2, 2, 0, 1))]).mean()
    torch.testing.assert_close(distillation(logits, labels), expected)
    swapped = distillation(logits.roll(2, 0), labels.roll(2, 0))
    torch.testing.assert_close(swapped, expected)


def test_losses_are_means_over_the_heads() -> None:
    logits = _cosines(4, 6, 5)
    labels = corrected_pseudo_labels(logits, 0.05, 2, torch.rand(6))
    classes = torch.tensor([0, 1, 0])
    for of_all, of_one in (
        (
            distillation(logits, labels),
            [distillation(*p) for p in zip(logits, labels, strict=True)],
        ),
        (mean_entropy_gap(logits), [mean_entropy_gap(head) for head in logits]),
        (
            base_cross_entropy(logits, classes),
            [base_cross_entropy(head[None], classes) for head in logits],
        ),
    ):
        torch.testing.assert_close(of_all, torch.stack(of_one).mean())


def test_mean_entropy_gap_is_zero_for_balanced_and_log_c_for_collapsed_predictions() -> None:
    balanced = 20 * torch.eye(5)
    assert mean_entropy_gap(balanced).item() == pytest.approx(0, abs=1e-6)
    collapsed = 20 * torch.eye(5)[[2, 2, 2]]
    assert mean_entropy_gap(collapsed).item() == pytest.approx(math.log(5), abs=1e-6)


def test_entropy_against_a_prior_is_a_divergence_from_it() -> None:
    shares = torch.tensor([0.6, 0.3, 0.1])
    at_prior = STUDENT_TEMPERATURE * shares.log().repeat(4, 1)
    assert mean_entropy_gap(at_prior, shares).item() == pytest.approx(0, abs=1e-6)
    balanced = torch.zeros(2, 3)
    by_hand = sum(math.log((1 / 3) / share) / 3 for share in (0.6, 0.3, 0.1))
    assert mean_entropy_gap(balanced, shares).item() == pytest.approx(by_hand, abs=1e-6)
    logits = _cosines(5, 3)
    uniform = mean_entropy_gap(logits, torch.full((3,), 1 / 3))
    torch.testing.assert_close(uniform, mean_entropy_gap(logits))


def test_separation_by_hand() -> None:
    # Cosines 0 and 0.8 with the others, 0 and 0.6, 0.8 and 0.6, each over a temperature of 0.1.
    prototypes = torch.tensor([[2.0, 0], [0, 1], [0.8, 0.6]])
    pairs = [(0, 8), (0, 6), (8, 6)]
    by_hand = sum(math.log((math.exp(a) + math.exp(b)) / 2) for a, b in pairs) / 3
    assert separation(prototypes).item() == pytest.approx(by_hand, rel=1e-6)
    assert separation(torch.stack([prototypes] * 2)).item() == pytest.approx(by_hand, rel=1e-6)
    prototypes.requires_grad_()
    (gradient,) = torch.autograd.grad(separation(prototypes), prototypes)
    with torch.no_grad():
        assert separation(prototypes - 0.01 * gradient) < separation(prototypes)


def test_info_nce_prefers_views_that_agree() -> None:
    first = _cosines(6, 8)
    agreeing = info_nce(torch.cat([first, first]))
    mixed = info_nce(torch.cat([first, first.roll(1, 0)]))
    assert agreeing < mixed
    torch.testing.assert_close(info_nce(5 * torch.cat([first, first])), agreeing)
    assert info_nce(torch.cat([first[:1], first[1:2]])).item() == 0


def test_supervised_contrast_prefers_classes_that_stand_together() -> None:
    corners = torch.eye(3)[[0, 1, 2, 0]]
    features = torch.cat([corners, corners])
    together = supervised_contrast(features, torch.tensor([0, 1, 2, 0]))
    apart = supervised_contrast(features, torch.tensor([0, 1, 2, 1]))
    assert together < apart


def test_supervised_contrast_without_repeated_classes_is_info_nce() -> None:
    features = _cosines(10, 8)
    loss = supervised_contrast(features, torch.arange(5), temperature=0.5)
    torch.testing.assert_close(loss, info_nce(features, temperature=0.5))


def test_base_cross_entropy_names_the_class_of_both_views() -> None:
    logits = _cosines(2, 6, 5)
    classes = torch.tensor([1, 0, 2])
    log_probability = (logits / STUDENT_TEMPERATURE).log_softmax(-1)
    picked = log_probability[:, torch.arange(6), torch.cat([classes, classes])]
    torch.testing.assert_close(base_cross_entropy(logits, classes), -picked.mean())


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_gradients_are_finite(scale: float) -> None:
    logits = (scale * _cosines(2, 6, 5)).requires_grad_()
    features = (scale * _cosines(6, 8)).requires_grad_()
    labels = corrected_pseudo_labels(logits, 0.04, 2, torch.rand(6))
    classes = torch.tensor([0, 1, 0])
    loss = (
        distillation(logits, labels)
        + mean_entropy_gap(logits)
        + base_cross_entropy(logits, classes)
        + info_nce(features)
        + supervised_contrast(features, classes)
    )
    for gradient in torch.autograd.grad(loss, [logits, features]):
        assert gradient.isfinite().all()
        assert gradient.any()
