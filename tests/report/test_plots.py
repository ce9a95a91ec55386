"""Plots are well-formed SVG, whatever the numbers and names."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyncd.discovery.class_number import ClassNumber
from anomalyncd.report import plots
from anomalyncd.report.axes import Mark, round_ticks, shorten
from anomalyncd.report.page import class_number_plot, write_class_number
from anomalyncd.report.projection import scatter
from support.pages import Page, can_be_read_aloud, is_self_contained

names = st.text(max_size=40).filter(lambda text: all(c.isprintable() for c in text))
numbers = st.floats(0, 1e6)


def parsed(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    assert "nan" not in svg
    assert "inf" not in svg
    return root


@given(st.lists(st.tuples(names, st.lists(st.tuples(st.integers(0, 30), numbers))), max_size=5))
def test_bars(rows: list[tuple[str, list[tuple[int, float]]]]) -> None:
    root = parsed(plots.bars(rows, "title"))
    assert len(root.findall(".//{*}text")) == 2 * len(rows)


@given(st.lists(st.floats(0, 1), max_size=30), st.lists(st.floats(0, 1), max_size=30))
def test_histogram_counts_every_value(first: list[float], second: list[float]) -> None:
    groups = [("first", 0, np.array(first)), ("second", 1, np.array(second))]
    root = parsed(plots.histogram(groups, "title"))
    bars = [float(box.attrib["height"]) for box in root.findall(".//{*}g/{*}rect")]
    counts = np.array([np.histogram(v, np.linspace(0, 1, 33))[0] for _, _, v in groups])
    unit = 168 / max(1, counts.sum(0).max())  # Height of the axis over its highest count.
    assert sum(bars) == pytest.approx(unit * (len(first) + len(second)), abs=0.06 * len(bars))


@given(st.lists(st.floats(-2, 3), min_size=1, max_size=30))
def test_logarithmic_histogram_has_a_bar_for_each_bin(values: list[float]) -> None:
    groups = [("some", 0, np.array(values)), ("none", 1, np.zeros(0))]
    edges = np.linspace(-2, 3, 9)
    root = parsed(plots.log_histogram(groups, edges, "score", Mark(1, "floor"), "title"))
    counts = np.histogram(values, edges)[0]
    heights = [float(box.attrib["height"]) for box in root.findall(".//{*}g/{*}rect")]
    assert len(heights) == np.count_nonzero(counts)
    tallest = np.log10(counts.max()) + plots._ONE_IMAGE
    expected = (np.log10(counts[counts > 0]) + plots._ONE_IMAGE) / tallest * max(heights)
    assert heights == pytest.approx(expected, abs=0.2)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=64))
def test_count_curve(counts: list[int]) -> None:
    chosen = len(counts) // 2
    marked = parsed(plots.count_curve(np.array(counts), chosen, "title"))
    assert f"chosen: {counts[chosen]}" in [text.text for text in marked.iter()]
    unmarked = parsed(plots.count_curve(np.array(counts), None, "title"))
    for root in (marked, unmarked):
        (line,) = root.findall(".//{*}polyline")
        assert len(line.attrib["points"].split()) == 2 * len(counts)
    assert unmarked.findall(".//{*}line[@class='mark']") == []


def test_scatter_of_points_in_one_place() -> None:
    root = parsed(scatter(np.zeros((3, 2)), np.array([0, 1, 1]), {0: "<a>", 1: "b&"}, "t"))
    assert len(root.findall(".//{*}circle")) == 3
    assert [text.text for text in root.findall(".//{*}text")] == ["<a>", "b&"]


def rectangles(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each text; a letter is at most 7 units wide on average."""
    return [
        (x - half, y - 12, x + half, y + 4)
        for text in root.findall(".//{*}text")
        for x, y in [(float(text.attrib["x"]), float(text.attrib["y"]))]
        for half in [3.5 * len(text.text or "")]
    ]


@pytest.mark.parametrize("shape", ["noise", "clusters", "line"])
@pytest.mark.parametrize("n_classes", [1, 4, 20])
def test_names_cover_neither_points_nor_each_other(shape: str, n_classes: int) -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, n_classes, 2000)
    points = {
        "noise": rng.random((2000, 2)),
        "clusters": rng.normal(classes[:, None] % (4, 5), 0.1),
        "line": np.linspace(0, 1, 2000)[:, None] * (1, 1),
    }[shape]
    names = {index: f"a long name of class {index}" for index in range(n_classes)}
    root = parsed(scatter(points, classes, names, "t"))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes = rectangles(root)
    assert len(boxes) == n_classes
    dots = np.array([[float(d.attrib[a]) for a in ("cx", "cy")] for d in root.findall("{*}circle")])
    for index, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert right <= width
        assert top >= 0
        assert bottom <= height
        inside = (dots > (left, top)).all(1) & (dots < (right, bottom)).all(1)
        assert not inside.any()
        for other in boxes[:index]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart


def test_heat_map_draws_a_square_for_each_value() -> None:
    grid = np.zeros((4, 6))
    assert len(parsed(plots.heat_map(grid, "t"))) == 1  # The frame.
    grid[1, 2], grid[3, 0] = 3, 1.5
    _, *squares = parsed(plots.heat_map(grid, "t"))
    drawn = [[square.attrib[name] for name in ("x", "y", "fill-opacity")] for square in squares]
    assert drawn == [["2", "1", "1.00"], ["0", "3", "0.50"]]


def test_curves_of_a_single_point() -> None:
    root = parsed(plots.curves([("a", 1, [(0.5, 0.0)])], ("x", "y"), "t", mark=Mark(0.5, "here")))
    assert "here" in [text.text for text in root.iter()]
    assert len(root.findall(".//{*}polyline")) == 1


def test_dots_lie_between_the_ends_of_their_bars() -> None:
    rows = [("ours", [(0.8, 0.1), (-0.2, 0.1)]), ("theirs", [(0.98, 0.05)])]
    root = parsed(plots.dots(rows, ["NMI", "ARI"], "t"))
    middles = [float(dot.attrib["cx"]) for dot in root.findall(".//{*}circle[@r='3.4']")]
    bars = root.findall(".//{*}line[@x1][@class!='grid']")
    ends = [(float(bar.attrib["x1"]), float(bar.attrib["x2"])) for bar in bars]
    assert len(middles) == len(ends) == 3
    assert all(low < middle < high for middle, (low, high) in zip(middles, ends, strict=True))
    # The axis runs from the lowest end, -0.3, to 1.
    assert ends[1][0] == pytest.approx(190)
    assert middles[0] == pytest.approx(190 + 1.1 / 1.3 * 430, abs=0.1)
    assert ends[2][1] == pytest.approx(620)


def test_class_number_shows_estimate_interval_and_every_criterion() -> None:
    criteria = {"one": (0.1, 0.5, 0.3), "other": (2.0, 2.0, 2.0)}
    number = ClassNumber(4, 3, 5, (3, 4, 5), criteria, {"one": 4, "other": 3})
    drawn = class_number_plot(number)
    assert drawn is not None
    root = parsed(drawn)
    assert len(root.findall(".//{*}polyline")) == 2
    assert len(root.findall(".//{*}rect[@class='band']")) == 1
    assert root.attrib["aria-label"] == "Number of classes: 4 classes (likely 3 to 5)"
    assert class_number_plot(ClassNumber(2, 2, 2, (), {}, {})) is None


def test_page_about_the_number_of_classes(tmp_path: Path) -> None:
    criteria = {"silhouette": (0.1, 0.5, 0.3)}
    number = ClassNumber(4, 3, 5, (3, 4, 5), criteria, {"silhouette": 4})
    text = write_class_number(number, tmp_path / "new").read_text(encoding="utf-8")
    assert is_self_contained(text)
    page = Page(text)
    assert can_be_read_aloud(page)
    assert "silhouette 4." in page.words
    few = write_class_number(ClassNumber(2, 2, 2, (), {}, {}), tmp_path)
    assert "Too few images" in few.read_text(encoding="utf-8")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0), (0, 7), (0.001, 0.002), (0, 12345)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    ticks = round_ticks(low, high)
    assert len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-6 for tick in ticks)


def test_counts_have_whole_ticks() -> None:
    assert round_ticks(0, 1, whole=True) == [0, 1]
    for high in range(2, 60):
        assert all(tick == round(tick) for tick in round_ticks(0, high, whole=True))
    assert round_ticks(0, 10) == [0.0, 2.5, 5.0, 7.5, 10.0]


def test_a_long_name_is_shortened() -> None:
    assert shorten("x" * 22) == "x" * 22
    assert shorten("x" * 23) == "x" * 21 + "…"
