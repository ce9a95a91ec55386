"""One anomaly map on disk or in memory, read, checked and written."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.io.decoding import decode, unreadable
from anomalyncd.io.files import write_atomically

MAP_SUFFIXES = frozenset({".npy", ".npz", ".tif", ".tiff", ".png"})
"""Suffixes of the files that count as anomaly maps, in lower case."""


def to_map(scores: NDArray[Any] | torch.Tensor, label: str) -> NDArray[np.float32]:
    """Turns an array or tensor into an anomaly map, values unchanged.

    Args:
        scores: HxW, 1xHxW, HxWx1 or 1x1xHxW of booleans, integers or floats.
        label: What to call it in a message.

    Returns:
        HxW float32; may share memory with `scores`.

    Raises:
        InputError: Wrong type or shape, empty, NaN or infinite.

    Source: our own.
    """
    if isinstance(scores, torch.Tensor):
        tensor = scores.detach().cpu()
        scores = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
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
        raise InputError(f"{label} has {n_bad} values that are NaN or infinite; give finite scores")
    return values


def read_map(path: Path) -> NDArray[np.float32]:
    """Reads an anomaly map, values unchanged: .png in 0..255 or 0..65535, the others as saved.

    Args:
        path: `.npy`; `.npz` with one array or one called `anomaly_map`; `.tif(f)` or `.png` in
            grey, or in colour with three equal channels.

    Returns:
        HxW float32.

    Raises:
        InputError: The file is missing, damaged, coloured, NaN, empty or of another shape.

    Source: our own.
    """
    numpy_file = path.suffix.lower() in (".npy", ".npz")
    pixels = load_numbers(path, "map") if numpy_file else _grey(decode(path, "map"), path)
    return to_map(pixels, f"map '{path}'")


def write_map(path: Path, scores: NDArray[np.floating[Any]]) -> None:
    """Writes a map as float16 `.npy`, whole or not at all.

    Args:
        path: The file, suffix `.npy`; missing folders are made.
        scores: HxW, within +-65504.
    """
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        np.save(file, scores.astype(np.float16))


def load_numbers(path: Path, what: str) -> NDArray[Any]:
    """Reads an array that NumPy saved, `.npy` or `.npz`; nothing in it is executed.

    Args:
        path: The file; of several arrays in it the one called `anomaly_map` is taken.
        what: What the file is, for messages: "map", "array".

    Raises:
        InputError: The file is missing or damaged, or holds several arrays.
    """
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, NpzFile):
                return np.asarray(loaded)
            arrays = {key: loaded[key] for key in loaded.files}
    except ValueError as error:
        # NumPy's own words advise to load the file unsafely.
        plain = ValueError("damaged, or not an array of numbers")
        raise unreadable(path, what, plain) from error
    # Damaged archives raise a dozen types, zipfile's and zlib's among them.
    except Exception as error:
        raise unreadable(path, what, error) from error
    if len(arrays) != 1 and "anomaly_map" not in arrays:
        found = ", ".join(arrays) or "none"
        raise InputError(
            f"{what} '{path}' holds the arrays {found}; name one of them 'anomaly_map'"
        )
    return arrays["anomaly_map"] if "anomaly_map" in arrays else next(iter(arrays.values()))


def _grey(pixels: NDArray[Any], path: Path) -> NDArray[Any]:
    if pixels.ndim == 2:
        return pixels
    opaque = pixels.shape[2] == 3 or bool((pixels[..., 3] == pixels[..., 3].max()).all())
    if not opaque or (pixels[..., :3] != pixels[..., :1]).any():
        raise InputError(
            f"map '{path}' is a coloured picture; save the scores, as .npy or grey .png"
        )
    return pixels[..., 0]
