"""White and black of images of more than 8 bits are the same for a whole set."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyncd.errors import InputError
from anomalyncd.images.findings import Findings
from anomalyncd.images.levels import Levels, depth_of, learn_levels
from anomalyncd.images.pixels import to_rgb
from anomalyncd.inputs.inputs import Inputs, check_data, check_inputs, check_normals
from anomalyncd.inputs.sources import InputSources
from anomalyncd.io.key import key
from support.deep_images import save_png, save_tiff


def frame(level: int, hot: int | None = None, shape: tuple[int, int] = (40, 60)) -> NDArray:
    pixels = np.full(shape, level, np.uint16)
    pixels[::2, ::2] -= level // 20
    if hot is not None:
        pixels[7, 11] = hot
    return pixels


def checked(images: object, **further: object) -> tuple[Inputs, Findings]:
    inputs, findings = check_data(InputSources(images, **further))  # type: ignore[arg-type]
    assert inputs is not None
    return inputs, findings


def about_levels(warnings: Iterable[str]) -> list[str]:
    """The warnings but those about these images, which show nothing and are alike."""
    return [one for one in warnings if "blank" not in one and "another" not in one]


def highest(inputs: Inputs) -> list[int]:
    return [int(np.median(inputs.images.image(i))) for i in range(len(inputs.images))]


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_hot_pixel_does_not_darken_its_image(tmp_path: Path, in_memory: bool) -> None:
    frames = [frame(2000)] * 8 + [frame(2000, hot=4200)] * 8
    paths = [save_png(tmp_path / f"{i}.png", pixels) for i, pixels in enumerate(frames)]
    inputs, findings = checked(frames if in_memory else paths)
    assert inputs.images.levels == Levels(0, 4095)
    assert set(highest(inputs)) == {round(2000 * 255 / 4095)}
    assert inputs.images.image(15)[7, 11].tolist() == [255] * 3
    assert dict(findings.facts)["white level"] == (
        "4095 (the highest value of 12 bits; the brightest place has 2000, hot pixels left out)"
    )
    assert about_levels(findings.warnings) == []


@pytest.mark.parametrize(
    ("brightest", "white"),
    [
        (200, 255),
        (256, 1023),
        (1023, 1023),
        (1024, 4095),
        (4095, 4095),
        (4096, 16383),
        (16000, 16383),
        (16400, 65535),
        (65520, 65535),
    ],
)
def test_white_is_that_of_the_least_depth(brightest: int, white: int) -> None:
    inputs = check_inputs([frame(100), frame(brightest)])
    assert inputs.images.levels == Levels(0, white)


def test_a_small_bright_defect_of_a_dark_field_counts() -> None:
    line_scan = frame(300, shape=(2048, 4096))
    line_scan[1000:1012, 2000:2040] = 3900
    assert checked([frame(300), line_scan])[0].images.levels == Levels(0, 4095)


def test_a_column_of_hot_pixels_of_a_line_scan_does_not_count() -> None:
    line_scan = frame(900, shape=(500, 60))
    line_scan[:, 30] = 16000
    assert checked([line_scan, line_scan])[0].images.levels == Levels(0, 1023)


def test_colours_count_and_transparency_does_not() -> None:
    pixels = np.dstack([frame(800), frame(3000), frame(500), np.full((40, 60), 65535)])
    inputs, _ = checked([pixels.astype(np.uint16)])
    assert inputs.images.levels == Levels(0, 4095)
    assert inputs.images.image(0)[1, 1].tolist() == [50, 187, 31]


def test_wide_integers_belong_to_the_set() -> None:
    inputs, _ = checked([frame(200).astype(np.int64), frame(3000).astype(np.int32)])
    assert highest(inputs) == [round(200 * 255 / 4095), round(3000 * 255 / 4095)]


def test_images_of_8_bits_and_floats_stay_as_they_are() -> None:
    eight = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    inputs, _ = checked([eight, frame(3000), eight / 255])
    for index in (0, 2):
        np.testing.assert_array_equal(inputs.images.image(index), np.dstack([eight] * 3))
    inputs, findings = checked([eight, eight // 2])
    assert inputs.images.levels is None
    assert "white level" not in dict(findings.facts)


def test_normal_images_share_the_levels(tmp_path: Path) -> None:
    normals = [save_png(tmp_path / "ok.png", frame(900))]
    inputs, _ = checked([frame(3000)], normals=normals)
    assert inputs.normals is not None
    assert inputs.normals.levels == inputs.images.levels == Levels(0, 4095)
    table = tmp_path / "images.csv"
    save_png(tmp_path / "bad.png", frame(12000))
    table.write_text("image,split\nok.png,train\nbad.png,test\n", encoding="utf-8")
    inputs, _ = checked(table, normals=table)
    assert inputs.normals is not None
    assert inputs.normals.levels == inputs.images.levels == Levels(0, 16383)


@pytest.mark.parametrize(
    ("tags", "levels"),
    [
        ({281: [4095]}, Levels(0, 4095)),
        ({341: [65535]}, Levels(0, 65535)),
        ({340: [64], 341: [1023]}, Levels(64, 1023)),
        ({50714: [512], 50717: [15520]}, Levels(512, 15520)),
        ({281: [871]}, Levels(0, 1023)),  # Statistics of one image.
        ({281: [255]}, Levels(0, 1023)),  # Less than what the image has.
        ({281: [0]}, Levels(0, 1023)),
        ({50714: [60000]}, Levels(0, 1023)),
    ],
)
def test_tags_of_tiff_files(tmp_path: Path, tags: dict[int, list[int]], levels: Levels) -> None:
    paths = [save_tiff(tmp_path / f"{i}.tif", frame(800 + i), tags=tags) for i in range(3)]
    assert checked(paths)[0].images.levels == levels


def test_tags_count_only_where_all_files_agree(tmp_path: Path) -> None:
    one = save_tiff(tmp_path / "1.tif", frame(800), tags={281: [4095]})
    other = save_tiff(tmp_path / "2.tif", frame(800), tags={281: [65535]})
    assert checked([one, other])[0].images.levels == Levels(0, 1023)


def test_significant_bits_of_png_files(tmp_path: Path) -> None:
    dark = save_png(tmp_path / "dark.png", frame(700), significant_bits=12)
    assert checked([dark])[0].images.levels == Levels(0, 4095)
    # The values of 12 bits may also be stored in the upper bits, as the format asks for.
    upper = save_png(tmp_path / "upper.png", frame(60000), significant_bits=12)
    assert checked([dark, upper])[0].images.levels == Levels(0, 65535)


def test_a_portable_graymap_is_scaled_by_its_own_white(tmp_path: Path) -> None:
    values = frame(2000).astype(">u2").tobytes()
    (tmp_path / "a.pgm").write_bytes(b"P5\n60 40\n4095\n" + values)
    inputs, _ = checked([tmp_path / "a.pgm"])
    assert highest(inputs) == [round(2000 * 255 / 4095)]


def test_levels_that_are_given_win(tmp_path: Path) -> None:
    path = save_tiff(tmp_path / "a.tif", frame(800), tags={281: [4095]})
    inputs, findings = checked([path], white_level=1000, black_level=500)
    assert inputs.images.levels == Levels(500, 1000)
    assert inputs.images.image(0)[0, 1, 0] == 153
    facts = dict(findings.facts)
    assert facts["white level"] == "1000 (given)"
    assert facts["black level"] == "500 (given)"
    key_of = {key(checked([path], white_level=white)[0].images) for white in (None, 1000, 2000)}
    assert len(key_of) == 3


def test_images_brighter_than_the_white_level_are_told() -> None:
    _, findings = checked([frame(800), frame(3000)], white_level=1023)
    (warning,) = about_levels(findings.warnings)
    assert "1 of 2 images" in warning
    assert "values up to 3000" in warning
    assert "`white_level`" in warning


def test_levels_without_use_are_told() -> None:
    _, findings = checked([np.zeros((9, 9), np.uint8)], white_level=4095)
    assert "change nothing" in about_levels(findings.warnings)[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"white_level": 0}, "`white_level` 0 cannot be used"),
        ({"white_level": 70000}, "1 to 65535"),
        ({"white_level": 4095.0}, "whole number"),
        ({"white_level": True}, "whole number"),
        ({"white_level": "4095"}, "whole number"),
        ({"black_level": -1}, "0 to 65535"),
        ({"black_level": 4095, "white_level": 4095}, "not below `white_level` 4095"),
    ],
)
def test_levels_that_cannot_be_used(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_inputs("nowhere", **given)


def test_a_black_level_above_the_white_of_the_images() -> None:
    with pytest.raises(InputError, match="`black_level` 2000 is not below `white_level` 1023"):
        check_inputs([frame(800)], black_level=2000)


def test_new_images_are_read_with_the_levels_of_the_model() -> None:
    fitted = Levels(16, 16383)
    inputs = check_inputs([frame(800)], levels=fitted)
    assert inputs.images.levels == fitted
    assert check_inputs([frame(800)], levels=fitted, white_level=4095).images.levels == Levels(
        16, 4095
    )
    assert check_normals([frame(800)], fitted).levels == fitted
    inputs = check_inputs([np.zeros((9, 9), np.uint8)], levels=fitted)
    assert about_levels(inputs.warnings) == []


def test_selection_and_single_images() -> None:
    images = check_inputs([frame(800), frame(3000)]).images
    assert images.select([0]).levels == Levels(0, 4095)
    np.testing.assert_array_equal(to_rgb(frame(3000), "x"), images.image(1))
    assert learn_levels([depth_of(frame(800)[..., None])])[0] == Levels(0, 1023)
