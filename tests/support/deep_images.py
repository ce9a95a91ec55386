"""Files of more than 8 bits with the tags that cameras write, made without a camera."""

import struct
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np

Tags = dict[int, Sequence[int]]


def save_tiff(path: Path, *pages: np.ndarray, tags: Tags | None = None) -> Path:
    """Writes pages of uint8 or uint16, grey or RGB, as an uncompressed TIFF file.

    Args:
        path: The file.
        pages: The pages, (H, W) or (H, W, 3).
        tags: Further tags of all pages, or others in place of the usual ones; whole numbers.
    """
    content = b"II*\0" + struct.pack("<I", 0)
    link = 4
    for page in pages:
        bits, n_channels = page.dtype.itemsize * 8, 1 if page.ndim == 2 else page.shape[2]
        height, width = page.shape[:2]
        entries: Tags = {256: [width], 257: [height], 258: [bits] * n_channels, 259: [1]}
        entries |= {262: [2 if n_channels > 1 else 1], 273: [len(content)], 277: [n_channels]}
        entries |= {278: [height], 279: [page.nbytes]}
        content += page.astype(page.dtype.newbyteorder("<")).tobytes()
        content += b"\0" * (len(content) % 2)
        content = content[:link] + struct.pack("<I", len(content)) + content[link + 4 :]
        directory, link = _directory(entries | (tags or {}), len(content))
        content += directory
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _directory(entries: Tags, at: int) -> tuple[bytes, int]:
    """The directory of a page, and where in the file the link to the next one is."""
    behind = at + 2 + 12 * len(entries)
    table, extra = struct.pack("<H", len(entries)), b""
    for tag, values in sorted(entries.items()):
        raw = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            raw, extra = struct.pack("<I", behind + 4 + len(extra)), extra + raw
        table += struct.pack("<HHI", tag, 4, len(values)) + raw
    return table + b"\0" * 4 + extra, behind


def save_png(path: Path, pixels: np.ndarray, significant_bits: int | None = None) -> Path:
    """Writes a grey PNG file, with the chunk sBIT if significant bits are given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(".png", pixels)[1].tobytes()
    if significant_bits is not None:
        chunk = b"sBIT" + bytes([significant_bits])
        header = 8 + 25  # signature and IHDR
        chunk = struct.pack(">I", 1) + chunk + struct.pack(">I", crc32(chunk))
        data = data[:header] + chunk + data[header:]
    path.write_bytes(data)
    return path
