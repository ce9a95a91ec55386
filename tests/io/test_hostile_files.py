"""Small files that would fill the memory, start a program, or end in another error than one line.

All but the first few were found by `benchmarks/fuzz.py`.
"""

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.inputs.mask_files import read_mask
from anomalyncd.io import arrays, decoding, tables
from anomalyncd.io.arrays import read_map
from anomalyncd.io.decoding import decode, decode_bytes
from anomalyncd.io.json_files import read_json
from anomalyncd.io.tables import read_table
from anomalyncd.line.limits import Limits, check_size


@pytest.mark.parametrize("kind", ["EPS", "PSD", "ICO"])
def test_only_formats_of_cameras_are_opened(tmp_path: Path, kind: str) -> None:
    file = io.BytesIO(b"8BPS\0\1" + bytes(60))
    if kind != "PSD":
        Image.new("RGB", (16, 16)).save(file, kind)
    path = tmp_path / "a.png"
    path.write_bytes(file.getvalue())
    for read in (lambda: decode(path, "image"), lambda: read_mask(path)):
        with pytest.raises(InputError, match="not in a known image format"):
            read()
    with pytest.raises(InputError, match="not in a known image format"):
        check_size(file.getvalue(), "a", Limits())


def _pages(count: int) -> bytes:
    """A TIFF file of pages of one pixel, as short as can be."""
    out = bytearray(b"II*\0\x08\0\0\0")
    for page in range(count):
        tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (262, 3, 1, 1)]
        tags += [(273, 4, 1, 0), (279, 4, 1, 1)]
        out += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *one) for one in tags)
        out += struct.pack("<I", len(out) + 4 if page < count - 1 else 0)
    return bytes(out)


@pytest.mark.timeout(30)
def test_pages_without_end_are_not_counted() -> None:
    assert decode_bytes(_pages(3), "image", "a").n_pages == 3
    with pytest.raises(InputError, match="more than 4,096 pages"):
        decode_bytes(_pages(30_000), "image", "a")


@pytest.mark.parametrize("large", [False, True])
def test_tiff_files_that_opencv_reads_have_a_limit(
    monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """Floats of 64 bits, which Pillow does not read."""
    content = cv2.imencode(".tif", np.zeros((20, 30), np.float64))[1].tobytes()
    if large:  # BigTIFF: one directory with a width and a height.
        tags = [(256, 3, 1, 30), (257, 3, 1, 20)]
        content = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, len(tags))
        content += b"".join(struct.pack("<HHQQ", *one) for one in tags) + bytes(8)
    else:
        assert decode_bytes(content, "image", "a").pixels.shape == (20, 30)
    monkeypatch.setattr(decoding, "MOST_PIXELS", 599)
    if large:
        monkeypatch.setattr(decoding, "open_image", _unidentified)
    with pytest.raises(InputError, match="too many pixels"):
        decode_bytes(content, "image", "a")


def _unidentified(_: Any) -> Any:
    raise decoding.UnidentifiedImageError


@pytest.mark.parametrize("suffix", ["npz", "pt"])
def test_archives_of_arrays_are_not_unpacked_beyond_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "npz":
        np.savez_compressed(path, np.zeros((300, 300), np.float32))
    else:
        whole = io.BytesIO()
        torch.save(torch.zeros(300, 300), whole)
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
    monkeypatch.setattr(arrays, "_MOST_UNPACKED", 300_000)
    with pytest.raises(InputError, match=r"bytes once it is unpacked.*save the array as .npy"):
        read_map(path)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(1).expand(10**6, 10**6), "1,000,000,000,000 values"),
        (torch.zeros(2, 2).to_sparse(), "a dense one of numbers"),
        (torch.quantize_per_tensor(torch.zeros(2, 2), 0.1, 0, torch.quint8), "a dense one"),
        (torch.zeros(2, 2, device="meta"), "a dense one"),
    ],
)
def test_tensors_that_are_no_maps(tmp_path: Path, tensor: torch.Tensor, message: str) -> None:
    torch.save(tensor, tmp_path / "a.pt")
    with pytest.raises(InputError, match=message):
        read_map(tmp_path / "a.pt")


def test_tensors_with_a_negative_bit_are_maps(tmp_path: Path) -> None:
    negative = torch.full((2, 2), 1 + 2j).conj().imag
    assert negative.is_neg()
    torch.save(negative, tmp_path / "a.pt")
    assert read_map(tmp_path / "a.pt").tolist() == [[-2, -2], [-2, -2]]


@pytest.mark.timeout(30)
def test_tables_do_not_grow_when_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"a{index}" for index in range(30_000)]
    wide = tmp_path / "wide.csv"
    wide.write_text(",".join(names) + "\n" + ",".join("1" * len(names)) + "\n", encoding="utf-8")
    assert read_table(wide, "table").shape == (1, 30_000)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({name: 1}) for name in names), encoding="utf-8")
    with pytest.raises(InputError, match="30,000 rows and 30,000 columns"):
        read_table(rows, "table")


def test_parquet_does_not_grow_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrow = pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"

    def write(column: Any) -> None:
        arrow.parquet.write_table(arrow.table({"image": column}), path, compression="zstd")

    pytest.importorskip("pyarrow.parquet")
    write(arrow.array(np.zeros(1_000_001, np.int8)))
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match="1,000,001 rows"):
        read_table(path, "table")
    write(arrow.array(["a" * 10_000] * 100))
    monkeypatch.setattr(tables, "_MOST_UNPACKED", 500_000)
    with pytest.raises(InputError, match="bytes once it is unpacked"):
        read_table(path, "table")
    for column in (
        arrow.array([2**62], arrow.timestamp("us")),
        arrow.array([b"\xff"]).view(arrow.string()),
    ):
        write(column)
        with pytest.raises(InputError, match="is damaged"):
            read_table(path, "table")


def test_numbers_that_are_no_floats(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text('{"a": {"float": 1' + "0" * 400 + "}}", encoding="utf-8")
    with pytest.raises(InputError, match="is damaged"):
        read_json(path, "model")
