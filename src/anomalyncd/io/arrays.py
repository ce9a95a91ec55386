"""Files of anomaly maps and of other arrays, read without executing anything in them."""

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.io.decoding import MOST_PIXELS, decode, unreadable
from anomalyncd.io.tensors import is_tensor
from anomalyncd.io.writing import write_atomically
from anomalyncd.runtime.wording import counted

if TYPE_CHECKING:
    import torch

MAP_SUFFIXES = frozenset({".npy", ".npz", ".pt", ".tif", ".tiff", ".png"})
"""Suffixes of the files that count as anomaly maps, in lower case."""


_MOST_UNPACKED = 8 * MOST_PIXELS
"""Bytes that an archive of arrays may hold once it is unpacked."""


def to_map(scores: "NDArray[Any] | torch.Tensor", label: str) -> NDArray[np.float32]:
    """Turns an array or tensor into an anomaly map; its values stay unchanged.

    Args:
        scores: HxW, 1xHxW, HxWx1 or 1x1xHxW of booleans, integers or floats.
        label: What a message calls it.

    Returns:
        HxW float32; may share memory with `scores`.

    Raises:
        InputError: The type or shape is wrong, or it is empty or holds NaN or infinite values.
    """
    if is_tensor(scores):
        scores = _dense(scores, label)
    if not isinstance(scores, np.ndarray) or scores.dtype.kind not in "buif":
        kind = scores.dtype if isinstance(scores, np.ndarray) else type(scores).__name__
        raise InputError(f"{label} is of type {kind}; give a path or an array of numbers")
    shape = scores.shape
    while scores.ndim > 2 and scores.shape[0] == 1:
        scores = scores[0]
    while scores.ndim > 2 and scores.shape[-1] == 1:
        scores = scores[..., 0]
    if scores.ndim != 2 or scores.size == 0:
        raise InputError(f"{label} has shape {shape}; expected HxW, one score a pixel")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(scores, dtype=np.float32)
    n_bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if n_bad:
        raise InputError(
            f"{label} has {counted(n_bad, 'value')} that are NaN or infinite; give finite scores"
        )
    return values


def read_map(path: Path) -> NDArray[np.float32]:
    """Reads an anomaly map; its values stay as they were saved, in .png 0..255 or 0..65535.

    Args:
        path: `.npy`; `.npz` with one array or one called `anomaly_map`; `.pt` with a tensor, or
            with a dictionary that has one called `anomaly_map`; `.tif(f)` or `.png` in grey, or in
            colour with three equal channels.

    Returns:
        HxW float32.

    Raises:
        InputError: The file is missing or damaged, in colour, or no usable map.
    """
    if path.suffix.lower() == ".pt":
        return to_map(_load_tensor(path), f"map '{path}'")
    numpy_file = path.suffix.lower() in (".npy", ".npz")
    pixels = load_numbers(path, "map") if numpy_file else _grey(decode(path, "map"), path)
    return to_map(pixels, f"map '{path}'")


def write_map(path: Path, scores: NDArray[np.floating[Any]]) -> None:
    """Writes a map as float16 `.npy`, either whole or not at all.

    Args:
        path: The file, suffix `.npy`; missing folders are made.
        scores: HxW, between -65504 and 65504.
    """
    write_numbers(path, scores.astype(np.float16))


def as_read_back(scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Returns a map with the values that `read_map` would return after `write_map`."""
    return scores.astype(np.float16).astype(np.float32)


def write_numbers(path: Path, numbers: NDArray[Any]) -> None:
    """Writes an array as `.npy`, either whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    # NumPy itself does not notice where the end of a small array finds no room on the disk.
    content = io.BytesIO()
    np.save(content, numbers, allow_pickle=False)
    with write_atomically(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def load_numbers(path: Path, what: str) -> NDArray[Any]:
    """Reads an array from `.npy` or `.npz`; nothing in the file is executed.

    Args:
        path: The file; of several arrays in it the one called `anomaly_map` is taken.
        what: What a message calls the file: "map", "array".

    Raises:
        InputError: The file is missing or damaged, or holds several arrays.
    """
    try:
        _refuse_bomb(path)
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, NpzFile):
                return np.asarray(loaded)
            arrays = {key: loaded[key] for key in loaded.files}
    except InputError:
        raise
    except (ValueError, MemoryError) as error:
        if isinstance(error, MemoryError) and not _claims_too_much(path):
            raise unreadable(path, what, error) from error
        # The message of NumPy advises to load the file unsafely.
        harmless = ValueError("damaged, or not an array of numbers")
        raise unreadable(path, what, harmless) from error
    # Damaged archives raise a dozen types of errors, those of zipfile and zlib among them.
    except Exception as error:
        raise unreadable(path, what, error) from error
    if len(arrays) != 1 and "anomaly_map" not in arrays:
        names = ", ".join(arrays) or "none"
        raise InputError(
            f"{what} '{path}' holds the arrays {names}; name one of them 'anomaly_map'"
        )
    return arrays["anomaly_map"] if "anomaly_map" in arrays else next(iter(arrays.values()))


def _claims_too_much(path: Path) -> bool:
    """Whether an array has more numbers, by its header, than its file holds."""
    try:
        np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:
        return True
    return False


def _refuse_bomb(path: Path) -> None:
    """Raises for an archive that becomes too large once it is unpacked."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(one.file_size for one in archive.infolist())
    if unpacked > max(_MOST_UNPACKED, path.stat().st_size):
        raise InputError(
            f"'{path}' holds {unpacked:,} bytes once it is unpacked, and {_MOST_UNPACKED:,} are "
            "allowed; save the array as .npy"
        )


def _dense(tensor: "torch.Tensor", label: str) -> NDArray[Any]:
    """A tensor as an array; of a tensor that repeats a few numbers only as many as a map has."""
    if tensor.numel() > MOST_PIXELS:
        raise InputError(f"{label} has {tensor.numel():,} values; cut it into tiles")
    try:
        tensor = tensor.detach().cpu().resolve_neg()
        numbers = tensor.float() if tensor.is_floating_point() else tensor
        array: NDArray[Any] = numbers.numpy()
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"{label} is a tensor of a kind that NumPy has not; give a dense one of numbers"
        ) from error
    return array


def _load_tensor(path: Path) -> "torch.Tensor":
    """Reads a tensor that PyTorch saved; nothing in the file is executed."""
    import torch

    try:
        _refuse_bomb(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    # The message of PyTorch advises to load the file unsafely.
    except Exception as error:
        known = isinstance(error, FileNotFoundError)
        harmless = error if known else ValueError("damaged, or more than tensors")
        raise unreadable(path, "map", harmless) from error
    scores = loaded.get("anomaly_map") if isinstance(loaded, dict) else loaded
    if not isinstance(scores, torch.Tensor):
        raise InputError(
            f"map '{path}' holds no tensor; save a tensor or {{'anomaly_map': tensor}}"
        )
    return scores


def _grey(pixels: NDArray[Any], path: Path) -> NDArray[Any]:
    if pixels.ndim == 2:
        return pixels
    opaque = pixels.shape[2] == 3 or bool((pixels[..., 3] == pixels[..., 3].max()).all())
    if not opaque or (pixels[..., :3] != pixels[..., :1]).any():
        raise InputError(
            f"map '{path}' is a coloured picture; save the scores as .npy or as grey .png"
        )
    return pixels[..., 0]
