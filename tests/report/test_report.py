"""The report of a run, on tiny images."""

import os
import shutil
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from anomalyncd import AnomalyNCD, InputError
from anomalyncd.images.pixels import read_image
from anomalyncd.report.contents import (
    class_cards,
    composite_images,
    doubtful_images,
    foreground_images,
    foreground_line,
    images_by_class,
    normal_images,
)
from anomalyncd.report.pictures import foreground_pictures
from anomalyncd.report.report import write_report
from anomalyncd.report.trends import columns_of_images, pareto_charts, trend_chart
from anomalyncd.results.operating_point import OperatingPoint, write_point
from anomalyncd.results.run_folder import read_run
from anomalyncd.revision import correct_run
from anomalyncd.workflows import discover_run
from support.pages import Page, can_be_read_aloud, is_self_contained
from support.quick import call, succeed, use_tiny


@pytest.fixture(scope="module")
def run(tiny_weights: Path, images_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny(monkeypatch, folder / "cache")
        estimator = AnomalyNCD(3, backbone="tiny", weights=tiny_weights)
        discover_run(estimator, images_folder, folder / "run", normals=images_folder / "good")
    return folder / "run"


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_page_is_complete(run: Path) -> None:
    text = write_report(run).read_text(encoding="utf-8")
    assert is_self_contained(text)
    page = Page(text)
    assert can_be_read_aloud(page)
    opened = read_run(run)
    images = opened.images
    for sentence in (
        f"{len(images)} images were sorted without any label: {int(images['normal'].sum())} as "
        f"normal, and {int((~images['normal']).sum())} into 2 kinds of defects",
        f"{int(images['unseen'].sum())} images are unlike all others (unseen)",
        f"{int((images['n_regions'] == 0).sum())} images (",
        "compared with normal images",
        "Compared with masks and labels: image AUROC",
        f"over {len(images)} images",
        "Escapes and overkill",
    ):
        assert sentence in page.words + "".join(str(svg["aria-label"]) for svg in page.all("svg"))
    names = [card.name for card in class_cards(opened)]
    assert all(name in page.words for name in names)
    assert "show a defect" not in page.words
    cards = class_cards(opened)
    rows = {row for card in cards for row in [*card.typical, *card.uncertain]}
    n_regions = sum(len(card.typical) + len(card.uncertain) for card in cards) + len(rows)
    n_attention = sum(min(len(card.typical), 6) for card in cards)
    n_shown = len(normal_images(opened)) + len(composite_images(opened))
    # Each image has a thumbnail under its class, and a large picture.
    n_images = n_shown + len(doubtful_images(opened)) + 2 * len(images)
    assert len(page.all("img")) == n_regions + n_attention + n_images


def test_what_a_killed_report_left_is_removed(run: Path) -> None:
    left = run / f".{'0' * 32}.html"
    left.write_text("")
    os.utime(left, (0, 0))
    write_report(run)
    assert not left.exists()


def test_run_without_reliability_is_shown(run: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(run, old)
    for file in ("images.csv", "regions.csv"):
        table = pd.read_csv(old / file)
        columns = ["confidence", "novelty", "unseen", "unsure"]
        table.drop(columns=columns).to_csv(old / file, index=False)
    page = page_of(old)
    assert "unlike all others" not in page.words
    assert all(image["alt"] for image in page.all("img"))


def test_only_mebin_shows_how_its_threshold_is_found(run: Path, tmp_path: Path) -> None:
    assert "Regions at each threshold" in page_of(run).words
    other = tmp_path / "run"
    shutil.copytree(run, other)
    text = (other / "run.json").read_text(encoding="utf-8")
    assert '"binarisation": "mebin"' in text
    changed = text.replace('"binarisation": "mebin"', '"binarisation": "otsu"')
    (other / "run.json").write_text(changed, encoding="utf-8")
    assert "Regions at each threshold" not in page_of(other).words


def test_chosen_point_is_shown(run: Path) -> None:
    write_point(OperatingPoint(0.25, 0.01, None), run)
    words = page_of(run).words
    (run / "operating.json").unlink()
    assert "0.250" in words
    assert "rejects 1.0" in words


@pytest.fixture
def lose(run: Path) -> Iterator[Callable[[int], None]]:
    """Lets the tables of the run name files that are gone, for so many images."""
    tables = {file: (run / file).read_bytes() for file in ("images.csv", "regions.csv")}

    def lost(count: int) -> None:
        for file in tables:
            table = pd.read_csv(run / file)
            gone = table["name"].isin(read_run(run).images["name"][:count])
            old = r"D:\photos\0.png"
            table.assign(path=table["path"].mask(gone, old)).to_csv(run / file, index=False)

    yield lost
    for file, content in tables.items():
        (run / file).write_bytes(content)


def test_a_report_of_which_most_images_are_gone_is_refused(
    run: Path, lose: Callable[[int], None], images_folder: Path, tmp_path: Path
) -> None:
    whole = write_report(run).read_bytes()
    lose(7)
    with pytest.raises(InputError, match=r"7 of 12 images .*'D:.*give `images`"):
        write_report(run)
    assert (run / "report.html").read_bytes() == whole
    moved = shutil.copytree(images_folder, tmp_path / "moved")
    assert len(Page(write_report(run, moved).read_text(encoding="utf-8")).all("img")) > 10
    result = call("report", run)
    assert result.exit_code == 2
    assert "give --images, the folder where they are now" in result.stderr
    assert succeed("report", run, "--images", moved).startswith("see ")
    with pytest.raises(InputError, match=r"one given is called '000', one of the run 'good/000'"):
        write_report(run, images_folder / "good")
    for file in sorted(moved.rglob("*.png"))[2:]:
        file.unlink()
    lose(12)
    with pytest.raises(InputError, match="10 of 12 images"):
        write_report(run, moved)


def test_a_report_of_which_few_images_are_gone_says_so(
    run: Path, lose: Callable[[int], None]
) -> None:
    lose(6)
    assert "pictures are missing" in page_of(run).words


def test_images_in_memory_leave_a_report_without_pictures(
    tiny: Path, tmp_path: Path, images_folder: Path
) -> None:
    pixels = [read_image(path) for path in sorted(images_folder.rglob("*.png"))]
    discover_run(AnomalyNCD(3, backbone="tiny", weights=tiny), pixels, tmp_path / "run")
    page = page_of(tmp_path / "run")
    assert page.all("img") == []
    assert "pictures are missing" in page.words


def test_unseen_and_unsure_images_come_with_reasons(run: Path, tmp_path: Path) -> None:
    changed = tmp_path / "run"
    shutil.copytree(run, changed)
    images = pd.read_csv(changed / "images.csv")
    images[["unseen", "unsure"]] = False
    images.loc[[1, 2], "unseen"] = True
    images.loc[[3, 4], "unsure"] = True
    images.loc[1:4, "novelty"] = [0.97, 0.99, 0.5, 0.5]
    images.loc[1:4, "confidence"] = [0.9, 0.8, 0.4, 0.3]
    images.loc[1:4, ["p_0", "p_1", "p_2"]] = [0.1, 0.6, 0.3]
    images.to_csv(changed / "images.csv", index=False)
    reasons = doubtful_images(read_run(changed))
    assert list(reasons) == [images["name"][index] for index in (2, 1, 4, 3)]
    assert list(reasons.values()) == [
        "unseen: more unusual than 99 % of the known regions; most like class 1 (probability 0.60)",
        "unseen: more unusual than 97 % of the known regions; most like class 1 (probability 0.60)",
        "unsure: between class 1 (probability 0.60) and class 2 (0.30)",
        "unsure: between class 1 (probability 0.60) and class 2 (0.30)",
    ]
    page = page_of(changed)
    assert all(reason in page.words for reason in reasons.values())
    # What is unseen has no confidence in a class.
    titles = [link["title"] for link in page.all("a") if "title" in link]
    assert f"{images['name'][2]}: unseen" in titles
    assert "2 images are unlike all others (unseen), and 2 between classes (unsure)" in page.words


def test_cards_show_each_class_once(run: Path) -> None:
    opened = read_run(run)
    cards = class_cards(opened)
    assert sorted(card.index for card in cards) == [1, 2]
    for card in cards:
        typical = opened.regions.loc[card.typical]
        assert (typical["class"] == card.index).all()
        assert typical["name"].is_unique
        assert typical[f"p_{card.index}"].is_monotonic_decreasing
        assert set(card.second_classes) == set(card.uncertain)
        assert card.name not in card.second_classes.values()
        assert 1 <= card.positions.max() <= card.n_regions


def test_classes_that_are_no_defect_count_as_normal(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    images = read_run(tmp_path / "run").images
    assert set(images["class"]) >= {0, 1, 2}
    read_run(tmp_path / "run").labels.edit(1, kind="not a defect")
    correct_run(tmp_path / "run")
    images = read_run(tmp_path / "run").images
    n_normal = int(images["normal"].sum())
    assert n_normal > (images["class"] == 0).sum()
    page = page_of(tmp_path / "run")
    assert "into 1 kind of defects" in page.words
    assert f"All {n_normal} normal images" in page.words
    assert "The first" not in page.words
    assert sorted(images_by_class(read_run(tmp_path / "run"))) == [0, 2]


def test_uncertain_regions_have_a_small_lead_over_another_class(run: Path) -> None:
    opened = read_run(run)
    regions = opened.regions.head(4).assign(
        **{"found": True, "class": 1, "p_0": [0.1, 0.0, 0.35, 0.2], "p_1": [0.6, 0.8, 0.45, 0.8]}
    )
    regions["p_2"] = 1 - regions["p_0"] - regions["p_1"]
    cards = {card.index: card for card in class_cards(replace(opened, regions=regions))}
    assert cards[1].uncertain == [2, 0]
    assert cards[1].second_classes == {2: "normal", 0: "class 2"}
    assert cards[1].typical[0] == 1
    assert (cards[2].typical, cards[2].uncertain) == ([], [])


def test_composite_images_have_several_classes(run: Path) -> None:
    opened = read_run(run)
    regions = opened.regions.head(3).assign(
        name="a", found=True, normal=[False, False, True], class_name=["x", "y", "normal"]
    )
    assert composite_images(replace(opened, regions=regions)) == {"a": ["x", "y"]}
    assert composite_images(replace(opened, regions=regions.iloc[1:])) == {}


def test_normal_images_are_ordered_by_score(run: Path) -> None:
    opened = read_run(run)
    images = opened.images.assign(normal=[True, False] * 6, score=np.linspace(1, 0, 12))
    names = normal_images(replace(opened, images=images))
    assert names == list(images["name"])[::2][::-1]
    assert normal_images(replace(opened, images=images.assign(normal=False))) == []


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("given", "Masks of the foreground were given. It covers 10 % to 50 % of an image"),
        ("backbone", "The backbone separated the product"),
        ("grounded-sam", "Grounding DINO and SAM were asked for."),
        ("none", "whole images are foreground"),
    ],
)
def test_source_of_the_foreground_is_named(run: Path, source: str, sentence: str) -> None:
    opened = read_run(run)
    numbers = {"n_images": 12, "n_whole": 2, "shares": [0.1, 0.3, 0.5]}
    record = {"foreground": {"source": source, "reason": "asked for", **numbers}}
    line = foreground_line(replace(opened, record=record))
    assert sentence in line
    assert line.endswith("2 of 12 images are foreground as a whole.")
    assert foreground_line(replace(opened, record={})) == ""
    # The run has no masks.
    assert foreground_images(replace(opened, record=record)) == {}


def columns() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 60
    classes = rng.integers(0, 3, n)
    return pd.DataFrame(
        {
            "name": [f"{i}" for i in range(n)],
            "class": classes,
            "normal": classes == 0,
            "p_0": 1.0,
            "area_0": 0,
            "label": "x",
            "lot": [f"L{i % 4}" for i in range(n)],
            "serial": [f"{i}" for i in range(n)],
            "time": pd.date_range("2026-01-01", periods=n, freq="D").astype(str),
        }
    )


def test_background_is_darkened(run: Path, tmp_path: Path) -> None:
    left = np.zeros((72, 96), np.uint8)
    left[:, :48] = 255
    (tmp_path / "foreground" / "good").mkdir(parents=True)
    Image.fromarray(left).save(tmp_path / "foreground" / "good" / "000.png")
    opened = replace(read_run(run), folder=tmp_path)
    uri = foreground_pictures(opened, ["good/000"])["good/000"]
    picture = Image.open(BytesIO(b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape == (180, 240, 3)
    assert pixels[:, :115].mean() == pytest.approx(120, abs=5)
    tint = pixels[:, 125:].mean((0, 1))
    assert tint == pytest.approx([40 + 50, 40, 40 + 60], abs=5)


def test_columns_of_the_manifest_make_charts() -> None:
    table = columns()
    assert columns_of_images(table) == ["lot", "serial", "time"]
    charts = dict(pareto_charts(table))
    assert list(charts) == ["lot"]  # A serial number groups nothing.
    assert all(f"L{i}" in charts["lot"] for i in range(4))
    trend = trend_chart(table, {0: "normal", 1: "scratch", 2: "dent"})
    assert trend is not None
    assert trend[0] == "time"
    assert "scratch" in trend[1]


def test_dotted_dates_begin_with_the_day() -> None:
    days = [f"{day:02}.04.2026" for day in range(1, 31)] * 2
    trend = trend_chart(columns().assign(time=days), {0: "normal", 1: "scratch", 2: "dent"})
    assert trend is not None
    assert "04-" in trend[1]
    assert "01-" not in trend[1]


def test_without_times_there_is_no_trend() -> None:
    assert trend_chart(columns().assign(time="yesterday"), {0: "normal", 1: "a", 2: "b"}) is None


def test_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run\.json"):
        write_report(tmp_path)
