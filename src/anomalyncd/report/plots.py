"""Plots as inline SVG.

A plot has a viewBox and no size: the page decides how wide it is. Its colours are the classes `k0`,
`k1`, ... of the style sheet, which has a light and a dark scheme.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from anomalyncd.report.axes import WIDTH, Axis, Mark, Plot, as_svg, round_ticks, shorten

N_COLOURS = 9
"""Number of colours, that of the normal class first; further classes repeat the others."""
_ONE_IMAGE = 0.3
"""Height of the bar of a single image on a logarithmic axis, in powers of ten."""


def colour(index: int) -> str:
    """Returns the style-sheet class of the colour of a class."""
    return "k0" if index == 0 else f"k{(index - 1) % (N_COLOURS - 1) + 1}"


def bars(rows: Sequence[tuple[str, Sequence[tuple[int, float]]]], title: str) -> str:
    """Draws horizontal bars, stacked by class.

    Args:
        rows: For each bar its label, and the class and length of each of its pieces.
        title: Description for screen readers.
    """
    left, bar, step = 168, 16, 26
    totals = [sum(length for _, length in pieces) for _, pieces in rows]
    scale = (WIDTH - left - 90) / max([*totals, 1e-9])
    marks = []
    for row, ((label, pieces), total) in enumerate(zip(rows, totals, strict=True)):
        y, x = row * step + 4, float(left)
        marks.append(
            f'<text x="{left - 10}" y="{y + 13}" text-anchor="end">{escape(shorten(label))}</text>'
        )
        for index, length in pieces:
            if length > 0:
                width = length * scale
                marks.append(
                    f'<rect class="{colour(index)}" x="{x:.1f}" y="{y}" width="{width:.1f}" '
                    f'height="{bar}" rx="1.5"/>'
                )
                x += width
        marks.append(f'<text class="soft" x="{x + 8:.1f}" y="{y + 13}">{total:g}</text>')
    return as_svg("".join(marks), WIDTH, len(rows) * step + 6, title)


def histogram(groups: Sequence[tuple[str, int, NDArray[np.float64]]], title: str) -> str:
    """Draws a histogram of scores between 0 and 1, with groups stacked.

    Args:
        groups: Name, class that gives the colour, and values of each group.
        title: Description for screen readers.
    """
    edges = np.linspace(0, 1, 33)
    counts = np.array([np.histogram(np.clip(v, 0, 1), edges)[0] for _, _, v in groups])
    most = max(1, int(counts.sum(0).max()))
    plot = Plot(Axis("anomaly score", 0, 1), Axis("images", 0, most, whole=True), height=240)
    base = np.zeros(len(edges) - 1)
    for (_, index, _), count in zip(groups, counts, strict=True):
        for start, stop, low, number in zip(edges, edges[1:], base, count, strict=False):
            if number:
                plot.box(start, stop, low, low + number, colour(index))
        base = base + count
    return plot.svg(title, [(name, colour(index)) for name, index, _ in groups])


def log_histogram(
    groups: Sequence[tuple[str, int, NDArray[np.float64]]],
    edges: NDArray[np.float64],
    x_label: str,
    mark: Mark,
    title: str,
) -> str:
    """Draws a histogram with logarithmic counts, with groups side by side in each bin.

    Args:
        groups: Name, class that gives the colour, and values of each group.
        edges: Edges of bins of equal width, ascending.
        x_label: Label of the horizontal axis.
        mark: A vertical line.
        title: Description for screen readers.
    """
    counts = [np.histogram(values, edges)[0] for _, _, values in groups]
    most = max(int(count.max()) for count in counts)
    height = np.log10(max(most, 1)) + _ONE_IMAGE
    ticks = [digit * 10**power for power in range(7) for digit in (1, 2, 5)]
    names = [(np.log10(tick) + _ONE_IMAGE, str(tick)) for tick in ticks if tick <= most]
    y = Axis("images", 0, 1.12 * height, names)
    plot = Plot(Axis(x_label, edges[0], edges[-1]), y, height=260)
    step = (edges[1] - edges[0]) / len(groups)
    for place, ((_, index, _), count) in enumerate(zip(groups, counts, strict=True)):
        for start, number in zip(edges[:-1] + place * step, count, strict=True):
            if number:
                plot.box(start, start + step, 0, np.log10(number) + _ONE_IMAGE, colour(index))
    plot.mark(mark)
    return plot.svg(title, [(name, colour(index)) for name, index, _ in groups])


def count_curve(counts: NDArray[np.int64], chosen: int | None, title: str) -> str:
    """Draws the number of regions at every threshold of MEBin.

    Args:
        counts: (n_thresholds,), highest threshold first.
        chosen: Index of the selected threshold; None where no number is stable.
        title: Description for screen readers.
    """
    x = Axis("threshold, high to low", 0, len(counts) - 1, ticks=())
    y = Axis("regions", 0, max(1, int(counts.max())), whole=True)
    plot = Plot(x, y, height=200)
    steps = [(x + dx, y) for x, y in enumerate(counts) for dx in (-0.5, 0.5)]
    plot.line(steps, "stroke")
    if chosen is not None:
        plot.mark(Mark(chosen, f"chosen: {int(counts[chosen])}"))
    return plot.svg(title)


def heat_map(grid: NDArray[np.float64], title: str) -> str:
    """Draws a grid of values as squares.

    Args:
        grid: (rows, columns), not negative; the largest value is drawn darkest.
        title: Description for screen readers.
    """
    rows, columns = grid.shape
    strength = grid / max(float(grid.max()), 1e-9)
    squares = [
        f'<rect x="{x}" y="{y}" width="1" height="1" fill-opacity="{strength[y, x]:.2f}"/>'
        for y in range(rows)
        for x in range(columns)
        if strength[y, x] > 0.02
    ]
    frame = f'<rect class="frame" width="{columns}" height="{rows}"/>'
    return as_svg(frame + "".join(squares), columns, rows, title, "heat")


def curves(
    lines: Sequence[tuple[str, int, Sequence[tuple[float, float]]]],
    labels: tuple[str, str],
    title: str,
    x_names: Sequence[str] = (),
    mark: Mark | None = None,
) -> str:
    """Draws lines over a common axis.

    Args:
        lines: Name, class that gives the colour, and points (x, y) of each line.
        labels: Labels of the horizontal and the vertical axis.
        title: Description for screen readers.
        x_names: Names of x = 0, 1, ..., about seven of them are written; numbers if empty.
        mark: A vertical line.
    """
    points = np.array([point for _, _, line in lines for point in line])
    low, high = float(points[:, 0].min()), float(points[:, 0].max())
    step = -(-len(x_names) // 7)
    names = [(x, name) for x, name in enumerate(x_names) if x % step == 0] or None
    x = Axis(labels[0], low, max(high, low + 1e-9), names, whole=not (points[:, 0] % 1).any())
    plot = Plot(x, Axis(labels[1], 0, max(float(points[:, 1].max()), 1e-9)), height=250)
    if mark:
        plot.mark(mark)
    for _, index, line in lines:
        plot.line(line, f"stroke s{colour(index)}")
    return plot.svg(title, [(name, colour(index)) for name, index, _ in lines if name])


_LEFT, _RIGHT, _TOP, _STEP = 190, 20, 34, 30
_COLOURS = (2, 3, 1)


def dots(
    rows: Sequence[tuple[str, Sequence[tuple[float, float]]]], names: Sequence[str], title: str
) -> str:
    """Draws means as dots with bars of one standard deviation, in a row for each method.

    The axis runs from 0, or the lowest end of a bar below 0, to 1.

    Args:
        rows: For each method its label, and the mean and standard deviation of each score.
        names: Names of the scores.
        title: Description for screen readers.
    """
    low = min([0.0, *(mean - std for _, scores in rows for mean, std in scores)])
    bottom = _TOP + _STEP * len(rows)

    def place(value: float) -> float:
        return _LEFT + (value - low) / (1 - low) * (WIDTH - _LEFT - _RIGHT)

    marks = []
    for tick in round_ticks(low, 1):
        x = place(tick)
        marks.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{bottom}"/>'
            f'<text class="soft" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
        )
    for row, (label, scores) in enumerate(rows):
        middle = _TOP + _STEP * row + 11
        marks.append(
            f'<text x="{_LEFT - 12}" y="{middle + 5}" text-anchor="end">'
            f"{escape(shorten(label, 26))}</text>"
        )
        for index, (mean, std) in enumerate(scores):
            style, y = colour(_COLOURS[index % len(_COLOURS)]), middle + 7 * (index - 1)
            ends = f'x1="{place(mean - std):.1f}" x2="{place(min(mean + std, 1)):.1f}"'
            marks.append(
                f'<line class="stroke s{style}" {ends} y1="{y}" y2="{y}"/>'
                f'<circle class="{style}" cx="{place(mean):.1f}" cy="{y}" r="3.4"/>'
            )
    for index, name in enumerate(names):
        style, x = colour(_COLOURS[index % len(_COLOURS)]), _LEFT + 90 * index
        marks.append(
            f'<circle class="{style}" cx="{x + 5}" cy="10" r="5"/>'
            f'<text x="{x + 16}" y="15">{escape(name)}</text>'
        )
    return as_svg("".join(marks), WIDTH, bottom + 24, title)
