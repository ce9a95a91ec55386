"""Vision transformer that loads DINO and DINOv2 weights under timm's parameter names."""

from collections.abc import Collection
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from anomalyncd.backbone.attention import attend
from anomalyncd.backbone.catalogue import VitConfig

CLS_ROW = slice(0, 1)
"""The row of the CLS token in the attention matrix."""


class Attention(nn.Module):
    """Multi-head self-attention with an optional bias on some rows of the attention matrix."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def _split(self, tokens: Tensor, n_images: int) -> tuple[Tensor, ...]:
        batch, length, _ = tokens.shape
        return (
            tokens.view(batch, length, n_images, self.n_heads, -1).permute(2, 0, 3, 1, 4).unbind()
        )

    def forward(self, tokens: Tensor, bias: Tensor | None = None, rows: slice = CLS_ROW) -> Tensor:
        """Attends from every token; the bias (B, T) is added to the given rows only."""
        query, key, value = self._split(self.qkv(tokens), 3)
        out = attend(query, key, value)
        if bias is not None:
            # Computing a few rows again is cheaper than a (T, T) mask for the fused kernel.
            start, stop, _ = rows.indices(tokens.shape[1])
            biased = _biased_rows(query[:, :, rows], key, value, bias)
            out = torch.cat([out[:, :, :start], biased, out[:, :, stop:]], dim=2)
        joined: Tensor = self.proj(out.transpose(1, 2).flatten(2))
        return joined

    def cls_row(self, tokens: Tensor, norm: nn.LayerNorm, bias: Tensor | None) -> Tensor:
        """Attends from the CLS token only; (B, 1, D), equal to row 0 of `forward(norm(tokens))`.

        With a single query, the matrices and the affine part of the norm can be applied to the
        query and to the attended mean. No keys or values are computed, and no gradient has the
        size of all tokens. Terms that add the same to the affinity of every token are left out,
        since softmax ignores them.
        """
        batch, _, width = tokens.shape
        heads = self.n_heads
        normed = functional.layer_norm(tokens, (width,), eps=norm.eps)
        weights = self._cls_weights(normed, norm, bias)
        w_value = self.qkv.weight.view(3, heads, width // heads, width)[2]
        b_value = self.qkv.bias.view(3, heads, width // heads)[2]
        mean = (weights @ normed) * norm.weight + norm.bias
        value = torch.einsum("bhd,hkd->bhk", mean, w_value) + b_value
        row: Tensor = self.proj(value.reshape(batch, 1, width))
        return row

    def cls_weights(self, tokens: Tensor, norm: nn.LayerNorm, bias: Tensor | None) -> Tensor:
        """Attention weights of the CLS token for each token, (B, heads, T); they sum to 1."""
        normed = functional.layer_norm(tokens, tokens.shape[-1:], eps=norm.eps)
        return self._cls_weights(normed, norm, bias)

    def _cls_weights(self, normed: Tensor, norm: nn.LayerNorm, bias: Tensor | None) -> Tensor:
        """See `cls_weights`, for tokens normalised without the affine part of the norm."""
        width, heads = normed.shape[-1], self.n_heads
        w_query, w_key, _ = self.qkv.weight.view(3, heads, width // heads, width)
        b_query = self.qkv.bias.view(3, heads, width // heads)[0]
        cls = normed[:, 0] * norm.weight + norm.bias
        query = torch.einsum("bd,hkd->bhk", cls, w_query) + b_query
        probe = torch.einsum("bhk,hkd->bhd", query, w_key * norm.weight)
        affinity = (probe * (width // heads) ** -0.5) @ normed.transpose(1, 2)
        if bias is not None:
            affinity = affinity + bias[:, None].to(affinity.dtype)
        weights: Tensor = affinity.softmax(-1)
        return weights


def _biased_rows(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    mask = bias[:, None, None].to(query.dtype)
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return out


class LayerScale(nn.Module):
    """A learned factor for each channel of a residual branch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.gamma


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.attn = Attention(config.width, config.n_heads)
        self.ls1 = LayerScale(config.width) if config.layer_scale else nn.Identity()
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = Mlp(config.width)
        self.ls2 = LayerScale(config.width) if config.layer_scale else nn.Identity()

    def forward(self, tokens: Tensor, bias: Tensor | None = None, rows: slice = CLS_ROW) -> Tensor:
        mixed: Tensor = tokens + self.ls1(self.attn(self.norm1(tokens), bias, rows))
        out: Tensor = mixed + self.ls2(self.mlp(self.norm2(mixed)))
        return out

    def cls_row(self, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """Computes the CLS token after this block, (B, D), at the cost of a single query."""
        mixed: Tensor = tokens[:, :1] + self.ls1(self.attn.cls_row(tokens, self.norm1, bias))
        out: Tensor = mixed + self.ls2(self.mlp(self.norm2(mixed)))
        return out[:, 0]

    def cls_weights(self, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """Attention weights of the CLS token for each token, (B, heads, T); they sum to 1."""
        weights: Tensor = self.attn.cls_weights(tokens, self.norm1, bias)
        return weights


class PatchEmbedding(nn.Module):
    """Splits an image into patches and projects each to a token."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        size = config.patch_size
        self.proj = nn.Conv2d(3, config.width, kernel_size=size, stride=size)

    def forward(self, images: Tensor) -> Tensor:
        patches: Tensor = self.proj(images)
        return patches


class VisionTransformer(nn.Module):
    """A plain vision transformer; tokens are ordered CLS, registers, patches row by row."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        # Weights with registers carry the CLS token's position in the token itself (timm).
        n_positions = config.grid**2 + (0 if config.n_registers else 1)
        self.patch_embed = PatchEmbedding(config)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, n_positions, config.width))
        if config.n_registers:
            self.reg_token = nn.Parameter(torch.zeros(1, config.n_registers, config.width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)

    @property
    def n_prefix(self) -> int:
        """Number of tokens before the first patch."""
        return 1 + self.config.n_registers

    def positions(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Resamples the position embedding to a grid of patches (bicubic).

        Args:
            height: Patch rows.
            width: Patch columns.

        Returns:
            Those of the CLS token, (1, 1, D), zero where the weights have registers, and of the
            patches, (1, H * W, D).
        """
        grid = self.config.grid
        patches = self.pos_embed[:, -grid * grid :]
        cls = self.pos_embed[:, :1]
        if self.config.n_registers:
            cls = torch.zeros_like(cls)
        if (height, width) == (grid, grid):
            return cls, patches
        square = patches.float().reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
        # DINOv2 was trained with antialiasing only where it has registers.
        resampled = functional.interpolate(
            square, (height, width), mode="bicubic", antialias=self.config.n_registers > 0
        )
        return cls, resampled.permute(0, 2, 3, 1).flatten(1, 2).to(patches.dtype)

    def embed(self, images: Tensor) -> Tensor:
        """Computes the tokens that enter the first block.

        Args:
            images: (B, 3, H, W), normalised, H and W multiples of the patch size.

        Returns:
            Tokens, (B, 1 + registers + H / P * W / P, D).
        """
        patches = self.patch_embed(images)
        cls_position, positions = self.positions(*patches.shape[-2:])
        patches = patches.flatten(2).transpose(1, 2) + positions
        prefix = self.cls_token + cls_position
        if self.config.n_registers:
            prefix = torch.cat([prefix, self.reg_token], dim=1)
        return torch.cat([prefix.expand(images.shape[0], -1, -1), patches], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Computes all tokens after the last block and the final LayerNorm, (B, T, D)."""
        tokens = self.embed(images)
        for block in self.blocks:
            tokens = block(tokens)
        normed: Tensor = self.norm(tokens)
        return normed

    def tokens_after(self, images: Tensor, layers: Collection[int]) -> dict[int, Tensor]:
        """Computes all tokens after some blocks, without the final LayerNorm.

        Args:
            images: (B, 3, H, W), normalised, H and W multiples of the patch size.
            layers: Indices of blocks, counted from 0. No block after the last of them is run.

        Returns:
            For each of these blocks (B, T, D), in the precision of the block.
        """
        tokens, after = self.embed(images), {}
        for index in range(max(layers) + 1):
            block = cast(Block, self.blocks[index])
            tokens = block(tokens.to(block.norm1.weight.dtype))
            if index in layers:
                after[index] = tokens
        return after
