"""What training draws, how fast it learns, and what it leaves alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anomalyncd.config import TrainingConfig
from anomalyncd.discovery import losses
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.training import (
    Objective,
    Samples,
    _batch,
    _batches,
    _clustering,
    _optimiser,
    _set_learning_rate,
    batch_loss,
    train,
)
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.region_store import fill_token_store
from anomalyncd.embedding.token_store import TokenStore
from support.quick import crops, run_context

SETTINGS = TrainingConfig(
    n_heads=2, epochs=2, batch_size=4, learning_rate=0.05, base_share=0.3, contrast=True
)
CPU = torch.device("cpu")


def _numbered(n_regions: int, n_views: int = 2) -> Samples:
    """Tokens that name their own region and view; targets are the regions' numbers."""
    regions = torch.arange(n_regions)[:, None].expand(n_regions, 1 + n_views)
    views = torch.arange(1 + n_views).expand_as(regions)
    tokens = torch.stack([regions, views], dim=-1)[:, :, None].to(torch.bfloat16)
    rest = torch.zeros(n_regions, 1 + n_views, 1)
    return Samples(TokenStore(tokens, rest, rest), torch.arange(n_regions))


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _model(encoder: RegionEncoder, n_classes: int) -> RegionClassifier:
    torch.manual_seed(0)
    return RegionClassifier(encoder, n_classes, SETTINGS.n_heads)


def _samples(encoder: RegionEncoder, folder: Path, targets: torch.Tensor) -> Samples:
    count = len(targets)
    return Samples(fill_token_store(run_context(encoder, folder), crops(count), count), targets)


def test_every_novel_region_comes_once_an_epoch() -> None:
    steps = list(_batches(_numbered(10), None, SETTINGS, _generator()))
    assert [len(novel) for novel, _ in steps] == [4, 4, 2]
    assert not any(len(base) for _, base in steps)
    assert sorted(torch.cat([novel for novel, _ in steps]).tolist()) == list(range(10))


@pytest.mark.parametrize(("n_novel", "n_base"), [(3, 200), (200, 3), (40, 40)])
def test_steps_with_a_base_set_lack_neither_kind(n_novel: int, n_base: int) -> None:
    config = replace(SETTINGS, batch_size=3)  # so small that a quarter would lack one
    steps = list(_batches(_numbered(n_novel), _numbered(n_base), config, _generator()))
    assert len(steps) >= (n_novel + n_base) // 3 // 2
    for novel, base in steps:
        assert len(novel) > 0
        assert len(base) > 0
        assert len(novel) + len(base) <= 3
        assert novel.min() >= 0
        assert novel.max() < n_novel
        assert base.min() >= 0
        assert base.max() < n_base


def test_base_and_novel_regions_come_alike_often() -> None:
    config = replace(SETTINGS, batch_size=32)
    steps = list(_batches(_numbered(50), _numbered(950), config, _generator()))
    n_novel = sum(len(novel) for novel, _ in steps)
    assert n_novel / sum(len(a) + len(b) for a, b in steps) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("n_views", [2, 3, 5])
def test_both_views_differ_and_neither_is_the_central_one(n_views: int) -> None:
    rows = torch.arange(60)
    batch = _batch(_numbered(60, n_views), rows, _generator(), CPU)
    regions, views = batch.features.tokens[:, 0].unbind(1)
    assert regions.tolist() == rows.repeat(2).tolist()
    assert batch.targets.tolist() == rows.tolist()
    first, second = views.chunk(2)
    assert not (first == second).any()
    assert set(first.tolist()) == set(second.tolist()) == set(range(1, 1 + n_views))


def test_a_single_view_is_taken_twice() -> None:
    batch = _batch(_numbered(4, n_views=1), torch.arange(4), _generator(), CPU)
    assert set(batch.features.tokens[:, 0, 1].tolist()) == {1}


def test_learning_rate_falls_to_almost_nothing() -> None:
    config = replace(SETTINGS, epochs=40)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    rates = []
    for epoch in range(config.epochs):
        _set_learning_rate(optimiser, epoch, config)
        rates.append(optimiser.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(config.learning_rate)
    assert rates == sorted(rates, reverse=True)
    assert rates[20] == pytest.approx(config.learning_rate / 2, rel=0.01)
    assert 0 < rates[-1] < 0.01 * config.learning_rate


@pytest.mark.parametrize("with_base", [False, True])
def test_training_changes_what_is_trainable_and_nothing_else(
    encoder: RegionEncoder, tmp_path: Path, with_base: bool
) -> None:
    novel = _samples(encoder, tmp_path, torch.linspace(0, 1, 6))
    base = _samples(encoder, tmp_path, torch.tensor([0, 1] * 3)) if with_base else None
    model = _model(encoder, n_classes=5)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    loss = train(model, novel, base, Objective(SETTINGS, 2 if with_base else 0), seed=0)
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    trainable = {id(parameter) for parameter in model.trainable()}
    allowed = {name for name, one in model.named_parameters() if id(one) in trainable}
    assert changed <= allowed
    block = f"encoder.vit.blocks.{encoder.readout}."
    for part in (f"{block}attn", f"{block}mlp", "prototypes", "projection"):
        assert any(name.startswith(part) for name in changed), part
    assert loss.shape == (SETTINGS.n_heads,)
    assert loss.isfinite().all()
    assert not loss.requires_grad
    assert not model.training


def test_prototypes_alone_may_learn(encoder: RegionEncoder, tmp_path: Path) -> None:
    novel = _samples(encoder, tmp_path, torch.linspace(0, 1, 6))
    model = _model(encoder, n_classes=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    objective = Objective(replace(SETTINGS, trained="prototypes", contrast=False))
    train(model, novel, None, objective, seed=0)
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"prototypes.prototypes"}


@pytest.mark.parametrize(
    "change",
    [
        {"hard_share": 1.0},
        {"separation_weight": 0.5},
        {"teacher_temperature": (0.02, 0.02)},
        {"entropy_weight": 0.0},
        {"entropy_prior": "start"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_loss_of_the_prototypes_can_be_switched(
    change: dict[str, object], encoder: RegionEncoder, tmp_path: Path
) -> None:
    novel = _samples(encoder, tmp_path, torch.linspace(0, 1, 6))
    start = {name: tensor.clone() for name, tensor in _model(encoder, 3).state_dict().items()}
    shares = torch.tensor([[0.8, 0.1, 0.1]] * SETTINGS.n_heads)
    ends = []
    for config in (SETTINGS, replace(SETTINGS, **change)):
        model = _model(encoder, 3)
        model.load_state_dict(start)
        prior = shares if config.entropy_prior == "start" else None
        train(model, novel, None, Objective(config, prior=prior), seed=0)
        ends.append(model.prototypes.prototypes.detach().clone())
    assert not torch.allclose(*ends, atol=1e-7)


def test_same_seed_same_training(encoder: RegionEncoder, tmp_path: Path) -> None:
    novel = _samples(encoder, tmp_path, torch.linspace(0, 1, 6))
    start = {name: tensor.clone() for name, tensor in _model(encoder, 3).state_dict().items()}
    ends = []
    for seed in (0, 0, 1):
        model = _model(encoder, 3)
        model.load_state_dict(start)
        train(model, novel, None, Objective(SETTINGS), seed)
        ends.append(model.prototypes.prototypes.detach().clone())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_no_epoch_keeps_the_start(encoder: RegionEncoder, tmp_path: Path) -> None:
    novel = _samples(encoder, tmp_path, torch.linspace(0, 1, 3))
    model = _model(encoder, 3)
    before = model.prototypes.prototypes.detach().clone()
    loss = train(model, novel, None, Objective(replace(SETTINGS, epochs=0)), seed=0)
    assert torch.equal(model.prototypes.prototypes.detach(), before)
    assert loss.tolist() == [0.0] * SETTINGS.n_heads


def test_decay_is_that_of_matrices_alone(encoder: RegionEncoder) -> None:
    model = _model(encoder, 4)
    groups = _optimiser(model, replace(SETTINGS, weight_decay=0.1)).param_groups
    decayed = [p for group in groups if group["weight_decay"] for p in group["params"]]
    others = [p for group in groups if not group["weight_decay"] for p in group["params"]]
    assert decayed
    assert all(parameter.ndim > 1 for parameter in decayed)
    assert others
    assert all(parameter.ndim <= 1 for parameter in others)
    assert len(decayed) + len(others) == len(model.trainable())


def test_shares_of_labelled_and_unlabelled_losses_sum_to_one(
    encoder: RegionEncoder, tmp_path: Path
) -> None:
    model = _model(encoder, 5)
    novel = _samples(encoder, tmp_path, torch.linspace(0, 1, 6))
    base = _samples(encoder, tmp_path, torch.tensor([0, 1, 0, 1]))
    first = _batch(novel, torch.arange(6), _generator(), CPU)
    second = _batch(base, torch.arange(4), _generator(), CPU)
    features, known = model.describe(first.features), model.describe(second.features)
    projected = [model.projection(features), model.projection(known)]
    labelled = losses.base_cross_entropy(model.prototypes(known), second.targets)
    labelled = labelled + losses.supervised_contrast(projected[1], second.targets)
    views = [half for one in projected for half in one.chunk(2)]
    joined = torch.cat([views[0], views[2], views[1], views[3]])
    for share in (0.3, 0.8):
        config = replace(SETTINGS, base_share=share, separation_weight=0.4)
        loss, per_head = batch_loss(model, first, second, Objective(config, 2), 0)
        unlabelled = per_head.mean() + losses.info_nce(joined)
        unlabelled = unlabelled + 0.4 * losses.separation(model.prototypes.prototypes)
        expected = share * labelled + (1 - share) * unlabelled
        torch.testing.assert_close(loss, expected)


def test_each_view_has_its_own_share_of_hard_labels() -> None:
    sure = torch.tensor([[0.9, 0.0, 0.0], [0.0, 0.9, 0.0], [0.8, 0.1, 0.0], [0.0, 0.8, 0.1]])
    logits = torch.cat([sure, sure / 4])[None]
    config = replace(SETTINGS, hard_share=0.5, entropy_weight=0.0)
    last = config.epochs - 1
    per_head = _clustering(logits, torch.zeros(8), Objective(config), last)
    temperature = losses.teacher_temperature(last, config.epochs, *config.teacher_temperature)
    halves = [
        losses.corrected_pseudo_labels(view, temperature, 0, torch.zeros(4), 0.5)
        for view in logits[0].chunk(2)
    ]
    assert [int((half == 1).any(1).sum()) for half in halves] == [2, 2]
    expected = losses.distillation(logits[0], torch.cat(halves))
    torch.testing.assert_close(per_head[0], expected)
