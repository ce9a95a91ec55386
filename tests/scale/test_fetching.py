"""Images that a discovery gets from a place or from Parquet lie in a folder under their names."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.runtime.engine import ThisProcess
from anomalyncd.scale.fetching import fetch_images

fsspec = pytest.importorskip("fsspec", reason="places need pip install 'anomalyncd[ray]'")


def test_images_of_a_place_are_copied_once(images_folder: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    for path in images_folder.rglob("*.png"):
        name = path.relative_to(images_folder).as_posix()
        memory.pipe_file(f"/fetched/{name}", path.read_bytes())
    folder = fetch_images("memory://fetched", tmp_path / "copied", ThisProcess())
    copied, expected = ImageSet.from_folder(folder), ImageSet.from_folder(images_folder)
    assert copied.names == expected.names
    assert all(np.array_equal(copied.image(i), expected.image(i)) for i in range(len(copied)))
    memory.pipe_file("/fetched/good/000.png", b"changed")
    fetch_images("memory://fetched", tmp_path / "copied", ThisProcess())
    assert np.array_equal(copied.image(0), expected.image(0))


def test_images_in_parquet_are_unpacked(images_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    expected = ImageSet.from_folder(images_folder)
    contents = [Path(str(path)).read_bytes() for path in expected.paths]
    table = pd.DataFrame({"name": expected.names, "image": contents})
    table.to_parquet(tmp_path / "held.parquet", row_group_size=5)
    folder = fetch_images(tmp_path / "held.parquet", tmp_path / "copied", ThisProcess())
    copied = ImageSet.from_folder(folder)
    assert copied.names == expected.names
    assert all(np.array_equal(copied.image(i), expected.image(i)) for i in range(len(copied)))


@pytest.mark.parametrize(
    ("name", "said"),
    [("../outside", "name '../outside' cannot be used"), ("inside", "'inside' cannot be read")],
)
def test_rows_that_are_no_images_are_refused(name: str, said: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    content = (tmp_path / "picture.png", Image.new("L", (4, 4)))
    content[1].save(content[0])
    held = content[0].read_bytes() if name != "inside" else b"no image"
    pd.DataFrame({"name": [name], "image": [held]}).to_parquet(tmp_path / "held.parquet")
    with pytest.raises(InputError, match=said):
        fetch_images(tmp_path / "held.parquet", tmp_path / "copied", ThisProcess())


def test_files_on_a_disk_stay_where_they_are(images_folder: Path, tmp_path: Path) -> None:
    assert fetch_images(images_folder, tmp_path / "copied", ThisProcess()) == images_folder
    assert not (tmp_path / "copied").exists()
