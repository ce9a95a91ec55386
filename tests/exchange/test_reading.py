"""Labels of people are read from tables, folders, and exports of labelling tools."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.exchange.reading import ROW_COLUMNS, read_labels

IMAGES = pd.DataFrame(
    {
        "name": ["day/1", "day/2", "night/1", "=x"],
        "path": ["/p/day/1.png", "/p/day/2.png", "/p/night/1.png", "/p/=x.png"],
        "height": 100,
        "width": 200,
    }
)


def read(path: Path) -> list[tuple[Any, ...]]:
    table = read_labels(path, IMAGES)
    assert tuple(table) == ROW_COLUMNS
    rows = table.astype(object).where(table.notna(), None).drop(columns=["class_id", "from"])
    return [tuple(row) for row in rows.itertuples(index=False)]


def write(tmp_path: Path, name: str, content: object) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def whole(name: str, label: str, region: str = "") -> tuple[Any, ...]:
    return (region, name, None, None, None, None, label)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,class\n3,dent\n4,\n", [whole("", "dent", "3")]),
        ("image;label\nday/1.png;dent\n'=x;hole\n", [whole("day/1", "dent"), whole("=x", "hole")]),
        (
            "name,x,y,width,height,class_name\nday/2,1,2,10,20,dent\nnight/1,,,,,hole\n",
            [("", "day/2", 1, 2, 11, 22, "dent"), whole("night/1", "hole")],
        ),
        (
            "id,name,left,top,right,bottom,class\n3,day/2,1,2,11,22,dent\n",
            [("3", "day/2", 1, 2, 11, 22, "dent")],
        ),
        ("filename,class\nelsewhere,dent\n", [whole("elsewhere", "dent")]),
    ],
)
def test_tables(text: str, expected: list[tuple[Any, ...]], tmp_path: Path) -> None:
    assert read(write(tmp_path, "mine.csv", text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,name\n3,a\n", "has no column 'class_name'"),
        ("class_name,left\ndent,3\n", "has no column 'id' or 'name'"),
        ("id,class_name\n3,\n", "no label is in"),
        ("name,left,top,right,bottom,class\nday/1,5,5,1,9,dent\n", "invalid box in row 1"),
        ("name,class\n1,dent\n", "fits 'day/1' and 'night/1'"),
    ],
)
def test_tables_that_cannot_be_used(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, "mine.csv", text))


def test_folders_of_whole_images(tmp_path: Path) -> None:
    for place in ("dent/2.png", "dent/night/1.png", "hole/day/1.png", "loose.png"):
        (tmp_path / "sorted" / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / "sorted" / place)
    assert read(tmp_path / "sorted") == [
        *(whole("day/2", "dent"), whole("night/1", "dent"), whole("day/1", "hole")),
    ]
    shutil.rmtree(tmp_path / "sorted/dent")
    shutil.rmtree(tmp_path / "sorted/hole")
    with pytest.raises(InputError, match="one for each class"):
        read(tmp_path / "sorted")


def test_coco_with_boxes_polygons_and_runs(tmp_path: Path) -> None:
    runs = [100 * 30 + 10, 5, 95, 5, 100 * 169 - 15]
    drawn = [
        {"bbox": [10, 20, 30, 40]},
        {"segmentation": [[1, 1, 5, 1, 5, 5], [50, 50, 60, 50, 60, 60]]},
        {"segmentation": {"counts": runs, "size": [100, 200]}},
    ]
    content = {
        "images": [{"id": 7, "file_name": "day/1.png", "height": 100, "width": 200}],
        "categories": [{"id": 1, "name": "dent"}, {"id": 2, "name": "hole"}],
        "annotations": [
            {"id": number, "image_id": 7, "category_id": 1 + number % 2} | shape
            for number, shape in enumerate(drawn)
        ],
    }
    assert read(write(tmp_path, "export.json", content)) == [
        ("", "day/1", 10, 20, 40, 60, "dent"),
        ("", "day/1", 1, 1, 60, 60, "hole"),
        ("", "day/1", 30, 10, 32, 15, "dent"),
    ]
    content["images"][0]["height"] = 99
    with pytest.raises(InputError, match="describes image 'day/1' as 99x200"):
        read(write(tmp_path, "export.json", content))


def test_label_studio_with_rectangles_and_choices(tmp_path: Path) -> None:
    box = {"x": 10, "y": 10, "width": 20, "height": 50, "rectanglelabels": ["dent"]}
    results = [
        {"original_width": 200, "original_height": 100, "value": box},
        {"type": "choices", "value": {"choices": ["scrap"]}},
    ]
    tasks = [
        {
            "data": {"image": "/data/upload/1/0123abcd-2.png"},
            "annotations": [{"result": results}, {"result": results, "was_cancelled": True}],
            "predictions": [{"result": results}],
        }
    ]
    assert sorted(read(write(tmp_path, "export.json", tasks)), key=str) == [
        ("", "day/2", 20, 10, 60, 60, "dent"),
        whole("day/2", "scrap"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", "{", "is damaged"),
        ("x.json", {"labels": {"day/1": [{"label": "dent"}]}}, "is damaged"),
        ("x.json", {"something": 1}, "format of .* is not known"),
        ("x.json", [{"data": {"image": "day/1.png"}, "predictions": []}], "no annotation of a"),
    ],
)
def test_files_that_cannot_be_used(
    name: str, content: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, name, content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; check the path of the labels"):
        read(tmp_path / "nothing.csv")
