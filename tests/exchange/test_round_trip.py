"""Labels that are written in any format are read back with the same classes and boxes."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.exchange.labelled import LabelledRegions, marked_boxes
from anomalyncd.exchange.matching import match_regions
from anomalyncd.exchange.reading import read_labels
from anomalyncd.exchange.writing import LABEL_FORMATS, write_labels
from anomalyncd.inputs.annotations import read_shapes
from anomalyncd.io.tables import read_table
from support.labels import CLASSES, DEFECTS, HEIGHT, NAMES, REGIONS, UNCONFIRMED, WIDTH, mask_of


def classes_of(ids: tuple[int, ...], labelled: LabelledRegions) -> dict[int, str]:
    table = labelled.regions.set_index("id")["class_name"]
    return {number: str(table[number]) for number in ids}


def read_back(labelled: LabelledRegions, folder: Path) -> dict[int, str]:
    rows = read_labels(folder, labelled.images)
    matched = match_regions(rows, labelled.regions, marked_boxes(labelled))
    assert matched.unmatched.empty, matched.summary
    return dict(zip(matched.labels["id"], matched.labels["class_name"], strict=True))


@pytest.mark.parametrize("format", LABEL_FORMATS)
def test_every_region_gets_its_class_back(
    labelled: LabelledRegions, format: str, tmp_path: Path
) -> None:
    write_labels(labelled, format, tmp_path / "out")
    expected = classes_of(DEFECTS, labelled)
    if format == "label-studio":
        del expected[UNCONFIRMED]  # A prediction is not what a person said.
    if format == "csv":
        expected = classes_of(tuple(REGIONS["id"]), labelled)
    assert read_back(labelled, tmp_path / "out") == expected


@pytest.mark.parametrize("format", ["coco", "cvat", "fiftyone", "label-studio", "voc", "yolo"])
def test_boxes_are_those_of_the_anomalous_pixels(
    labelled: LabelledRegions, format: str, tmp_path: Path
) -> None:
    write_labels(labelled, format, tmp_path / "out")
    rows = read_labels(tmp_path / "out", labelled.images)
    boxes = dict(zip(labelled.regions["id"], marked_boxes(labelled), strict=True))
    assert boxes[10].tolist() == [6, 6, 40, 40]
    assert boxes[11].tolist() == [66, 50, 76, 60]
    assert boxes[12].tolist() == [0, 0, 4, 6]
    assert boxes[13].tolist() == [40, 20, 60, 40]
    for number in set(DEFECTS) - {UNCONFIRMED}:
        region = labelled.regions.set_index("id").loc[number]
        same = rows[(rows["name"] == region["name"]) & (rows["class_name"] == region["class_name"])]
        found = same[["left", "top", "right", "bottom"]].to_numpy(np.float64)
        np.testing.assert_allclose(found, [boxes[number]], atol=0.5)


@pytest.mark.parametrize("format", ["coco", "cvat", "label-studio"])
def test_masks_are_read_back_as_they_were(
    labelled: LabelledRegions, format: str, tmp_path: Path
) -> None:
    """Holes are filled by polygons only."""
    write_labels(labelled, format, tmp_path / "out")
    file = next(path for path in (tmp_path / "out").iterdir() if path.name != "labels.xml")
    shapes = {name: shapes for name, _, shapes in read_shapes(file, NAMES)}
    for name in ("a/b", NAMES[2], "100%"):
        expected = np.kron(mask_of(name), np.ones((2, 2), np.bool_))
        if name == "100%":
            expected[:, 40:] = False
        if name == "a/b" and format == "coco":
            expected[10:16, 10:14] = True
        if name == NAMES[2] and format == "coco":
            expected[:] = True
        np.testing.assert_array_equal(shapes[name].mask(HEIGHT, WIDTH), expected)


@pytest.mark.parametrize("format", sorted(set(LABEL_FORMATS) - {"csv"}))
def test_regions_that_are_no_defect_are_written_on_request(
    labelled: LabelledRegions, format: str, tmp_path: Path
) -> None:
    write_labels(labelled, format, tmp_path / "out", normal=True)
    expected = classes_of((*DEFECTS, 18, 19), labelled)
    if format == "label-studio":
        del expected[UNCONFIRMED]
    assert read_back(labelled, tmp_path / "out") == expected


def test_images_without_regions_are_listed(labelled: LabelledRegions, tmp_path: Path) -> None:
    for format in LABEL_FORMATS:
        write_labels(labelled, format, tmp_path / format)

    def load(path: str) -> Any:
        return json.loads((tmp_path / path).read_text(encoding="utf-8"))

    coco = load("coco/annotations.json")
    assert [image["file_name"] for image in coco["images"]] == [f"{name}.png" for name in NAMES]
    assert len(coco["annotations"]) == len(DEFECTS)
    assert [category["name"] for category in coco["categories"]][-1] == "unused"
    assert read_table(tmp_path / "csv/images.csv", "list")["name"].tolist() == [*NAMES]
    assert load("fiftyone/labels.json")["labels"]["empty"] is None
    assert [*load("fiftyone/data.json")] == [f"{name}.png" for name in NAMES]
    assert [*load("label-studio/tasks.json")][-1]["data"]["image"].endswith("empty.png")
    cvat = ET.parse(tmp_path / "cvat/annotations.xml").getroot()
    assert [image.get("name") for image in cvat.iter("image")][-1] == "empty.png"
    assert ET.parse(tmp_path / "voc/Annotations/empty.xml").findall("object") == []
    assert (tmp_path / "yolo/labels/empty.txt").read_text() == ""
    assert (tmp_path / "yolo/images/empty.png").is_file()
    names = yaml.safe_load((tmp_path / "yolo/data.yaml").read_text(encoding="utf-8"))["names"]
    assert names == {0: "Scratch", 1: "scratch", 2: CLASSES["name"][3], 3: "unused"}


def test_formulas_are_guarded(labelled: LabelledRegions, tmp_path: Path) -> None:
    write_labels(labelled, "csv", tmp_path / "out")
    assert ",'=1+1," in (tmp_path / "out/labels.csv").read_text(encoding="utf-8-sig")


def test_class_folders_differ_on_any_system(labelled: LabelledRegions, tmp_path: Path) -> None:
    write_labels(labelled, "folders", tmp_path / "out")
    folders = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir())
    assert folders == [
        *("Scratch", "scratch (class 2)"),
        "\u00f6lig %3C& %22rot%22",
    ]
    crop = Image.open(tmp_path / "out/scratch (class 2)/a%2Fb__region-11.png")
    assert crop.size == (20, 20)
    assert np.array_equal(crop, np.array(Image.open(tmp_path / "photos/a/b.png"))[40:60, 60:80])


def test_a_crop_that_a_person_moved_has_the_class_of_its_new_folder(
    labelled: LabelledRegions, tmp_path: Path
) -> None:
    write_labels(labelled, "folders", tmp_path / "out")
    crop = tmp_path / "out/Scratch/a%2Fb__region-10.png"
    (tmp_path / "out/new kind").mkdir()
    crop.rename(tmp_path / "out/new kind" / crop.name)
    assert read_back(labelled, tmp_path / "out")[10] == "new kind"


@pytest.mark.parametrize("content", ["file", "folder"])
def test_what_is_there_is_not_overwritten(
    labelled: LabelledRegions, content: str, tmp_path: Path
) -> None:
    place = tmp_path / "out"
    if content == "folder":
        place.mkdir()
        place /= "notes.txt"
    place.write_text("mine")
    with pytest.raises(InputError, match="name a new or empty folder"):
        write_labels(labelled, "coco", tmp_path / "out")
    assert place.read_text() == "mine"


def test_an_unknown_format_is_refused(labelled: LabelledRegions, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'tfrecord' is not known; choose one of csv, coco"):
        write_labels(labelled, "tfrecord", tmp_path / "out")


def test_nothing_remains_where_an_image_is_missing(
    labelled: LabelledRegions, tmp_path: Path
) -> None:
    (tmp_path / "photos/empty.png").unlink()
    with pytest.raises(InputError, match="the file of image 'empty' is not at"):
        write_labels(labelled, "yolo", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_predictions_alone_are_no_labels(labelled: LabelledRegions, tmp_path: Path) -> None:
    regions = labelled.regions.assign(confirmed=False)
    found = LabelledRegions(labelled.images, regions, labelled.classes, mask_of)
    write_labels(found, "label-studio", tmp_path / "out")
    with pytest.raises(InputError, match="holds predictions, but no annotation of a person"):
        read_labels(tmp_path / "out", labelled.images)
