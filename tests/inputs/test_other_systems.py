"""Names and paths of files as Windows and macOS write them."""

from pathlib import Path

import pytest
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.estimator import AnomalyNCD
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.boxes import read_boxes
from anomalyncd.io.files import refuse_unwritable_names
from support.quick import picture


def test_inputs_are_checked_for_their_names(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = ImageSet.from_list([picture("spot", 1), picture("line", 2)], names=["A", "a"])

    def as_on_a_mac(names: tuple[str, ...]) -> None:
        refuse_unwritable_names(names, "darwin")

    monkeypatch.setattr("anomalyncd.inputs.inputs.refuse_unwritable_names", as_on_a_mac)
    with pytest.raises(InputError, match="only in case"):
        AnomalyNCD(2, backbone="tiny", weights=tiny).fit(images)


def test_suffixes_in_capitals_and_composed_letters_are_found(tmp_path: Path) -> None:
    Image.fromarray(picture("spot", 1)).save(tmp_path / "PART.JPG", "JPEG")
    Image.fromarray(picture("spot", 2)).save(tmp_path / "u\u0308ber\u202f1.PNG", "PNG")
    assert ImageSet.from_folder(tmp_path).names == ("PART", "\u00fcber\u202f1")


def test_boxes_find_their_image_whatever_the_case_of_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(picture("spot", 1)).save(tmp_path / "Image.png")
    monkeypatch.setattr("anomalyncd.inputs.boxes.os.path.normcase", str.lower)
    table = f"image,left,top,right,bottom\n{str(tmp_path).upper()}/IMAGE.png,1,2,3,4\n"
    (tmp_path / "boxes.csv").write_text(table, encoding="utf-8")
    assert list(read_boxes(tmp_path / "boxes.csv", ImageSet.from_folder(tmp_path))) == ["Image"]
