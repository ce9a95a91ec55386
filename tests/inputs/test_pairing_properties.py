"""Whatever the names and whatever the order of the files, a map meets its own image."""

import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.masks import Masks

_RESERVED = {"con", "prn", "aux", "nul", "test", "ground_truth", "__macosx"}


def _usable(part: str) -> bool:
    # What every file system takes: Windows allows neither these words nor a final dot or space.
    return (
        not part.startswith((".", " "))
        and not part.endswith((".", " "))
        and part.casefold() not in _RESERVED
        and not part.casefold().startswith(("com", "lpt"))
    )


_letters = st.one_of(
    st.sampled_from(["a", "B", ".", " ", "_", "-", "é", "é", "ß", "漢", "_crop", ".png", "0"]),
    st.characters(categories=["L", "N"], max_codepoint=0xFFFF),
)
_component = st.lists(_letters, min_size=1, max_size=6).map("".join).filter(_usable)
_name = st.lists(_component, min_size=1, max_size=3).map("/".join)
_names = st.lists(
    _name, min_size=1, max_size=6, unique_by=lambda n: unicodedata.normalize("NFKC", n).casefold()
)


def _free_of_conflicts(names: list[str]) -> bool:
    # No file may be called like a folder, and no folder be spelt in two ways, on any system.
    folders = {
        "/".join(name.split("/")[:depth])
        for name in names
        for depth in range(1, name.count("/") + 1)
    }
    plain = {unicodedata.normalize("NFKC", folder).casefold() for folder in folders}
    files = {f"{name}{ending}" for name in names for ending in (".png", ".npy", "_mask.png")}
    return len(plain) == len(folders) and not files & folders


_trees = _names.filter(_free_of_conflicts)


def _write(folder: Path, names: list[str], suffix: str, order: list[int]) -> None:
    for index in order:
        path = folder / f"{names[index]}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".npy":
            np.save(path, np.full((3, 4), index, np.float32))
        else:
            Image.new("L", (4, 3), index).save(path)


@settings(deadline=None, max_examples=60)
@given(names=_trees, data=st.data())
def test_maps_meet_their_images(names: list[str], data: st.DataObject) -> None:
    orders = [data.draw(st.permutations(range(len(names)))) for _ in range(2)]
    form = data.draw(st.sampled_from(["NFC", "NFD"]))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write(root / "images", names, ".png", orders[0])
        _write(root / "maps", [unicodedata.normalize(form, n) for n in names], ".npy", orders[1])
        images = ImageSet.from_folder(root / "images")
        maps = AnomalyMaps.from_folder(root / "maps", images)
        assert sorted(images.names) == sorted(unicodedata.normalize("NFC", n) for n in names)
        for index in range(len(images)):
            assert maps[index][0, 0] == images.image(index)[0, 0, 0]


@settings(deadline=None, max_examples=40)
@given(names=_trees, data=st.data())
def test_a_missing_or_surplus_map_is_named(names: list[str], data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, len(names) - 1))
    rest = [index for index in range(len(names)) if index != lost]
    lost_name = unicodedata.normalize("NFC", names[lost])
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write(root / "all", names, ".png", list(range(len(names))))
        _write(root / "all_maps", names, ".npy", list(range(len(names))))
        _write(root / "some_maps", names, ".npy", rest)
        images = ImageSet.from_folder(root / "all")
        (root / "some_maps").mkdir(exist_ok=True)
        with pytest.raises(InputError) as missing:
            AnomalyMaps.from_folder(root / "some_maps", images)
        others = images.select([i for i, name in enumerate(images.names) if name != lost_name])
        if not others:
            return
        assert f"image '{lost_name}' has no map" in str(missing.value)
        with pytest.raises(InputError) as surplus:
            AnomalyMaps.from_folder(root / "all_maps", others)
        assert f"has no image; expected {lost_name}.(png" in str(surplus.value)


@settings(deadline=None, max_examples=40)
@given(names=_trees, data=st.data())
def test_masks_meet_their_images(names: list[str], data: st.DataObject) -> None:
    drawn = data.draw(st.sets(st.integers(0, len(names) - 1), min_size=1))
    ending = data.draw(st.sampled_from(["", "_mask"]))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write(root / "images", names, ".png", list(range(len(names))))
        for index in drawn:
            path = root / "masks" / f"{names[index]}{ending}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 3), 255).save(path)
        images = ImageSet.from_folder(root / "images")
        masks = Masks.from_folder(root / "masks", images)
        for index, mask in enumerate(masks):
            assert mask.all() == mask.any() == (images.image(index)[0, 0, 0] in drawn)
