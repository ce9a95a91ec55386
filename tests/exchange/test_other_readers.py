"""Readers of other projects find the same classes, boxes and masks in what is written."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelformat.formats.coco import COCOInstanceSegmentationInput, COCOObjectDetectionInput
from labelformat.formats.cvat import CVATObjectDetectionInput
from labelformat.formats.pascalvoc import PascalVOCObjectDetectionInput
from labelformat.formats.yolov8 import YOLOv8ObjectDetectionInput
from pycocotools.coco import COCO

from anomalyncd.exchange.labelled import LabelledRegions, marked_boxes
from anomalyncd.exchange.writing import write_labels
from support.labels import CLASSES, DEFECTS, mask_of

NAME_OF = dict(zip(CLASSES["id"], CLASSES["name"], strict=True))


def expected(labelled: LabelledRegions, top_only: bool = False) -> list[tuple[Any, ...]]:
    """File, class and box of each defect; without those in folders if `top_only`."""
    rows = [
        (f"{region['name']}.png", region["class_name"], *map(int, box))
        for region, box in zip(
            labelled.regions.to_dict("records"), marked_boxes(labelled), strict=True
        )
        if region["id"] in DEFECTS and not (top_only and "/" in region["name"])
    ]
    return sorted(rows)


def found(images: Iterable[Any]) -> list[tuple[Any, ...]]:
    """The same as a reader of labelformat sees it."""
    rows = []
    for image in images:
        for one in image.objects:
            box = (one.box.xmin, one.box.ymin, one.box.xmax, one.box.ymax)
            rows.append((image.image.filename, one.category.name, *map(round, box)))
    return sorted(rows)


def test_coco_is_read_by_pycocotools(labelled: LabelledRegions, tmp_path: Path) -> None:
    write_labels(labelled, "coco", tmp_path / "out")
    coco = COCO(str(tmp_path / "out/annotations.json"))
    assert len(coco.getImgIds()) == len(labelled.images)
    rows = []
    for one in coco.loadAnns(coco.getAnnIds()):
        image, (x, y, across, down) = coco.imgs[one["image_id"]], one["bbox"]
        label = coco.cats[one["category_id"]]["name"]
        rows.append((image["file_name"], label, x, y, x + across, y + down))
        assert coco.cats[one["category_id"]]["name"] == NAME_OF[one["category_id"]]
    assert sorted(rows) == expected(labelled)
    coco.info()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_masks_of_coco_are_drawn_by_pycocotools_to_the_pixel(
    labelled: LabelledRegions, tmp_path: Path
) -> None:
    write_labels(labelled, "coco", tmp_path / "out")
    coco = COCO(str(tmp_path / "out/annotations.json"))
    annotations = {one["region"]: one for one in coco.anns.values()}
    dent = np.kron(mask_of("100%"), np.ones((2, 2), np.bool_))
    dent[:, 40:] = False
    assert annotations["17"]["area"] == dent.sum()
    np.testing.assert_array_equal(coco.annToMask(annotations["17"]), dent)
    parts = np.kron(mask_of("a/b"), np.ones((2, 2), np.bool_))
    parts[44:] = False
    assert annotations["10"]["area"] == parts.sum()
    parts[10:16, 10:14] = True  # The hole.
    np.testing.assert_array_equal(coco.annToMask(annotations["10"]), parts)


def test_coco_is_read_by_labelformat(labelled: LabelledRegions, tmp_path: Path) -> None:
    write_labels(labelled, "coco", tmp_path / "out")
    file = tmp_path / "out/annotations.json"
    assert found(COCOObjectDetectionInput(file).get_labels()) == expected(labelled)
    objects = [len(image.objects) for image in COCOInstanceSegmentationInput(file).get_labels()]
    assert sum(objects) == len(DEFECTS)


def test_yolo_is_read_by_labelformat(labelled: LabelledRegions, tmp_path: Path) -> None:
    write_labels(labelled, "yolo", tmp_path / "out")
    reader = YOLOv8ObjectDetectionInput(tmp_path / "out/data.yaml", "train")
    assert found(reader.get_labels()) == expected(labelled)
    assert len([*reader.get_images()]) == len(labelled.images)


def test_voc_is_read_by_labelformat(labelled: LabelledRegions, tmp_path: Path) -> None:
    """It reads no folders within the folder, and splits names of classes at commas."""
    write_labels(labelled, "voc", tmp_path / "out")
    names = ",".join(NAME_OF.values())
    reader = PascalVOCObjectDetectionInput(tmp_path / "out/Annotations", names)
    # It does not count pixels from 1.
    shifted = [
        (name, label, left - 1, top - 1, right, bottom)
        for name, label, left, top, right, bottom in found(reader.get_labels())
    ]
    assert shifted == expected(labelled, top_only=True)


def test_cvat_is_read_by_labelformat(labelled: LabelledRegions, tmp_path: Path) -> None:
    """It reads boxes only, which stand for regions without anomalous pixels."""
    write_labels(labelled, "cvat", tmp_path / "out")
    reader = CVATObjectDetectionInput(tmp_path / "out/annotations.xml")
    assert found(reader.get_labels()) == [("c d.png", "scratch", 40, 20, 60, 40)]
    assert [one.filename for one in reader.get_images()] == [
        f"{name}.png" for name in labelled.images["name"]
    ]
    assert [one.name for one in reader.get_categories()] == [NAME_OF[n] for n in (1, 2, 3, 7)]


@pytest.mark.parametrize("number", sorted(set(CLASSES["id"]) - {0, 4, 5}))
def test_ids_of_categories_are_those_of_the_classes(
    labelled: LabelledRegions, number: int, tmp_path: Path
) -> None:
    write_labels(labelled, "coco", tmp_path / "out")
    coco = COCO(str(tmp_path / "out/annotations.json"))
    assert coco.cats[number]["name"] == NAME_OF[number]
