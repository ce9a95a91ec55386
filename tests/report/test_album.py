"""The pictures of a report: what opens large, links to files, and the size of the page."""

import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from anomalyncd import AnomalyNCD
from anomalyncd.report import album
from anomalyncd.report.album import address
from anomalyncd.report.contents import by_turns
from anomalyncd.report.report import write_report
from anomalyncd.results.run_folder import Run, read_run
from anomalyncd.workflows import discover_run
from support.pages import Page, can_be_read_aloud, is_self_contained
from support.quick import use_tiny


@pytest.fixture(scope="module")
def run(tiny_weights: Path, images_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("album")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny(monkeypatch, folder / "cache")
        estimator = AnomalyNCD(3, backbone="tiny", weights=tiny_weights)
        discover_run(estimator, images_folder, folder / "run", normals=images_folder / "good")
    return folder / "run"


def enlarged(run: Path, folder: Path, n_images: int, side: int = 512) -> Path:
    """A run on the images of another run again and again, as textures of `side` px."""
    shutil.copytree(run, folder / "run")
    images, regions = pd.read_csv(run / "images.csv"), pd.read_csv(run / "regions.csv")
    copies = range(-(-n_images // len(images)))
    paths = {}
    (folder / "photographs").mkdir()
    for index, (name, path) in enumerate(zip(images["name"], images["path"], strict=True)):
        pixels = cv2.resize(np.asarray(Image.open(path)), (side, side)).astype(float)
        pixels += np.random.default_rng(index).normal(0, 12, (side, side, 1))
        target = folder / "photographs" / f"{index}.jpg"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(target, quality=90)
        paths[name] = str(target)
    for copy in copies[1:]:
        shutil.copytree(run / "masks", folder / "run" / "masks" / str(copy))
    for file, table in (("images.csv", images), ("regions.csv", regions)):
        scale = pd.Series({"left": side / 96, "right": side / 96, "top": side / 72})
        scale["bottom"] = side / 72
        for column in scale.index.intersection(table.columns):
            table[column] *= scale[column]
        table["path"] = table["name"].map(paths)
        if file == "images.csv":
            table[["height", "width"]] = side
        tables = [table.assign(name=f"{copy}/" * (copy > 0) + table["name"]) for copy in copies]
        pd.concat(tables).to_csv(folder / "run" / file, index=False)
    for file in ("features", "counts", "attention"):
        if (run / f"{file}.npy").is_file():
            array = np.load(run / f"{file}.npy")
            np.save(folder / "run" / f"{file}.npy", np.concatenate([array] * len(copies)))
    return folder / "run"


def links(page: Page) -> list[dict[str, str | None]]:
    return [link for link in page.all("a") if link.get("class") == "open"]


def test_every_picture_opens_large_on_the_page(run: Path) -> None:
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert {str(link["href"])[0] for link in links(page)} == {"#"}
    images = read_run(run).images
    # Each image is listed under its class, and its photograph is a file beside the page.
    for name in images["name"]:
        assert any(str(link["title"]).startswith(f"{name}: ") for link in links(page))
    assert {str(link["data-file"]).split(":")[0] for link in links(page)} == {"file"}


def test_without_room_pictures_are_links_to_files(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(album, "BUDGET", 0)
    text = write_report(run).read_text(encoding="utf-8")
    assert is_self_contained(text)
    page = Page(text)
    assert can_be_read_aloud(page)
    images = read_run(run).images
    opened = {url2pathname(urlsplit(str(link["href"])).path) for link in links(page)}
    assert opened == set(images["path"])
    assert "Large pictures" not in page.words
    # Names in place of thumbnails.
    assert all(name in page.words for name in images["name"])


def test_pictures_of_many_images_stay_within_the_budget(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = enlarged(run, tmp_path, 60)
    everything = write_report(many).stat().st_size
    monkeypatch.setattr(album, "BUDGET", 1_000_000)
    text = write_report(many).read_text(encoding="utf-8")
    pictures = sum(len(str(image["src"])) for image in Page(text).all("img"))
    assert pictures <= 1_000_000 < everything
    assert {str(link["href"])[0] for link in links(Page(text))} == {"#", "."}
    # The room that is left at the end is smaller than a picture.
    assert pictures > 900_000


def test_page_about_1000_images_is_below_10_mb(run: Path, tmp_path: Path) -> None:
    many = enlarged(run, tmp_path, 1000, side=256)
    assert 1_000_000 < write_report(many).stat().st_size < 10_000_000


def test_links_to_photographs(tmp_path: Path) -> None:
    inside = tmp_path / "project" / "my images" / "ä #1%.png"
    outside = tmp_path / "elsewhere 2" / "b?.png"
    run = tmp_path / "project" / "run"
    for file in (inside, outside):
        file.parent.mkdir() if file is outside else file.parent.mkdir(parents=True)
        file.write_bytes(b"")
    link = address(str(inside), run)
    assert link is not None
    assert unquote(link) == "../my images/ä #1%.png"
    assert not {"#", "?", " "} & {*link}
    there = address(str(outside), run)
    assert there == outside.as_uri()
    for gone in (str(tmp_path / "gone.png"), "0", ""):
        assert address(gone, run) is None


def test_lists_are_read_by_turns() -> None:
    assert by_turns([[1, 2, 3], [], [4, 5]]) == [1, 4, 2, 5, 3]
    assert by_turns([]) == []


def test_odd_names_are_escaped(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = "\"><script>x</script>&'#%41 `normals`"
    changed = tmp_path / "run"
    shutil.copytree(run, changed)
    for file in ("images.csv", "regions.csv"):
        table = pd.read_csv(changed / file)
        table["name"] = table["name"].replace("line/000", odd)
        table.to_csv(changed / file, index=False)
    # No file can have this name on all systems.
    monkeypatch.setattr(Run, "mask", lambda self, name: np.ones((72, 96), np.bool_))
    page = Page(write_report(changed).read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1
    assert can_be_read_aloud(page)
    assert any(str(link["title"]).startswith(f"{odd}: ") for link in links(page))
