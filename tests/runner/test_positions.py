"""Position embeddings are resampled as the backbone does it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.runner.positions import resampled
from support.quick import TINY


@pytest.mark.parametrize("n_registers", [0, 4])
@pytest.mark.parametrize("grid", [(4, 4), (3, 7), (9, 5), (2, 2)])
def test_positions_are_those_of_the_backbone(n_registers: int, grid: tuple[int, int]) -> None:
    vit = VisionTransformer(replace(TINY, n_registers=n_registers))
    torch.nn.init.normal_(vit.pos_embed)
    with torch.no_grad():
        expected = vit.positions(*grid)[1].numpy()
    stored = vit.pos_embed.detach()[0, -(TINY.grid**2) :].numpy()
    found = resampled(stored, grid, antialias=n_registers > 0)
    np.testing.assert_allclose(found, expected, atol=2e-6)
