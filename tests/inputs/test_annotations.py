"""Annotations of every known format give the same masks and labels."""

import base64
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.evaluation.ground_truth import labels_from_table
from anomalyncd.images.check import check_images
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.annotation_formats import CLASS_LISTS
from anomalyncd.inputs.inputs import check_data, check_inputs, open_masks
from anomalyncd.inputs.masks import Masks, check_masks
from anomalyncd.inputs.sources import InputSources

HEIGHT, WIDTH = 48, 64
BOX = (8, 10, 20, 26)
"""Left, top, right, bottom of a dent on `hole/1`."""
RING = ((30, 6), (58, 6), (58, 20), (44, 33), (30, 20))
"""A polygon, a scratch on `hole/1`."""
BITMAP = np.zeros((HEIGHT, WIDTH), np.bool_)
"""A scratch on `hole/2`; `good/3` has no shape."""
BITMAP[20:30, 40:50] = BITMAP[25:35, 5:50:2] = True
LABELS = ("good", "combined", "scratch")


def _inside_ring() -> NDArray[np.bool_]:
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    side = np.minimum(x - 30, 58 - x)
    return (side > 0) & (y > 6) & ((y - 20) * 14 < side * 13)


MASKS = np.zeros((3, HEIGHT, WIDTH), np.bool_)
MASKS[1] = _inside_ring()
MASKS[1, 10:26, 8:20] = True
MASKS[2] = BITMAP
CORNERS = MASKS.copy()
"""What formats without bitmaps hold: a box in place of the bitmap."""
CORNERS[2] = False
CORNERS[2, 20:30, 40:50] = True
SECOND_BOX = (40, 20, 50, 30)


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    for name in ("hole/1", "hole/2", "good/3"):
        path = tmp_path / f"photos/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (WIDTH, HEIGHT)).save(path)
    return ImageSet.from_folder(tmp_path / "photos")


def _runs(pixels: NDArray[np.bool_], order: Any) -> list[int]:
    """Lengths of alternating runs, the first of them unmarked."""
    flat = np.concatenate([[False], pixels.ravel(order)])
    edges = np.flatnonzero(np.diff(flat)) if flat.any() else np.array([], int)
    return np.diff([0, *edges, flat.size - 1]).tolist()


def _compressed(runs: Sequence[int]) -> str:
    """COCO's text for runs: differences to two before, five bits a character."""
    code = ""
    for index, run in enumerate(runs):
        value = run - (runs[index - 2] if index > 2 else 0)
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            code += chr((bits | 32 if more else bits) + 48)
    return code


def _brush(pixels: NDArray[np.bool_]) -> list[int]:
    """Label Studio's code: RGBA values in runs and single words of 8 bits."""
    values = np.repeat(pixels.ravel() * 255, 4)
    bits = f"{len(values):032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
    ends = [*(np.flatnonzero(np.diff(values)) + 1), len(values)]
    start = 0
    for end in map(int, ends):
        if end - start == 4 and start > 8:
            bits += "0" + "00" + f"{3:03b}" + f"{values[start]:08b}" * 4
        else:
            bits += "1" + "11" + f"{end - start - 1:016b}" + f"{values[start]:08b}"
        start = end
    return [int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8)]


def _json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def _coco(folder: Path, segmentation: object, bbox: Sequence[int] = (0, 0, 1, 1)) -> Path:
    left, top, right, bottom = BOX
    photos = ["hole/1.png", "images/hole/2.png", "3.png"]
    return _json(
        folder / "instances.json",
        {
            "images": [
                {"id": i, "file_name": name, "height": HEIGHT, "width": WIDTH}
                for i, name in enumerate(photos)
            ],
            "categories": [{"id": 7, "name": "dent"}, {"id": 9, "name": "scratch"}],
            "annotations": [
                {"image_id": 0, "category_id": 7, "bbox": [left, top, right - left, bottom - top]},
                {"image_id": 0, "category_id": 9, "segmentation": [np.ravel(RING).tolist()]},
                {"image_id": 1, "category_id": 9, "segmentation": segmentation, "bbox": bbox},
            ],
        },
    )


def _coco_boxes(folder: Path) -> Path:
    return _coco(folder, [], (40, 20, 10, 10))


def _coco_runs(folder: Path) -> Path:
    return _coco(folder, {"size": [HEIGHT, WIDTH], "counts": _runs(BITMAP, "F")})


def _coco_compressed(folder: Path) -> Path:
    return _coco(folder, {"size": [HEIGHT, WIDTH], "counts": _compressed(_runs(BITMAP, "F"))})


def _yolo(folder: Path) -> Path:
    def box(left: float, top: float, right: float, bottom: float) -> str:
        middle = f"{(left + right) / 2 / WIDTH} {(top + bottom) / 2 / HEIGHT}"
        return f"{middle} {(right - left) / WIDTH} {(bottom - top) / HEIGHT}"

    ring = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in RING)
    _text(folder / "labels/hole/1.txt", f"0 {box(*BOX)}\n1 {ring}\n")
    _text(folder / "labels/hole/2.txt", f"1 {box(*SECOND_BOX)} 0.93\n")
    _text(folder / "labels/good/3.txt", "")
    _text(folder / "data.yaml", "path: .\nnames: [dent, scratch]\n")
    return folder / "labels"


def _voc(folder: Path) -> Path:
    def described(name: str, objects: dict[str, Sequence[int]]) -> str:
        parts = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
            f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
            for label, (left, top, right, bottom) in objects.items()
        )
        size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
        return f"<annotation><filename>{name}.png</filename>{size}{parts}</annotation>"

    _text(folder / "voc/1.xml", described("1", {"dent": BOX, "scratch": (30, 6, 58, 20)}))
    _text(folder / "voc/2.xml", described("2", {"scratch": SECOND_BOX}))
    _text(folder / "voc/3.xml", described("3", {}))
    return folder / "voc"


def _label_studio(folder: Path) -> Path:
    left, top, right, bottom = BOX

    def result(value: object) -> object:
        return {"original_width": WIDTH, "original_height": HEIGHT, "value": value}

    box = {"x": left / WIDTH * 100, "y": top / HEIGHT * 100, "rotation": 0}
    box |= {"width": (right - left) / WIDTH * 100, "height": (bottom - top) / HEIGHT * 100}
    points = [[x / WIDTH * 100, y / HEIGHT * 100] for x, y in RING]
    first = [
        result({**box, "rectanglelabels": ["dent"]}),
        result({"points": points, "polygonlabels": ["scratch"]}),
        result({"x": 1, "y": 1, "width": 0.5, "keypointlabels": ["dent"]}),
        {"value": {"choices": ["bad"]}, "type": "choices"},
    ]
    second = [result({"format": "rle", "rle": _brush(BITMAP), "brushlabels": ["scratch"]})]
    dropped = {"was_cancelled": True, "result": first}
    return _json(
        folder / "project.json",
        [
            {"id": 4, "data": {"image": "/data/upload/1/0a1b2c3d-1.png"},
             "annotations": [{"result": first}]},
            {"id": 5, "data": {"image": "/data/local-files/?d=photos/hole/2.png"},
             "annotations": [{"result": second}, dropped]},
            {"id": 6, "data": {"image": "s3://bucket/good/3.png"}, "annotations": []},
        ],
    )  # fmt: skip


def _cvat(folder: Path) -> Path:
    left, top, right, bottom = BOX
    runs = ", ".join(map(str, _runs(BITMAP[20:35, 5:50], "C")))
    ring = ";".join(f"{x:.2f},{y:.2f}" for x, y in RING)
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    return _text(
        folder / "annotations.xml",
        f'<annotations><image name="hole/1.png" {size}>'
        f'<box label="dent" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"/>'
        f'<polygon label="scratch" points="{ring}"/><points label="dent" points="1,1"/></image>'
        f'<image name="hole/2.png" {size}>'
        f'<mask label="scratch" left="5" top="20" width="45" height="15" rle="{runs}"/></image>'
        f'<image name="good/3.png" {size}/></annotations>',
    )


def _labelme(folder: Path) -> Path:
    left, top, right, bottom = BOX
    code = io.BytesIO()
    Image.fromarray(BITMAP[20:35, 5:50].astype(np.uint8) * 255).save(code, "png")
    mask = {"label": "scratch", "shape_type": "mask", "points": [[5, 20], [49, 34]]}
    mask["mask"] = base64.b64encode(code.getvalue()).decode()
    shapes = {
        "1": [
            {"label": "dent", "points": [[right, bottom], [left, top]], "shape_type": "rectangle"},
            {"label": "scratch", "points": RING, "shape_type": "polygon"},
            {"label": "dent", "points": [[1, 1]], "shape_type": "point"},
        ],
        "2": [mask],
        "3": [],
    }
    for name, drawn in shapes.items():
        content = {"shapes": drawn, "imageHeight": HEIGHT, "imageWidth": WIDTH}
        _json(folder / f"labelme/{name}.json", {**content, "imagePath": f"../{name}.png"})
    return folder / "labelme"


FORMATS: dict[str, tuple[Callable[[Path], Path], NDArray[np.bool_]]] = {
    "COCO with runs": (_coco_runs, MASKS),
    "COCO with compressed runs": (_coco_compressed, MASKS),
    "COCO with boxes": (_coco_boxes, CORNERS),
    "YOLO": (_yolo, CORNERS),
    "Label Studio": (_label_studio, MASKS),
    "CVAT": (_cvat, MASKS),
    "labelme": (_labelme, MASKS),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_masks(tmp_path: Path, images: ImageSet, kind: str) -> None:
    write, expected = FORMATS[kind]
    path = write(tmp_path)
    masks = open_masks(path, images)
    check_masks(masks, check_images(images).sizes)
    for mask, wanted in zip(masks, expected, strict=True):
        np.testing.assert_array_equal(mask, wanted)
    assert masks.labels == LABELS
    inputs = check_inputs(images, masks=path)
    assert inputs.images.columns is not None
    assert labels_from_table(inputs.images.columns) == LABELS


def test_boxes_of_pascal_voc(tmp_path: Path, images: ImageSet) -> None:
    masks = open_masks(_voc(tmp_path), images)
    wanted = CORNERS.copy()
    wanted[1] = False
    wanted[1, 10:26, 8:20] = wanted[1, 6:20, 30:58] = True
    for mask, expected in zip(masks, wanted, strict=True):
        np.testing.assert_array_equal(mask, expected)
    assert masks.labels == LABELS


def test_labelme_files_beside_the_images(tmp_path: Path, images: ImageSet) -> None:
    for path in _labelme(tmp_path).iterdir():
        folder = "good" if path.stem == "3" else "hole"
        path.rename(tmp_path / f"photos/{folder}/{path.name}")
    np.testing.assert_array_equal(open_masks(tmp_path / "photos", images)[2], BITMAP)


def test_a_folder_of_masks_stays_one_beside_other_files(tmp_path: Path, images: ImageSet) -> None:
    (tmp_path / "masks/hole").mkdir(parents=True)
    Image.fromarray(BITMAP).save(tmp_path / "masks/hole/2.png")
    _json(tmp_path / "masks/hole/2.json", {"made": "yesterday"})
    masks = open_masks(tmp_path / "masks", images)
    assert masks.labels is None
    np.testing.assert_array_equal(masks[2], BITMAP)


def test_circles_turned_boxes_and_lines(tmp_path: Path, images: ImageSet) -> None:
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    path = _text(
        tmp_path / "a.xml",
        f'<annotations><image name="hole/1.png" {size}>'
        '<box label="dent" xtl="10" ytl="18" xbr="20" ybr="22" rotation="90"/>'
        '<polyline label="dent" points="40,5;60,5"/>'
        '<ellipse label="dent" cx="40" cy="30" rx="8" ry="8"/></image></annotations>',
    )
    wanted = np.zeros((HEIGHT, WIDTH), np.bool_)
    wanted[15:25, 13:17] = True
    wanted[5, 40:60] = True
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    wanted |= np.hypot(x - 40, y - 30) < 8
    assert np.count_nonzero(open_masks(path, images)[1] != wanted) <= 6


def _changed(path: Path, before: str, after: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert before in text
    return _text(path, text.replace(before, after))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda at: _json(at / "a.json", {"boxes": []}), "format of .* not known; expected COCO"),
        (lambda at: _text(at / "a.json", "{"), "annotation file .* is damaged"),
        (lambda at: _text(at / "a.xml", "<annotations>"), "annotation file .* is damaged"),
        (lambda at: _changed(_cvat(at), "hole/2.png", "hole/9.png"), "'hole/9.png' has no image"),
        (lambda at: _changed(_cvat(at), 'height="48"', 'height="40"'), "as 40x64 .* it is 48x64"),
        (lambda at: _changed(_cvat(at), "<image ", "<track/><image "), "CVAT for images"),
        (
            lambda at: _changed(_coco_boxes(at), "[[30, 6, 58, 6, 58, 20, 44, 33, 30", "[[3"),
            "annotation 2 has 1 points, but a polygon needs 3 or more",
        ),
        (
            lambda at: _changed(_coco_boxes(at), "[40, 20, 10, 10]", "[40, 20, 0, 10]"),
            "annotation 3 is a box without a width or height",
        ),
        (
            lambda at: _changed(_coco_boxes(at), "[40, 20, 10, 10]", "[400, 20, 10, 10]"),
            "annotation 3 of .* outside image 'hole/2' of 64x48 pixels",
        ),
        (lambda at: _changed(_coco_boxes(at), '"image_id": 1', '"image_id": 8'), "is not listed"),
        (lambda at: _changed(_coco_runs(at), '"size": [48', '"size": [47'), "is damaged"),
        (lambda at: _changed(_coco_boxes(at), '"3.png"', '"hole/1.png"'), None),
        (lambda at: _json(at / "a.json", {"images": [], "annotations": []}), "no shape is drawn"),
    ],
)  # fmt: skip
def test_faults_are_named(
    tmp_path: Path, images: ImageSet, write: Callable[[Path], Path], message: str | None
) -> None:
    path = write(tmp_path)
    if message is None:  # An image without a shape may be listed twice.
        assert open_masks(path, images).labels == LABELS
        return
    _, findings = check_data(InputSources(images, masks=path))
    assert findings.problems
    with pytest.raises(InputError, match=message):
        check_inputs(images, masks=path)


def test_an_image_that_fits_twice_is_not_guessed(tmp_path: Path, images: ImageSet) -> None:
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "photos/good/1.png")
    more = ImageSet.from_folder(tmp_path / "photos")
    path = _changed(_coco_boxes(tmp_path), '"hole/1.png"', '"1.png"')
    with pytest.raises(InputError, match=r"image '1.png', which fits 'good/1' and 'hole/1'"):
        Masks.from_annotations(path, more)
    path = _changed(_coco_boxes(tmp_path), '"hole/1.png"', '"hole\\\\1.png"')
    np.testing.assert_array_equal(
        Masks.from_annotations(path, more)[more.names.index("hole/1")], MASKS[1]
    )
    elsewhere = _changed(_coco_boxes(tmp_path), '"hole/1.png"', '"crack/1.png"')
    with pytest.raises(InputError, match=r"'crack/1.png' has no image"):
        Masks.from_annotations(elsewhere, more)


def test_annotations_mark_places_and_need_no_list_of_classes(
    tmp_path: Path, images: ImageSet
) -> None:
    inputs = check_inputs(images, ignore=_coco_runs(tmp_path))
    assert inputs.ignored is not None
    np.testing.assert_array_equal(inputs.ignored[2], BITMAP)
    labels = _yolo(tmp_path / "other")
    assert "data.yaml" in CLASS_LISTS
    (labels.parent / "data.yaml").unlink()
    assert open_masks(labels, images).labels == ("good", "combined", "class 1")


def test_runs_that_pycocotools_wrote(tmp_path: Path, images: ImageSet) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    written = mask.encode(np.asfortranarray(BITMAP.astype(np.uint8)))
    code = {"size": written["size"], "counts": written["counts"].decode()}
    np.testing.assert_array_equal(open_masks(_coco(tmp_path, code), images)[2], BITMAP)
