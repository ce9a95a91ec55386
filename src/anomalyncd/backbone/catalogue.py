"""The backbones that can be used, by name; importing this module loads nothing slow."""

import os
from dataclasses import dataclass
from pathlib import Path

from anomalyncd.errors import InputError

DEFAULT_BACKBONE = "vit_small_patch14_dinov2.lvd142m"
WEIGHTS_FILE = "backbone.safetensors"
"""File of the weights in a model folder that carries them."""
WEIGHTS_VARIABLE = "ANOMALYNCD_WEIGHTS"


@dataclass(frozen=True)
class VitConfig:
    """The sizes of a vision transformer."""

    patch_size: int
    """Side of a patch, px."""
    width: int
    """Length of a token."""
    depth: int
    """Number of blocks."""
    n_heads: int
    """Number of attention heads of each block."""
    grid: int
    """Side of the square patch grid that the stored position embedding covers."""
    n_registers: int = 0
    """Number of register tokens between the CLS token and the patch tokens."""
    layer_scale: bool = False
    """Whether each residual branch is scaled channel by channel (DINOv2)."""


def _dino(patch_size: int, width: int, n_heads: int) -> VitConfig:
    return VitConfig(patch_size, width, 12, n_heads, grid=224 // patch_size)


def _dinov2(width: int, depth: int, n_heads: int, n_registers: int = 0) -> VitConfig:
    return VitConfig(14, width, depth, n_heads, 37, n_registers, layer_scale=True)


BACKBONES = {
    "vit_small_patch16_224.dino": _dino(16, 384, 6),
    "vit_small_patch8_224.dino": _dino(8, 384, 6),
    "vit_base_patch16_224.dino": _dino(16, 768, 12),
    "vit_base_patch8_224.dino": _dino(8, 768, 12),
    "vit_small_patch14_dinov2.lvd142m": _dinov2(384, 12, 6),
    "vit_base_patch14_dinov2.lvd142m": _dinov2(768, 12, 12),
    "vit_large_patch14_dinov2.lvd142m": _dinov2(1024, 24, 16),
    "vit_small_patch14_reg4_dinov2.lvd142m": _dinov2(384, 12, 6, 4),
    "vit_base_patch14_reg4_dinov2.lvd142m": _dinov2(768, 12, 12, 4),
    "vit_large_patch14_reg4_dinov2.lvd142m": _dinov2(1024, 24, 16, 4),
}
"""The sizes of each backbone, by its name in timm."""


def check_backbone(name: str, weights: Path | None = None) -> Path | None:
    """Checks that a backbone is known and that the file of its weights exists, if one is set.

    Args:
        name: Name of the model in timm.
        weights: The file of its weights; None takes the one in the environment variable
            `ANOMALYNCD_WEIGHTS`: a file, or a folder with `NAME.safetensors`.

    Returns:
        The file of its weights; None where none is set.

    Raises:
        InputError: The name is not known, or the file does not exist.
    """
    if name not in BACKBONES:
        raise InputError(f"backbone {name!r} is not known; use one of {', '.join(BACKBONES)}")
    path = weights
    if path is None and os.environ.get(WEIGHTS_VARIABLE):
        path = Path(os.environ[WEIGHTS_VARIABLE]).expanduser()
        if path.is_dir():
            path = path / f"{name}.safetensors"
    if path is not None and not path.is_file():
        raise InputError(f"weights '{path}' do not exist; give a safetensors file")
    return path
