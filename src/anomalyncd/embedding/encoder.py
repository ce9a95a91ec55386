"""From a region's crop and mask to the vector that is clustered."""

from dataclasses import dataclass
from typing import Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from anomalyncd.backbone.vit import (
    CLS_ROW,
    Block,
    VisionTransformer,
)
from anomalyncd.config import EncoderConfig
from anomalyncd.embedding.guidance import Guidance, region_shares
from anomalyncd.errors import InputError


@dataclass(frozen=True)
class FrozenFeatures:
    """Output of the frozen blocks for a batch of crops; training needs nothing else.

    Attributes:
        tokens: Tokens that enter the read-out block, (B, T, D).
        shares: What each patch shows, (B, 3, rows, columns), see `region_shares`.
        frozen: Pieces of the descriptor that no training changes, joined, (B, F).
    """

    tokens: Tensor
    shares: Tensor
    frozen: Tensor


class RegionEncoder(nn.Module):
    """A vision transformer whose last blocks guide the attention of the CLS token to the anomaly.

    The CLS token is read after block `readout` and the final LayerNorm (AnomalyNCD, section 3.2,
    where it is the last block). The blocks before it stay frozen, so their output is computed once
    for all views. Tokens of earlier blocks may join the descriptor.
    """

    def __init__(self, vit: VisionTransformer, config: EncoderConfig) -> None:
        super().__init__()
        depth = vit.config.depth
        if not -depth <= config.readout < depth:
            raise InputError(f"readout={config.readout} is no block; the backbone has {depth}")
        self.vit = vit
        self.config = config
        self.guidance = Guidance(config)
        self.readout = range(depth)[config.readout]
        for index in (*config.extra_cls, *config.region_means):
            if not 0 <= index < self.readout:
                raise InputError(f"block {index} does not lie before the readout {self.readout}")
        self.first_guided = max(0, depth - config.n_guided)
        if config.guidance == "learned" and not self.guides_readout:
            raise InputError(
                "guidance='learned' adapts the read-out block, which is not guided; raise n_guided "
                "and set guided_rows to cls or all"
            )

    @property
    def guides_readout(self) -> bool:
        """Whether guidance changes the attention of the CLS token in the read-out block."""
        guided = self.config.guidance != "none" and self.config.guided_rows != "patches"
        return guided and self.readout >= self.first_guided

    def set_frozen_precision(self, dtype: torch.dtype) -> Self:
        """Runs the frozen blocks in `dtype`; what is trained stays float32."""
        self.vit.to(dtype)
        self.vit.blocks[self.readout].float()
        self.vit.norm.float()
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Lengths of the pieces of a descriptor: the trained CLS token, then the frozen pieces."""
        n_pieces = 1 + len(self.config.extra_cls) + len(self.config.region_means)
        return (self.vit.config.width,) * n_pieces

    def frozen_features(
        self,
        images: Tensor,
        masks: Tensor,
        foreground: Tensor | None = None,
        maps: Tensor | None = None,
    ) -> FrozenFeatures:
        """Runs the frozen blocks.

        Args:
            images: (B, 3, H, W), normalised, H and W multiples of the patch size.
            masks: (B, 1, H, W), 0..1, 1 on the anomaly.
            foreground: (B, 1, H, W), 0..1, 1 on the product; None takes all of it for product.
            maps: (B, 1, H, W), 0..1: what leads attention in place of the masks; None leaves that
                to the masks.
        """
        size, n_prefix = self.vit.config.patch_size, self.vit.n_prefix
        grid = (images.shape[-2] // size, images.shape[-1] // size)
        shares = region_shares(masks if maps is None else maps, grid, foreground)
        bias = self.guidance(shares, n_prefix)
        rows = {"cls": CLS_ROW, "patches": slice(n_prefix, None), "all": slice(None)}
        guided = rows[self.config.guided_rows]
        tokens = self.vit.embed(images)
        weights = functional.adaptive_avg_pool2d(masks, grid).flatten(1)
        frozen = []
        for index in range(self.readout):
            led = bias if index >= self.first_guided else None
            tokens = self.vit.blocks[index](tokens, led, guided)
            if index in self.config.extra_cls:
                frozen.append(functional.layer_norm(tokens[:, 0], tokens.shape[-1:]))
            if index in self.config.region_means:
                frozen.append(_weighted_mean(tokens[:, n_prefix:], weights))
        joined = torch.cat(frozen, dim=1) if frozen else tokens.new_zeros(tokens.shape[0], 0)
        return FrozenFeatures(tokens, shares, joined.float())

    def read(self, features: FrozenFeatures) -> Tensor:
        """All pieces of the descriptor, (B, sum of `widths`): the trainable CLS token first."""
        cls = self._readout_block.cls_row(features.tokens, self._readout_bias(features))
        return torch.cat([self.vit.norm(cls), features.frozen], dim=1)

    def attention(self, features: FrozenFeatures) -> Tensor:
        """Where the CLS token looks when it is read: (B, 2, rows, columns), 0..1.

        First without guidance of this block (those before it stay guided), then with it; the mean
        over the heads. What it pays to the tokens before the first patch is left out.
        """
        pair = [
            self._readout_block.cls_weights(features.tokens, bias).mean(1)[:, self.vit.n_prefix :]
            for bias in (None, self._readout_bias(features))
        ]
        maps: Tensor = torch.stack(pair, dim=1).unflatten(2, features.shares.shape[-2:])
        return maps

    @property
    def _readout_block(self) -> Block:
        return cast(Block, self.vit.blocks[self.readout])

    def _readout_bias(self, features: FrozenFeatures) -> Tensor | None:
        if not self.guides_readout:
            return None
        bias: Tensor = self.guidance(features.shares, self.vit.n_prefix, trained=True)
        return bias

    def forward(self, images: Tensor, masks: Tensor) -> Tensor:
        """All pieces of the descriptor of each crop; see `frozen_features` and `read`."""
        return self.read(self.frozen_features(images, masks))


def _weighted_mean(patches: Tensor, weights: Tensor) -> Tensor:
    """Mean patch token under a mask, of the whole crop where the mask is empty."""
    empty = weights.sum(1, keepdim=True) < 1e-6
    weights = torch.where(empty, torch.ones_like(weights), weights)
    weights = (weights / weights.sum(1, keepdim=True)).to(patches.dtype)
    return (weights[:, None] @ patches)[:, 0]
