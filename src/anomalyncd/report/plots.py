"""Plots as inline SVG, coloured by the page's style sheet so that they follow light and dark.

Every plot has a viewBox and no size of its own: the page decides how wide it is. Colours are
the classes `k0`, `k1`, ... of the style sheet.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from anomalyncd.report.axes import (
    WIDTH,
    Plot,
    as_svg,
    round_ticks,
    shorten,
)

N_COLOURS = 9
"""Colours of classes, the normal one's first; further classes take them again."""
_ONE_PART = 0.3
"""Height of a bar of one image on a logarithmic axis, in powers of ten."""


def colour(index: int) -> str:
    """Style-sheet class of the colour of class `index`."""
    return "k0" if index == 0 else f"k{(index - 1) % (N_COLOURS - 1) + 1}"


def bars(rows: Sequence[tuple[str, Sequence[tuple[int, float]]]], title: str) -> str:
    """Horizontal bars, stacked by class.

    Args:
        rows: Label, and for each piece of the bar its class and length.
        title: For those who cannot see it.
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
    """Histogram of scores between 0 and 1, groups on top of each other.

    Args:
        groups: Name, class whose colour it takes, and values of each group.
        title: For those who cannot see it.
    """
    edges = np.linspace(0, 1, 33)
    counts = np.array([np.histogram(np.clip(v, 0, 1), edges)[0] for _, _, v in groups])
    plot = Plot(
        (0, 1), (0, max(1, counts.sum(0).max())), "anomaly score", "images", height=240, counts=True
    )
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
    mark: tuple[float, str],
    title: str,
) -> str:
    """Histogram over any range with logarithmic counts, groups side by side in each span.

    Args:
        groups: Name, class whose colour it takes, and values of each group.
        edges: Ends of the spans, ascending, all equally wide.
        x_label: What runs to the right.
        mark: Position and label of an upright line.
        title: For those who cannot see it.
    """
    counts = [np.histogram(values, edges)[0] for _, _, values in groups]
    most = max(int(count.max()) for count in counts)
    height = np.log10(max(most, 1)) + _ONE_PART
    plot = Plot((edges[0], edges[-1]), (0, 1.12 * height), x_label, "images", height=260)
    ticks = [one * 10**power for power in range(7) for one in (1, 2, 5)]
    plot.y_names = [(np.log10(one) + _ONE_PART, str(one)) for one in ticks if one <= most]
    step = (edges[1] - edges[0]) / len(groups)
    for place, ((_, index, _), count) in enumerate(zip(groups, counts, strict=True)):
        for start, number in zip(edges[:-1] + place * step, count, strict=True):
            if number:
                plot.box(start, start + step, 0, np.log10(number) + _ONE_PART, colour(index))
    plot.mark(*mark)
    return plot.svg(title, [(name, colour(index)) for name, index, _ in groups])


def count_curve(counts: NDArray[np.int64], chosen: int | None, title: str) -> str:
    """MEBin's number of regions at every threshold.

    Args:
        counts: (n_thresholds,), highest threshold first.
        chosen: Index of the threshold that was taken; None where none is stable.
        title: For those who cannot see it.
    """
    plot = Plot(
        (0, len(counts) - 1), (0, max(1, int(counts.max()))), "threshold, high to low",
        "regions", height=200, x_ticks=[], counts=True,
    )  # fmt: skip
    steps = [(x + dx, y) for x, y in enumerate(counts) for dx in (-0.5, 0.5)]
    plot.line(steps, "stroke")
    if chosen is not None:
        plot.mark(chosen, f"chosen: {int(counts[chosen])}")
    return plot.svg(title)


def scatter(
    points: NDArray[np.float64], classes: NDArray[np.int64], names: Sequence[str], title: str
) -> str:
    """Points in the plane, coloured by class and labelled where each class is.

    Args:
        points: (N, 2), any scale.
        classes: (N,), class of each.
        names: Of the classes.
        title: For those who cannot see it.
    """
    height, edge = 440, 14
    low, span = points.min(0), np.maximum(np.ptp(points, axis=0), 1e-9)
    placed = (points - low) / span * (WIDTH - 2 * edge, height - 2 * edge) + edge
    radius = float(np.clip(60 / np.sqrt(len(points)), 2.2, 4.5))
    marks = [
        f'<circle class="{colour(int(c))}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
        for (x, y), c in zip(placed, classes, strict=True)
    ]
    for index in np.unique(classes):
        x, y = np.median(placed[classes == index], axis=0)
        x = min(max(x, 50), WIDTH - 50)
        marks.append(
            f'<text class="tag" x="{x:.0f}" y="{y:.0f}" text-anchor="middle">'
            f"{escape(shorten(names[index]))}</text>"
        )
    return as_svg("".join(marks), WIDTH, height, title, "points")


def heat_map(grid: NDArray[np.float64], title: str) -> str:
    """Where on the image something lies.

    Args:
        grid: (rows, columns), not negative; darkest is the largest.
        title: For those who cannot see it.
    """
    rows, columns = grid.shape
    strength = grid / max(float(grid.max()), 1e-9)
    cells = [
        f'<rect x="{x}" y="{y}" width="1" height="1" fill-opacity="{strength[y, x]:.2f}"/>'
        for y in range(rows)
        for x in range(columns)
        if strength[y, x] > 0.02
    ]
    frame = f'<rect class="frame" width="{columns}" height="{rows}"/>'
    return as_svg(frame + "".join(cells), columns, rows, title, "heat")


def curves(
    lines: Sequence[tuple[str, int, Sequence[tuple[float, float]]]],
    x_label: str,
    y_label: str,
    title: str,
    x_names: Sequence[str] = (),
    mark: tuple[float, str] | None = None,
    band: tuple[float, float] | None = None,
) -> str:
    """Lines over a common axis.

    Args:
        lines: Name, class whose colour it takes, and points (x, y) of each.
        x_label: What runs to the right.
        y_label: What runs up.
        title: For those who cannot see it.
        x_names: Names of x = 0, 1, ...; numbers where there are none.
        mark: Position and label of an upright line.
        band: Ends of a span behind the lines.
    """
    points = np.array([point for _, _, line in lines for point in line])
    x_range = (float(points[:, 0].min()), float(max(points[:, 0].max(), points[:, 0].min() + 1e-9)))
    plot = Plot(x_range, (0, max(float(points[:, 1].max()), 1e-9)), x_label, y_label, height=250)
    plot.x_ticks = round_ticks(*x_range, whole=not (points[:, 0] % 1).any())
    plot.x_names = list(x_names)
    if band:
        plot.box(*band, *plot.y_range, "band")
    for _, index, line in lines:
        plot.line(line, f"stroke s{colour(index)}")
    if mark:
        plot.mark(*mark)
    return plot.svg(title, [(name, colour(index)) for name, index, _ in lines if name])
