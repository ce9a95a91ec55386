"""Annotations of a few bytes that would fill the memory, or end in another error than one line."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.exchange.reading import read_labels
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.annotations import read_annotations

HEIGHT, WIDTH = 48, 64


def _coco(counts: Any, height: int, width: int) -> str:
    drawn = {"counts": counts, "size": [height, width]}
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "a.png"}],
            "annotations": [{"image_id": 1, "segmentation": drawn}],
        }
    )


def _labelme(side: int, at: int, name: str = "a.png") -> str:
    file = io.BytesIO()
    Image.new("1", (side, side), 1).save(file, "PNG")
    code = base64.b64encode(file.getvalue()).decode()
    shape = {"label": "m", "shape_type": "mask", "points": [[at, at]], "mask": code}
    return json.dumps({"shapes": [shape], "imagePath": name})


def _brush(n_values: int) -> str:
    value = {"rle": [*n_values.to_bytes(4, "big"), 0x38, *[0] * 10]}
    result = {"original_width": WIDTH, "original_height": HEIGHT, "value": value}
    return json.dumps([{"data": {"image": "a.png"}, "annotations": [{"result": [result]}]}])


HOSTILE = {
    "run lengths of ten gigabytes": ("c.json", _coco([10**10], 10**5, 10**5)),
    "run lengths beyond 64 bits": ("c.json", _coco([10**30], 1, 1)),
    "a run length without an end": ("c.json", _coco("o" * 200_000 + "0", 2, 2)),
    "a brush of four gigabytes": ("s.json", _brush(2**32 - 1)),
    "a class that is no number": ("a.txt", "inf 0.5 0.5 0.2 0.2\n"),
    "a size that is no number": (
        "a.xml",
        "<annotation><size><height>inf</height><width>1</width></size></annotation>",
    ),
    "a polygon without end": ("a.txt", "0 1e308 5e307 1 1 -1e308 5 9 1e307\n"),
    "a box without end": ("a.txt", "0 1e308 0.5 1e308 0.2\n"),
    "a bitmap of too many pixels": ("a.json", _labelme(20_000, 0)),
    "entities of entities": (
        "a.xml",
        '<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">'
        + "".join(f'<!ENTITY a{one} "{f"&a{one - 1};" * 10}">' for one in range(1, 10))
        + "]><annotation><filename>&a9;</filename></annotation>",
    ),
    "a file of this machine": (
        "a.xml",
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation>&a;</annotation>',
    ),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", HOSTILE)
def test_one_line_before_the_memory_is_full(tmp_path: Path, kind: str) -> None:
    name, text = HOSTILE[kind]
    source, images, sizes = _written(tmp_path, name, text)
    for read in (lambda: read_annotations(source, images), lambda: read_labels(source, sizes)):
        with pytest.raises(InputError, match=r"damaged|too many pixels|no pixels of"):
            read()


@pytest.mark.timeout(60)
def test_references_in_yaml_do_not_become_a_name(tmp_path: Path) -> None:
    source, images, _ = _written(tmp_path, "a.txt", "0 0.5 0.5 0.2 0.2\n")
    lists = "".join(f"a{one}: &a{one} [{f'*a{one - 1}, ' * 9}]\n" for one in range(1, 9))
    text = f"a0: &a0 [x]\n{lists}names: [*a8]\n"
    (tmp_path / "labels" / "data.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="names a class that is no text"):
        read_annotations(source, images)


@pytest.mark.parametrize("at", [3, 10**6])
def test_a_bitmap_far_away_needs_no_memory(tmp_path: Path, at: int) -> None:
    """Of an image that is not among the images, so that its size is not known."""
    source, _, sizes = _written(tmp_path, "z.json", _labelme(2, at, "z.png"))
    row = read_labels(source, sizes).iloc[0]
    assert row[["left", "top", "right", "bottom"]].tolist() == [at, at, at + 2, at + 2]


def _written(folder: Path, name: str, text: str) -> tuple[Path, ImageSet, pd.DataFrame]:
    """The source of the labels, the image `a`, and its size."""
    Image.new("L", (WIDTH, HEIGHT)).save(folder / "a.png")
    labels = folder / "labels"
    labels.mkdir()
    (labels / name).write_text(text, encoding="utf-8")
    sizes = pd.DataFrame({"name": ["a"], "height": [HEIGHT], "width": [WIDTH]})
    source = labels if name.endswith(".txt") else labels / name
    return source, ImageSet.from_list([folder / "a.png"]), sizes
