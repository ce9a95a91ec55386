"""Well separated classes, as tokens that a backbone could compute for whole images."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.embedding.base_regions import BaseRegions
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd_bench.baselines.inputs import (
    BaselineInputs,
    ImageTokens,
    LabelledTokens,
    TrainingViews,
)
from anomalyncd_bench.baselines.reading import UNGUIDED
from support.quick import TINY

CLASSES = 3
LABELS = np.arange(36) % CLASSES
GRID = (5, 6)
_N_VIEWS = 3
_WIDTH = TINY.width
_DIRECTIONS = torch.eye(_WIDTH)


def blobs(with_base: bool = False) -> BaselineInputs:
    """Three classes that differ in a small defect, which the maps show, and in the CLS token.

    Labelled images have two classes of their own.
    """
    base = _base() if with_base else None
    images = ImageTokens(_cls(LABELS, 0), [_patches(i, LABELS[i]) for i in range(len(LABELS))])
    patches = [_patches(100 + i, None) for i in range(4)]
    normals = ImageTokens(np.zeros((4, _WIDTH), np.float32), patches)
    maps = [_map(i) for i in range(len(LABELS))]
    return BaselineInputs(CLASSES, 0, images, maps, normals, base, _views(with_base))


def _base() -> LabelledTokens:
    labels = np.arange(10) % 2
    return LabelledTokens(_cls(labels + 8, 1), labels, 2)


def _cls(labels: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(0, 0.05, (len(labels), _WIDTH))
    return (_DIRECTIONS.numpy()[labels] + noise).astype(np.float32)


def _box(image: int) -> tuple[slice, slice]:
    top, left = np.random.default_rng(image).integers(0, 3, 2)
    return slice(top, top + 2), slice(left, left + 3)


def _patches(image: int, label: int | None) -> Tensor:
    """(2, D, rows, columns): one background for all, and a defect of the class somewhere."""
    noise = torch.randn(2, _WIDTH, *GRID, generator=torch.Generator().manual_seed(image))
    tokens = 3 * _DIRECTIONS[-1][:, None, None] + 0.3 * noise
    if label is not None:
        tokens[:, :, *_box(image)] += 9 * _DIRECTIONS[label][:, None, None]
    return tokens


def _map(image: int) -> NDArray[np.float32]:
    scores = np.random.default_rng(image).normal(0.2, 0.02, GRID)
    scores[_box(image)] += 1
    return np.kron(scores, np.ones((4, 4))).astype(np.float32)


def _views(with_base: bool) -> TrainingViews:
    torch.manual_seed(0)
    vit = VisionTransformer(TINY).eval().requires_grad_(False)
    vit.norm.weight.fill_(10)  # CLS tokens about as long as those of real backbones
    encoder = RegionEncoder(vit, UNGUIDED)
    known = np.arange(24) % 2
    base = BaseRegions(_tokens(known + 8, 1), known, 2) if with_base else None
    return TrainingViews(encoder, _tokens(LABELS, 0), base)


def _tokens(labels: NDArray[np.int64], seed: int) -> TokenStore:
    """Tokens of all views; those of one class lie around one direction."""
    shape = (len(labels), 1 + _N_VIEWS, 1 + TINY.grid**2)
    noise = torch.randn(*shape, _WIDTH, generator=torch.Generator().manual_seed(seed))
    tokens = 4 * _DIRECTIONS[torch.from_numpy(labels)][:, None, None] + 0.3 * noise
    normalised = functional.layer_norm(tokens, (_WIDTH,)).bfloat16()
    return TokenStore(normalised, torch.zeros(shape), torch.zeros(*shape[:2], 0))
