import cv2
import numpy as np
import pytest

from anomalyncd.inputs.masks import encode_mask
from anomalyncd.regions.table import CodedMasks

SHAPES = [(1, 1), (1, 9), (64, 64), (37, 53), (300, 7)]
MASKS = [np.random.default_rng(i).random(shape) < 0.4 for i, shape in enumerate(SHAPES)]


def test_masks_come_back_as_they_were():
    masks = CodedMasks(tuple(map(encode_mask, MASKS)))
    assert len(masks) == len(MASKS)
    for decoded, mask in zip(masks, MASKS, strict=True):
        assert decoded.dtype == np.bool_
        assert np.array_equal(decoded, mask)


def test_codes_are_far_smaller_than_masks():
    mask = np.zeros((512, 512), bool)
    mask[100:200, 50:300] = True
    assert len(encode_mask(mask)) < mask.size / 100


def test_saved_masks_are_plain_images(tmp_path):
    masks = CodedMasks(tuple(map(encode_mask, MASKS[2:4])))
    names = ["broken large/000.v2_crop", "gut/Prüfling"]
    masks.save(tmp_path / "masks", names)
    files = sorted(path for path in (tmp_path / "masks").rglob("*") if path.is_file())
    assert [path.relative_to(tmp_path / "masks").as_posix() for path in files] == [
        f"{name}.png" for name in names
    ]
    for path, mask in zip(files, MASKS[2:4], strict=True):
        pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(pixels, mask * np.uint8(255))
    with pytest.raises(ValueError, match="zip"):
        masks.save(tmp_path, ["one"])
