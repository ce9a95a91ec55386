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
    """What the frozen blocks say of a batch of crops; all that training ever needs.

    Attributes:
        tokens: Tokens that enter the read-out block, (B, T, D).
        shares: What each patch shows, (B, 3, rows, columns), see `region_shares`.
        frozen: ImageSet of the descriptor that no training changes, (B, F), joined.
    """

    tokens: Tensor
    shares: Tensor
    frozen: Tensor


class RegionEncoder(nn.Module):
    """A vision transformer whose CLS token is led to the anomaly in its last blocks.

    The CLS token is read after block `readout` and the final LayerNorm (AnomalyNCD, section 3.2,
    where it is the last block). The blocks before it, the trunk, stay frozen, so their output can
    be computed once for a pool of views. Tokens of earlier blocks may join the descriptor.
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
        """Whether guidance changes where the CLS token looks when it is read."""
        led = self.config.guidance != "none" and self.config.guided_rows != "patches"
        return led and self.readout >= self.first_guided

    def set_trunk_precision(self, dtype: torch.dtype) -> Self:
        """Runs the frozen blocks in `dtype`; what is trained stays float32."""
        self.vit.to(dtype)
        self.vit.blocks[self.readout].float()
        self.vit.norm.float()
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Lengths of the parts of a descriptor: the trained CLS token, then the frozen parts."""
        n_images = 1 + len(self.config.extra_cls) + len(self.config.region_means)
        return (self.vit.config.width,) * n_images

    def trunk(
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
            objects: (B, 1, H, W), 0..1, 1 on the product; None takes all of it for product.
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
        joined = torch.cat(frozen, dim=1) if frozen else tokens.new_zeros(len(tokens), 0)
        return FrozenFeatures(tokens, shares, joined.float())

    def read(self, trunk: FrozenFeatures) -> Tensor:
        """All parts of the descriptor, (B, sum of `widths`): the trainable CLS token first."""
        cls = self._readout_block.cls_row(trunk.tokens, self._readout_bias(trunk))
        return torch.cat([self.vit.norm(cls), trunk.frozen], dim=1)

    def attention(self, trunk: FrozenFeatures) -> Tensor:
        """Where the CLS token looks when it is read: (B, 2, rows, columns), 0..1.

        First without guidance of this block (those before it stay guided), then with it; the mean
        over the heads. What it pays to the tokens before the first patch is left out.
        """
        pair = [
            self._readout_block.cls_weights(trunk.tokens, bias).mean(1)[:, self.vit.n_prefix :]
            for bias in (None, self._readout_bias(trunk))
        ]
        maps: Tensor = torch.stack(pair, dim=1).unflatten(2, trunk.shares.shape[-2:])
        return maps

    @property
    def _readout_block(self) -> Block:
        return cast(Block, self.vit.blocks[self.readout])

    def _readout_bias(self, trunk: FrozenFeatures) -> Tensor | None:
        if not self.guides_readout:
            return None
        bias: Tensor = self.guidance(trunk.shares, self.vit.n_prefix, trained=True)
        return bias

    def forward(self, images: Tensor, masks: Tensor) -> Tensor:
        """All parts of the descriptor of each crop; see `trunk` and `read`."""
        return self.read(self.trunk(images, masks))


def _weighted_mean(patches: Tensor, weights: Tensor) -> Tensor:
    """Mean patch token under a mask, of the whole crop where the mask is empty."""
    empty = weights.sum(1, keepdim=True) < 1e-6
    weights = torch.where(empty, torch.ones_like(weights), weights)
    weights = (weights / weights.sum(1, keepdim=True)).to(patches.dtype)
    return (weights[:, None] @ patches)[:, 0]
