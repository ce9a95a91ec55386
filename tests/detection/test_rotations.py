"""Normal images are read in several poses, where that is asked for."""

from dataclasses import replace

import numpy as np
import pytest

from anomalyncd.backbone.roi import RegionOfInterest
from anomalyncd.detection.memory_bank import extend_memory_bank, fit_memory_bank
from anomalyncd.detection.patches import PatchReader, fit_patch_extractor
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.image_set import ImageSet
from support.hammers import hammer
from support.quick import QUICK, picture

RNG = np.random.default_rng(0)
HAMMERS = ImageSet.from_list([hammer(2 * np.pi * i / 12, False, i) for i in range(12)])


def test_quarter_turns_show_the_same_pixels() -> None:
    image = RNG.integers(0, 255, (30, 48, 3), np.uint8)
    whole = RegionOfInterest((24, 15), (30, 48))
    for quarters in range(4):
        cut = whole.rotated(2 * quarters).cut(image)
        # A frame that is turned clockwise shows things turned back.
        assert np.array_equal(cut, np.rot90(image, quarters)), quarters


def test_eighths_keep_the_size_and_mirror_what_lies_beyond() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, 39] = 255
    turned = RegionOfInterest((20, 20), (40, 40)).rotated(1)
    assert turned.size == (40, 40)
    # Continued outwards the last column fills a corner, mirrored it is a line.
    assert turned.cut(image).mean() < replace(turned, mirrored=False).cut(image).mean() / 2


def arrow(quarters: int) -> np.ndarray:
    """A wide bright wedge on grey, turned."""
    pixels = np.full((96, 128, 3), 110, np.uint8)
    for row in range(48):
        pixels[24 + row, 20 : 20 + 2 * row] = 240
    return np.ascontiguousarray(np.rot90(pixels, quarters))


@pytest.mark.parametrize(("n_rotations", "known"), [(1, (0,)), (2, (0, 2)), (4, (0, 1, 2, 3))])
def test_turned_part_is_as_normal_as_the_poses_allow(
    encoder: RegionEncoder, n_rotations: int, known: tuple[int, ...]
) -> None:
    config = replace(QUICK.detector, n_rotations=n_rotations, frame="whole")
    bank = fit_memory_bank(encoder.vit, ImageSet.from_list([arrow(0)]), config, 0)
    reader = PatchReader(encoder.vit, bank.extractor, config)
    for quarters in range(4):
        seen = reader.read(ImageSet.from_list([arrow(quarters)]), 0)
        highest = float(bank.patch_scores(seen.features, "new").max())
        assert (highest < 0.1) == (quarters in known), quarters


def test_eight_poses_are_read_and_belong_to_one_image(
    encoder: RegionEncoder, forwards: list[int]
) -> None:
    config = replace(QUICK.detector, n_rotations=8, n_candidates=20_000)
    normals = ImageSet.from_list([picture("good", 1), picture("good", 2)], ["a", "b"])
    bank = fit_memory_bank(encoder.vit, normals, config, 0)
    assert len(forwards) == 2 * 8
    assert set(bank.names) == {"a", "b"}
    # What is in there already, in all its poses, is not added again.
    more = extend_memory_bank(encoder.vit, bank, normals, config, 0)
    assert more.names == bank.names


def test_what_is_turned_into_one_pose_is_read_once(encoder: RegionEncoder) -> None:
    config = replace(QUICK.detector, n_rotations=4)
    view, _ = fit_patch_extractor(encoder.vit, HAMMERS, config)
    assert view.roi_locator is not None
    assert view.roi_locator.rotated
    assert len(PatchReader(encoder.vit, view, config).read_rotated(HAMMERS, 0)) == 1


def test_only_the_product_is_rotated_where_it_is_cut_out(encoder: RegionEncoder) -> None:
    config = replace(QUICK.detector, n_rotations=4)
    view, _ = fit_patch_extractor(encoder.vit, HAMMERS, config)
    assert view.roi_locator is not None
    upright = replace(view, roi_locator=replace(view.roi_locator, rotated=False))
    first, *others = PatchReader(encoder.vit, upright, config).read_rotated(HAMMERS, 0)
    assert first.roi is not None
    height, width = first.roi.size
    assert [one.roi.size for one in others if one.roi] == [
        (width, height),
        (height, width),
        (width, height),
    ]
    assert {one.roi.centre for one in others if one.roi} == {first.roi.centre}
