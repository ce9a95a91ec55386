"""Plots are well-formed SVG, whatever the numbers and names."""

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyncd.discovery.class_number import ClassNumber
from anomalyncd.report import plots
from anomalyncd.report.class_number_page import class_number_plot

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
def test_histogram_holds_every_value(one: list[float], other: list[float]) -> None:
    groups = [("one", 0, np.array(one)), ("other", 1, np.array(other))]
    root = parsed(plots.histogram(groups, "title"))
    bars = [float(box.attrib["height"]) for box in root.findall(".//{*}g/{*}rect")]
    counts = np.array([np.histogram(v, np.linspace(0, 1, 33))[0] for _, _, v in groups])
    unit = 168 / max(1, counts.sum(0).max())  # Height of the axis over its highest count.
    assert sum(bars) == pytest.approx(unit * (len(one) + len(other)), abs=0.06 * len(bars))


@given(st.lists(st.floats(-2, 3), min_size=1, max_size=30))
def test_logarithmic_histogram_has_a_bar_for_each_span(values: list[float]) -> None:
    groups = [("one", 0, np.array(values)), ("none", 1, np.zeros(0))]
    edges = np.linspace(-2, 3, 9)
    root = parsed(plots.log_histogram(groups, edges, "score", (1, "floor"), "title"))
    counts = np.histogram(values, edges)[0]
    heights = [float(box.attrib["height"]) for box in root.findall(".//{*}g/{*}rect")]
    assert len(heights) == np.count_nonzero(counts)
    tallest = np.log10(counts.max()) + plots._ONE_PART
    expected = (np.log10(counts[counts > 0]) + plots._ONE_PART) / tallest * max(heights)
    assert heights == pytest.approx(expected, abs=0.2)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=64))
def test_count_curve(counts: list[int]) -> None:
    parsed(plots.count_curve(np.array(counts), len(counts) // 2, "title"))
    parsed(plots.count_curve(np.array(counts), None, "title"))


def test_scatter_of_points_in_one_place() -> None:
    root = parsed(plots.scatter(np.zeros((3, 2)), np.array([0, 1, 1]), ["<a>", "b&"], "t"))
    assert len(root.findall(".//{*}circle")) == 3
    assert [text.text for text in root.findall(".//{*}text")] == ["<a>", "b&"]


def test_heat_map_draws_what_is_there() -> None:
    grid = np.zeros((4, 6))
    assert len(parsed(plots.heat_map(grid, "t"))) == 1  # The frame.
    grid[1, 2] = 3
    assert parsed(plots.heat_map(grid, "t"))[1].attrib["fill-opacity"] == "1.00"


def test_curves_of_one_point() -> None:
    parsed(plots.curves([("a", 1, [(0.5, 0.0)])], "x", "y", "t", mark=(0.5, "here")))


def test_class_number_shows_estimate_interval_and_every_criterion() -> None:
    criteria = {"one": (0.1, 0.5, 0.3), "other": (2.0, 2.0, 2.0)}
    counted = ClassNumber(4, 3, 5, (3, 4, 5), criteria, {"one": 4, "other": 3})
    drawn = class_number_plot(counted)
    assert drawn is not None
    root = parsed(drawn)
    assert len(root.findall(".//{*}polyline")) == 2
    assert len(root.findall(".//{*}rect[@class='band']")) == 1
    assert root.attrib["aria-label"] == "Number of classes: 4 classes (likely 3 to 5)"
    assert class_number_plot(ClassNumber(2, 2, 2, (), {}, {})) is None
