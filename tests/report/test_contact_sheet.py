"""Thumbnails of many images in one picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.masks import Masks
from anomalyncd.report.contact_sheet import write_sheet

TILE = 160 + 6
"""Width of a thumbnail and the gap beside it, px."""


def test_masks_are_outlined_and_unreadable_images_are_grey(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"")
    Image.new("RGB", (80, 40)).save(tmp_path / "0.png")
    images = ImageSet(("0", "1"), (tmp_path / "0.png", tmp_path / "1.png"))
    box = np.array([[0.0, 0, 20, 40]])
    write_sheet(images, tmp_path / "new/sheet.png", Masks(images, (box, box)))
    sheet = np.asarray(Image.open(tmp_path / "new/sheet.png"))
    red = (sheet == (230, 30, 30)).all(-1)
    # The outline of 40 x 80 pixels, at the left edge of the first thumbnail.
    assert red.sum() == 2 * (40 + 80) - 4
    assert np.flatnonzero(red.any(0)).tolist() == list(range(6, 46))
    assert (sheet[6:166, 6 + TILE : 166 + TILE] == 235).all()


def test_a_sheet_is_a_picture_file(tmp_path: Path) -> None:
    images = ImageSet.from_list([np.zeros((4, 4), np.uint8)])
    write_sheet(images, tmp_path / "sheet.jpg")
    assert Image.open(tmp_path / "sheet.jpg").format == "JPEG"
    (tmp_path / "folder.png").mkdir()
    for name in ("sheet.doc", "folder.png"):
        with pytest.raises(InputError, match=r"name a \.jpg or \.png file"):
            write_sheet(images, tmp_path / name)


def test_a_sheet_of_many_images_shows_64(tmp_path: Path) -> None:
    images = ImageSet.from_list([np.full((2, 2), 0, np.uint8)] * 150)
    write_sheet(images, tmp_path / "many.png")
    sheet = np.asarray(Image.open(tmp_path / "many.png"))
    corners = sheet[8 :: 160 + 14 + 6, 8::TILE]
    assert (corners == 0).all(-1).sum() == 64
