"""Files of tensors that tell whether a single bit of them has changed."""

import zlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

_CHECKSUM = "checksum"


def save_checked(tensors: dict[str, Tensor], path: Path) -> None:
    """Writes contiguous tensors that share no memory, and a checksum of them, as `.safetensors`."""
    save_file(tensors, path, metadata={_CHECKSUM: _checksum(tensors)})


def load_checked(path: Path) -> dict[str, Tensor]:
    """Reads what `save_checked` wrote; the tensors are mapped from their file.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: It is damaged, or has no checksum.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            expected = (opened.metadata() or {}).get(_CHECKSUM)
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"'{path}' is damaged ({error})") from error
    if _checksum(tensors) != expected:
        raise ValueError(f"'{path}' is damaged (its checksum is another one)")
    return tensors


def _checksum(tensors: dict[str, Tensor]) -> str:
    """Changes with every bit of the names, the types, the shapes and the values."""
    found = 0
    for name, tensor in sorted(tensors.items()):
        found = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), found)
        found = zlib.crc32(tensor.detach().reshape(-1).view(torch.uint8).numpy().data, found)
    return f"{found:08x}"
