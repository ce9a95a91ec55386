"""Inputs that users of other tools have reported in public, each with the right behaviour."""

import io
import struct
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from anomalyncd.errors import InputError
from anomalyncd.inputs.image_files import read_image
from anomalyncd.inputs.inputs import check_data, check_inputs
from anomalyncd.inputs.sources import InputSources

HEIGHT, WIDTH = 48, 64


def ramp(highest: int = 65535) -> np.ndarray:
    """HxW uint16, from 0 to `highest`."""
    return np.linspace(0, highest, HEIGHT * WIDTH).astype(np.uint16).reshape(HEIGHT, WIDTH)


def write_tiff(path, samples, photometric, planar=1, extra=None):
    """Little-endian TIFF without compression; `samples` is HxWxC uint8 or uint16.

    `planar=2` stores the channels one after another; `extra` is the meaning of the last channel
    (0 unspecified, 1 premultiplied alpha, 2 alpha).
    """
    height, width, channels = samples.shape
    bits = samples.dtype.itemsize * 8
    planes = [samples[..., i] for i in range(channels)] if planar == 2 else [samples]
    strips = [plane.astype(samples.dtype.newbyteorder("<")).tobytes() for plane in planes]
    offsets = [8 + sum(len(strip) for strip in strips[:i]) for i in range(len(strips))]
    tags = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits] * channels),
        (259, 3, [1]),
        (262, 3, [photometric]),
        (273, 4, offsets),
        (277, 3, [channels]),
        (278, 4, [height]),
        (279, 4, [len(strip) for strip in strips]),
        (284, 3, [planar]),
    ]
    tags += [] if extra is None else [(338, 3, [extra])]
    body = b"".join(strips)
    directory = 8 + len(body)
    after, tail = directory + 2 + 12 * len(tags) + 4, b""
    entries = struct.pack("<H", len(tags))
    for tag, kind, values in tags:
        data = struct.pack("<" + {3: "H", 4: "I"}[kind] * len(values), *values)
        if len(data) > 4:
            data, tail = struct.pack("<I", after + len(tail)), tail + data
        entries += struct.pack("<HHI", tag, kind, len(values)) + data.ljust(4, b"\0")
    path.write_bytes(b"II*\0" + struct.pack("<I", directory) + body + entries + bytes(4) + tail)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png16(path, samples, colour_type, *further: bytes):
    """16-bit PNG, HxWxC uint16; 0 grey, 2 RGB, 4 grey and alpha; further chunks before IDAT."""
    height, width = samples.shape[:2]
    rows = (b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(further)
        + chunk(b"IDAT", zlib.compress(b"".join(rows)))
        + chunk(b"IEND", b"")
    )


def write_mark(path):
    """A mask with a square in its corner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:9, :9] = 255
    Image.fromarray(mask).save(path)


def write_grey(path: Path, value: int = 120, size=(WIDTH, HEIGHT)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)
    return path


def said(**sources) -> str:
    """Everything that a check says besides facts; "" means "nothing is wrong"."""
    findings = check_data(InputSources(**sources))[1]
    return "\n".join([*findings.warnings, *findings.problems])


def assert_equal(path: Path, right: np.ndarray, tolerance: int = 1) -> None:
    actual = read_image(path)
    assert actual.shape == right.shape
    assert np.abs(actual.astype(int) - right.astype(int)).max() <= tolerance


@pytest.mark.parametrize("bits", [8, 16])
def test_opencv_9550_min_is_white(tmp_path, bits):
    """https://github.com/opencv/opencv/issues/9550"""
    values = ramp() if bits == 16 else (ramp() >> 8).astype(np.uint8)
    write_tiff(tmp_path / "usual.tif", values[..., None], photometric=1)
    write_tiff(tmp_path / "white_is_zero.tif", (values.max() - values)[..., None], photometric=0)
    assert_equal(tmp_path / "white_is_zero.tif", read_image(tmp_path / "usual.tif"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tifffile_87_planes_one_after_another(tmp_path, dtype):
    """https://github.com/cgohlke/tifffile/issues/87"""
    colours = np.dstack([ramp(), ramp() // 2, 65535 - ramp()])
    colours = colours if dtype == np.uint16 else (colours >> 8).astype(np.uint8)
    write_tiff(tmp_path / "usual.tif", colours, photometric=2)
    write_tiff(tmp_path / "planar.tif", colours, photometric=2, planar=2)
    if dtype == np.uint16:
        with pytest.raises(InputError, match="save them interleaved"):
            read_image(tmp_path / "planar.tif")
    else:
        assert_equal(tmp_path / "planar.tif", read_image(tmp_path / "usual.tif"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pillow_9514_fourth_channel_that_is_no_alpha(tmp_path, dtype):
    """https://github.com/python-pillow/Pillow/pull/9514"""
    infrared = np.full_like(ramp(), 6000)
    channels = np.dstack([ramp(), ramp() // 2, ramp() // 4, infrared])
    channels = channels if dtype == np.uint16 else (channels >> 8).astype(np.uint8)
    write_tiff(tmp_path / "rgb.tif", np.ascontiguousarray(channels[..., :3]), photometric=2)
    write_tiff(tmp_path / "rgb_ir.tif", channels, photometric=2, extra=0)
    assert_equal(tmp_path / "rgb_ir.tif", read_image(tmp_path / "rgb.tif"))


@pytest.mark.parametrize("highest", [4095, 65535])
def test_opencv_12185_grey_with_alpha(tmp_path, highest):
    """https://github.com/opencv/opencv/issues/12185"""
    grey = ramp(highest)
    write_png16(tmp_path / "grey.png", grey[..., None], 0)
    write_png16(tmp_path / "la.png", np.dstack([grey, np.full_like(grey, 65535)]), 4)
    assert_equal(tmp_path / "la.png", read_image(tmp_path / "grey.png"))


def test_pillow_3379_one_grey_is_transparent(tmp_path):
    """https://github.com/python-pillow/Pillow/issues/3379"""
    grey = ramp()
    write_png16(tmp_path / "grey.png", grey[..., None], 0)
    transparent = chunk(b"tRNS", struct.pack(">H", 0))
    write_png16(tmp_path / "trns.png", grey[..., None], 0, transparent)
    assert_equal(tmp_path / "trns.png", read_image(tmp_path / "grey.png"))


def test_pillow_7723_colour_of_16_bits_that_is_turned(tmp_path):
    """https://github.com/python-pillow/Pillow/issues/7723"""
    colours = np.dstack([ramp(4095)] * 3)
    write_png16(tmp_path / "upright.png", colours, 2)
    exif = Image.Exif()
    exif[0x0112] = 3
    write_png16(tmp_path / "turned.png", colours, 2, chunk(b"eXIf", exif.tobytes()[6:]))
    assert_equal(tmp_path / "turned.png", read_image(tmp_path / "upright.png")[::-1, ::-1])


def test_pillow_9478_fourth_byte_of_a_targa_is_unused(tmp_path):
    """https://github.com/python-pillow/Pillow/pull/9478"""
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, WIDTH, HEIGHT, 32, 0)
    (tmp_path / "frame.tga").write_bytes(header + bytes([200, 200, 200, 0]) * WIDTH * HEIGHT)
    assert said(images=tmp_path) or (read_image(tmp_path / "frame.tga") == 200).all()


def test_cvat_3371_drawn_in_alpha_only(tmp_path):
    """https://github.com/cvat-ai/cvat/issues/3371"""
    write_grey(tmp_path / "images" / "plate.png")
    mask = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    mask[10:20, 10:20, 3] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "plate.png")
    sources = InputSources(tmp_path / "images", masks=tmp_path / "masks")
    inputs, findings = check_data(sources)
    told = bool(findings.warnings or findings.problems)
    assert told or (inputs is not None and inputs.masks[0].sum() == 100)


def test_label_studio_407_boxes_in_percent(tmp_path):
    """https://github.com/HumanSignal/label-studio/issues/407"""
    rows = ["name,left,top,right,bottom"]
    for number in range(4):
        write_grey(tmp_path / "images" / f"{number}.png", size=(1952, 1232))
        left, top = 20.5 + 15 * number, 30.25 + 10 * number
        rows.append(f"{number},{left},{top},{left + 12},{top + 30}")
    (tmp_path / "boxes.csv").write_text("\n".join(rows) + "\n")
    assert "percent" in said(images=tmp_path / "images", boxes=tmp_path / "boxes.csv")


def test_fiftyone_4887_boxes_with_other_columns(tmp_path):
    """https://github.com/voxel51/fiftyone/issues/4887"""
    write_grey(tmp_path / "images" / "1.png")
    (tmp_path / "boxes.csv").write_text("name,x,y,width,height\n1,10,10,8,8\n")
    inputs = check_inputs(tmp_path / "images", boxes=tmp_path / "boxes.csv")
    assert inputs.masks[0].sum() == 64
    assert inputs.masks[0][10:18, 10:18].all()


def test_pillow_4665_orientation_beside_broken_tags(tmp_path):
    """https://github.com/python-pillow/Pillow/issues/4665"""
    image = Image.new("RGB", (WIDTH, HEIGHT), (200, 30, 30))
    image.paste((30, 30, 200), (0, 0, 16, 16))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95)
    data, after = stream.getvalue(), 8 + 2 + 12 * 3 + 4
    entries = struct.pack("<HHIHH", 274, 3, 1, 6, 0)  # turned by 90 degrees
    entries += struct.pack("<HHII", 282, 5, 2, after) + struct.pack("<HHII", 283, 5, 2, after)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 3) + entries + bytes(4)
    exif += struct.pack("<IIII", 72, 1, 72, 1)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "turned.jpg").write_bytes(data[:2] + segment + data[2:])
    pixels = read_image(tmp_path / "turned.jpg")
    assert pixels.shape == (WIDTH, HEIGHT, 3)
    assert pixels[4, -4, 2] > 150  # the corner at the upper left comes to the upper right
    assert not said(images=tmp_path)


def test_fiftyone_7057_paths_with_folders_in_annotations(tmp_path):
    """https://github.com/voxel51/fiftyone/issues/7057"""
    for camera in ("cam1", "cam2"):
        write_grey(tmp_path / "images" / camera / "001.png")
    ways = ["cam1/001.png", "images/cam1/001.png", "cam1\\001.png"]
    ways.append(str(tmp_path / "images" / "cam1" / "001.png"))
    for way in ways:
        (tmp_path / "boxes.csv").write_text(f"image,left,top,right,bottom\n{way},1,1,9,9\n")
        inputs = check_inputs(tmp_path / "images", boxes=tmp_path / "boxes.csv")
        assert inputs.masks[0].sum() == 64
        assert inputs.masks[1].sum() == 0
    (tmp_path / "boxes.csv").write_text("image,left,top,right,bottom\n001.png,1,1,9,9\n")
    assert "001" in said(images=tmp_path / "images", boxes=tmp_path / "boxes.csv")


def test_anomalib_3058_suffix_in_upper_case(tmp_path):
    """https://github.com/open-edge-platform/anomalib/issues/3058"""
    write_grey(tmp_path / "images" / "1.JPG")
    write_grey(tmp_path / "images" / "2.Png")
    write_mark(tmp_path / "masks" / "1.PNG")
    inputs = check_inputs(tmp_path / "images", masks=tmp_path / "masks")
    assert inputs.images.names == ("1", "2")
    assert inputs.masks[0].any()
    assert not inputs.masks[1].any()


def test_cvat_6319_dots_in_names(tmp_path):
    """https://github.com/cvat-ai/cvat/issues/6319"""
    for name in ("100.rgb.jpg", "100.ir.jpg", "100.jpg"):
        write_grey(tmp_path / "images" / name)
    write_mark(tmp_path / "masks" / "100.rgb.png")
    inputs = check_inputs(tmp_path / "images", masks=tmp_path / "masks")
    assert [bool(mask.any()) for mask in inputs.masks] == [False, False, True]
    assert inputs.images.names == ("100", "100.ir", "100.rgb")


def test_label_studio_1266_names_in_percent_encoding(tmp_path):
    """https://github.com/HumanSignal/label-studio/issues/1266"""
    write_grey(tmp_path / "images" / "Capture_décran_1.png")
    write_grey(tmp_path / "images" / "other.png")
    write_grey(tmp_path / "masks" / "Capture_d%C3%A9cran_1.png", 255)
    write_grey(tmp_path / "masks" / "other.png", 255)
    message = said(images=tmp_path / "images", masks=tmp_path / "masks")
    assert "Capture_d%C3%A9cran_1" in message
    assert "Capture_décran_1" in message


def test_label_studio_3638_longest_name(tmp_path):
    """https://github.com/HumanSignal/label-studio/issues/3638"""
    from anomalyncd.inputs.masks import encode_mask
    from anomalyncd.regions.table import CodedMasks

    write_grey(tmp_path / "images" / f"{'n' * 251}.png")  # 255 bytes, the most on Linux
    inputs = check_inputs(tmp_path / "images")
    code = encode_mask(np.ones((4, 4), bool))
    CodedMasks((code,)).save(tmp_path / "out", inputs.images.names)
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_opencv_22881_umlauts_in_folders(tmp_path):
    """https://github.com/opencv/opencv/issues/22881"""
    from anomalyncd.report.contact_sheet import write_sheet

    folder = tmp_path / "Prüfung 検査" / "größe"
    path = folder / "ä é.png"
    write_grey(path, 120)
    colours = np.dstack([ramp(), ramp(), ramp()])
    write_png16(folder / "tief.png", colours, 2)  # read by OpenCV
    inputs = check_inputs(folder)
    assert len(inputs.images) == 2
    assert (inputs.images.image(1)[-1, -1] == 255).all() or (
        inputs.images.image(0)[-1, -1] == 255
    ).all()
    write_sheet(inputs.images, tmp_path / "Übersicht.jpg", None)
    assert (tmp_path / "Übersicht.jpg").stat().st_size > 0


def test_paperbanana_240_manifest_in_another_normal_form(tmp_path):
    """https://github.com/llmsresearch/paperbanana/pull/240 (beyond the twelve)"""
    write_grey(tmp_path / unicodedata.normalize("NFD", "prüfung.png"))
    table = unicodedata.normalize("NFC", "image,label\nprüfung.png,dent\n")
    (tmp_path / "manifest.csv").write_text(table, encoding="utf-8")
    assert "'prüfung' first" in said(images=tmp_path / "manifest.csv")  # It is blank.


def test_cvat_10730_more_pixels_than_pillow_opens(tmp_path):
    """https://github.com/cvat-ai/cvat/issues/10730"""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10200, 59409, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    (tmp_path / "drawing.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + data)
    write_grey(tmp_path / "usual.png")
    message = said(images=tmp_path)
    assert "drawing.png" in message
    assert "too many pixels" in message
    assert "tiles" in message


@pytest.mark.parametrize("part", ["text", "profile"])
def test_pillow_8363_large_text_or_profile_in_png(tmp_path, part):
    """https://github.com/python-pillow/Pillow/issues/8363"""
    image = Image.new("L", (WIDTH, HEIGHT), 90)
    if part == "text":
        log = PngImagePlugin.PngInfo()
        log.add_text("acquisition", "exposure 12 ms; " * 130_000, zip=True)
        image.save(tmp_path / "frame.png", pnginfo=log)
    else:
        image.save(tmp_path / "frame.png", icc_profile=b"profile " * 140_000)
    assert (read_image(tmp_path / "frame.png") == 90).all()


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
@pytest.mark.parametrize(
    ("ink", "right"),
    [
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0, 0, 0, 0), (255, 255, 255)),
    ],
)
def test_pillow_6563_cmyk_of_adobe(tmp_path, suffix, ink, right):
    """https://github.com/python-pillow/Pillow/issues/6563"""
    path = tmp_path / f"print{suffix}"
    Image.new("CMYK", (16, 16), ink).save(path, quality=95)
    if suffix == ".jpg":
        assert b"Adobe" in path.read_bytes()  # stored with inverted values
    assert np.abs(read_image(path).astype(int) - right).max() <= 3


@pytest.mark.parametrize("photometric", [8, 9])
def test_pillow_8834_cielab(tmp_path, photometric):
    """https://github.com/python-pillow/Pillow/issues/8834"""
    lab = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    lab[..., 0] = np.linspace(0, 255, WIDTH).astype(np.uint8)
    lab[..., 1:] = 0 if photometric == 8 else 128  # signed in CIELab, 128 is neutral in ICCLab
    write_tiff(tmp_path / "lab.tif", lab, photometric)
    if photometric == 9:
        with pytest.raises(InputError, match="save it again"):
            read_image(tmp_path / "lab.tif")
        return
    pixels = read_image(tmp_path / "lab.tif").astype(int)
    assert np.ptp(pixels, axis=2).max() <= 3  # grey
    assert pixels[0, 0, 0] <= 2
    assert pixels[0, -1, 0] >= 253
