"""Tokens of the store equal those of the frozen blocks run again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyncd.backbone.pixels import to_tensor
from anomalyncd.config import TrainingConfig
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.training import Batch, Objective, batch_loss
from anomalyncd.embedding.augmentation import (
    CropBatch,
    augmented_view,
    central_view,
)
from anomalyncd.embedding.encoder import FrozenFeatures, RegionEncoder
from anomalyncd.embedding.region_store import BATCH, fill_store, fill_token_store
from anomalyncd.embedding.token_store import TokenStore
from support.quick import QUICK, crops, run_context

CPU = torch.device("cpu")
VIEWS = QUICK.crops
N_REGIONS = 5
UPRIGHT = replace(QUICK, crops=replace(QUICK.crops, n_views=0))


def _fill(encoder: RegionEncoder, folder: Path, seed: int = 0, **views: float) -> TokenStore:
    config = replace(QUICK, crops=replace(VIEWS, **views))
    return fill_token_store(run_context(encoder, folder, config, seed), crops(N_REGIONS), N_REGIONS)


def _frozen_features(encoder: RegionEncoder, seed: int) -> list[FrozenFeatures]:
    """Features of the views that a seed draws, view by view."""
    cut = crops(N_REGIONS)
    whole = CropBatch(
        torch.cat([to_tensor(crop.image[None]) for crop in cut]),
        torch.stack([torch.from_numpy(crop.mask)[None] for crop in cut]),
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        views = [central_view(whole, VIEWS)]
        views += [augmented_view(whole, VIEWS) for _ in range(VIEWS.n_views)]
        dtype = encoder.vit.patch_embed.proj.weight.dtype
        return [encoder.frozen_features(view.images.to(dtype), view.masks) for view in views]


def _tensors(cache: TokenStore) -> tuple[Tensor, Tensor, Tensor]:
    return cache.tokens, cache.shares, cache.frozen


def _equal(first: TokenStore, second: TokenStore) -> bool:
    pairs = zip(_tensors(first), _tensors(second), strict=True)
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def _step(model: RegionClassifier, features: FrozenFeatures) -> tuple[Tensor, list[Tensor]]:
    config = TrainingConfig(epochs=2, contrast=True)
    normal = torch.linspace(0, 1, N_REGIONS)
    loss, _ = batch_loss(model, Batch(features, normal), None, Objective(config), 0)
    return loss.detach(), list(torch.autograd.grad(loss, model.trainable()))


# In bfloat16 the cache keeps what the features says; of float32 it keeps eight bits.
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.bfloat16, 1e-5), (torch.float32, 2e-2)],
    ids=["bf16", "fp32"],
)
def test_cached_step_is_the_uncached_step(
    encoder: RegionEncoder, tmp_path: Path, dtype: torch.dtype, tolerance: float
) -> None:
    encoder.set_frozen_precision(dtype)
    cache = _fill(encoder, tmp_path, seed=7)
    torch.manual_seed(0)
    model = RegionClassifier(encoder, n_classes=3, n_heads=2)
    for parameter in model.trainable():
        parameter.requires_grad_(True)
    regions = torch.arange(N_REGIONS)
    views = torch.ones_like(regions)
    cached = cache.batch(regions.repeat(2), torch.cat([views, 2 * views]), CPU)
    _, first, second = _frozen_features(encoder, seed=7)
    pairs = [(first.tokens, second.tokens), (first.shares, second.shares)]
    pairs.append((first.frozen, second.frozen))
    fresh = FrozenFeatures(*(torch.cat(pair).float() for pair in pairs))
    loss, gradients = _step(model, cached)
    expected, expected_gradients = _step(model, fresh)
    torch.testing.assert_close(loss, expected, atol=tolerance, rtol=tolerance)
    for gradient, other in zip(gradients, expected_gradients, strict=True):
        assert (gradient - other).norm() <= 3 * tolerance * (1 + other.norm())


def test_central_views_come_in_order(encoder: RegionEncoder, tmp_path: Path) -> None:
    cache = _fill(encoder, tmp_path)
    batches = list(cache.central(CPU, size=2))
    assert [len(features.tokens) for features in batches] == [2, 2, 1]
    fresh = _frozen_features(encoder, seed=0)[0]
    tokens = torch.cat([features.tokens for features in batches])
    assert tokens.dtype == torch.float32
    torch.testing.assert_close(tokens, fresh.tokens, atol=0.02, rtol=0.01)
    torch.testing.assert_close(torch.cat([t.shares for t in batches]), fresh.shares)
    torch.testing.assert_close(torch.cat([t.frozen for t in batches]), fresh.frozen)


def test_mapped_tokens_equal_those_in_memory(encoder: RegionEncoder, tmp_path: Path) -> None:
    in_memory = _fill(encoder, tmp_path / "unused")
    mapped = _fill(encoder, tmp_path / "new" / "folder", memory_limit_gb=0.0)
    assert not (tmp_path / "unused").exists()
    size = (tmp_path / "new" / "folder" / "tokens.bin").stat().st_size
    assert size == 2 * in_memory.tokens.numel()
    assert _equal(in_memory, mapped)


def test_views_follow_from_the_seed_alone(encoder: RegionEncoder, tmp_path: Path) -> None:
    first = _fill(encoder, tmp_path, seed=1)
    torch.rand(3)
    state = torch.get_rng_state()
    assert _equal(first, _fill(encoder, tmp_path, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    other = _fill(encoder, tmp_path, seed=2)
    assert torch.equal(first.tokens[:, 0], other.tokens[:, 0])
    assert not torch.equal(first.tokens[:, 1:], other.tokens[:, 1:])
    assert not torch.equal(first.tokens[:, 1], first.tokens[:, 2])


@pytest.mark.parametrize("n_views", [0, 1, 3])
def test_shapes(encoder: RegionEncoder, tmp_path: Path, n_views: int) -> None:
    cache = _fill(encoder, tmp_path, n_views=n_views)
    n_tokens = 1 + (VIEWS.size // 8) ** 2
    assert (len(cache), cache.n_views) == (N_REGIONS, n_views)
    assert cache.tokens.shape == (N_REGIONS, 1 + n_views, n_tokens, 16)
    side = VIEWS.size // 8
    assert cache.shares.shape == (N_REGIONS, 1 + n_views, 3, side, side)
    assert cache.frozen.shape == (N_REGIONS, 1 + n_views, sum(encoder.widths[1:]))


def test_regions_beyond_one_batch_keep_their_rows(encoder: RegionEncoder, tmp_path: Path) -> None:
    few = crops(2)
    many = few * (BATCH // 2 + 1)
    context = run_context(encoder, tmp_path, UPRIGHT)
    cache = fill_token_store(context, iter(many), len(many))
    assert len(cache) == BATCH + 2
    tokens = cache.tokens.float()
    expected = tokens[:2].repeat(BATCH // 2 + 1, 1, 1, 1)
    torch.testing.assert_close(tokens, expected, atol=0.02, rtol=0.01)
    assert (tokens[0] - tokens[1]).abs().max() > 0.1


@pytest.mark.parametrize(
    ("n_rotations", "turned", "mirrored"), [(1, False, False), (4, True, False), (8, True, True)]
)
def test_mean_over_poses_is_that_of_the_region_in_any_of_them(
    encoder: RegionEncoder, tmp_path: Path, n_rotations: int, turned: bool, mirrored: bool
) -> None:
    encoder.config = replace(encoder.config, n_rotations=n_rotations)

    def read(pose: Callable[[NDArray[np.generic]], NDArray[np.generic]]) -> Tensor:
        cut = [
            replace(one, image=pose(one.image).copy(), mask=pose(one.mask).copy())
            for one in crops(N_REGIONS)
        ]
        context = run_context(encoder, tmp_path, UPRIGHT)
        return fill_store(context, cut, N_REGIONS).read(encoder)

    upright = read(lambda layer: layer)
    assert upright.shape == (N_REGIONS, sum(encoder.widths))
    assert torch.allclose(read(np.rot90), upright, atol=1e-4) == turned
    assert torch.allclose(read(np.flipud), upright, atol=1e-4) == mirrored


def test_views_move_everything_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = torch.rand(3, 1, VIEWS.load_size, VIEWS.load_size, generator=generator)
    whole = CropBatch(layer.repeat(1, 3, 1, 1), layer, layer.clone(), 1 - layer)
    plain = replace(VIEWS, colour=0.0)
    for view in (central_view(whole, plain), augmented_view(whole, plain)):
        assert view.images.shape[-1] == view.masks.shape[-1] == VIEWS.size
        assert torch.equal(view.foreground, view.masks)
        assert torch.equal(view.maps, 1 - view.masks)
    assert not torch.equal(view.masks, central_view(whole, plain).masks)


def test_objects_and_maps_reach_the_patches(encoder: RegionEncoder, tmp_path: Path) -> None:
    plain = _fill(encoder, tmp_path)
    assert plain.shares[:, :, 2].max() == 0
    left = np.zeros((VIEWS.load_size, VIEWS.load_size), np.float32)
    left[:, : VIEWS.load_size // 2] = 1
    cut = [replace(one, foreground_mask=left, anomaly_map=one.mask / 2) for one in crops(N_REGIONS)]
    cache = fill_token_store(run_context(encoder, tmp_path), cut, N_REGIONS)
    torch.testing.assert_close(cache.shares[:, :, 0], plain.shares[:, :, 0] / 2)
    torch.testing.assert_close(cache.shares.sum(2), torch.ones_like(cache.shares[:, :, 0]))
    half = VIEWS.size // 8 // 2
    assert cache.shares[:, 0, 2, :, :half].max() == 0
    assert cache.shares[:, 0, 2, :, half:].mean() > 0.5


def test_no_region_is_refused(encoder: RegionEncoder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no region"):
        fill_token_store(run_context(encoder, tmp_path), [], 0)


def test_batch_that_does_not_fit_is_halved(
    encoder: RegionEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(QUICK, encoder=replace(QUICK.encoder, n_rotations=4))
    encoder = RegionEncoder(encoder.vit, config.encoder)
    context = run_context(encoder, tmp_path, config)
    whole = fill_store(context, crops(11), 11)
    run, sizes, limit = RegionEncoder.frozen_features, list[int](), 3

    def small(self: RegionEncoder, images: torch.Tensor, *rest: Any) -> FrozenFeatures:
        sizes.append(len(images))
        if len(images) > limit:
            raise torch.OutOfMemoryError("tried to allocate 2 GiB")
        return run(self, images, *rest)

    monkeypatch.setattr(RegionEncoder, "frozen_features", small)
    halved = fill_store(context, crops(11), 11)
    assert halved.tensors.keys() == {"means", "attention"}
    torch.testing.assert_close(halved.tensors, whole.tensors)
    assert sizes[:8] == [11, 5, 2, 3, 6, 3, 3, 11]
    limit = 0
    with pytest.raises(torch.OutOfMemoryError):
        fill_store(context, crops(11), 11)


def test_other_errors_are_not_tried_again(
    encoder: RegionEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def broken(*_: Any) -> FrozenFeatures:
        tried.append(1)
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(RegionEncoder, "frozen_features", broken)
    with pytest.raises(RuntimeError, match="do not fit"):
        fill_token_store(run_context(encoder, tmp_path), crops(4), 4)
    assert len(tried) == 1
