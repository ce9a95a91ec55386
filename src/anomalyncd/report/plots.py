"""Plots as inline SVG, coloured by the page's style sheet so that they follow light and dark.

Every plot has a viewBox and no size of its own: the page decides how wide it is. Colours are
the classes `k0`, `k1`, ... of the style sheet.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

N_COLOURS = 9
"""Colours of classes, the normal one's first; further classes take them again."""
_WIDTH = 640
_LEGEND_COLUMNS = 3


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
    scale = (_WIDTH - left - 90) / max([*totals, 1e-9])
    marks = []
    for row, ((label, pieces), total) in enumerate(zip(rows, totals, strict=True)):
        y, x = row * step + 4, float(left)
        marks.append(
            f'<text x="{left - 10}" y="{y + 13}" text-anchor="end">{escape(_short(label))}</text>'
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
    return _svg("".join(marks), _WIDTH, len(rows) * step + 6, title)


def histogram(groups: Sequence[tuple[str, int, NDArray[np.float64]]], title: str) -> str:
    """Histogram of scores between 0 and 1, groups on top of each other.

    Args:
        groups: Name, class whose colour it takes, and values of each group.
        title: For those who cannot see it.
    """
    edges = np.linspace(0, 1, 33)
    counts = np.array([np.histogram(np.clip(v, 0, 1), edges)[0] for _, _, v in groups])
    plot = _Plot(
        (0, 1), (0, max(1, counts.sum(0).max())), "anomaly score", "parts", height=240, counts=True
    )
    base = np.zeros(len(edges) - 1)
    for (_, index, _), count in zip(groups, counts, strict=True):
        for start, stop, low, number in zip(edges, edges[1:], base, count, strict=False):
            if number:
                plot.box(start, stop, low, low + number, colour(index))
        base = base + count
    return plot.svg(title, [(name, colour(index)) for name, index, _ in groups])


def count_curve(counts: NDArray[np.int64], chosen: int | None, title: str) -> str:
    """MEBin's number of regions at every threshold.

    Args:
        counts: (n_thresholds,), highest threshold first.
        chosen: Index of the threshold that was taken; None where none is stable.
        title: For those who cannot see it.
    """
    plot = _Plot(
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
    placed = (points - low) / span * (_WIDTH - 2 * edge, height - 2 * edge) + edge
    radius = float(np.clip(60 / np.sqrt(len(points)), 2.2, 4.5))
    marks = [
        f'<circle class="{colour(int(c))}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
        for (x, y), c in zip(placed, classes, strict=True)
    ]
    for index in np.unique(classes):
        x, y = np.median(placed[classes == index], axis=0)
        x = min(max(x, 50), _WIDTH - 50)
        marks.append(
            f'<text class="tag" x="{x:.0f}" y="{y:.0f}" text-anchor="middle">'
            f"{escape(_short(names[index]))}</text>"
        )
    return _svg("".join(marks), _WIDTH, height, title, "points")


def heat_map(grid: NDArray[np.float64], title: str) -> str:
    """Where on the part something lies.

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
    return _svg(frame + "".join(cells), columns, rows, title, "heat")


def curves(
    lines: Sequence[tuple[str, int, Sequence[tuple[float, float]]]],
    x_label: str,
    y_label: str,
    title: str,
    x_names: Sequence[str] = (),
    mark: tuple[float, str] | None = None,
) -> str:
    """Lines over a common axis.

    Args:
        lines: Name, class whose colour it takes, and points (x, y) of each.
        x_label: What runs to the right.
        y_label: What runs up.
        title: For those who cannot see it.
        x_names: Names of x = 0, 1, ...; numbers where there are none.
        mark: Position and label of an upright line.
    """
    points = np.array([point for _, _, line in lines for point in line])
    x_range = (float(points[:, 0].min()), float(max(points[:, 0].max(), points[:, 0].min() + 1e-9)))
    plot = _Plot(x_range, (0, max(float(points[:, 1].max()), 1e-9)), x_label, y_label, height=250)
    plot.x_names = list(x_names)
    for _, index, line in lines:
        plot.line(line, f"stroke s{colour(index)}")
    if mark:
        plot.mark(*mark)
    return plot.svg(title, [(name, colour(index)) for name, index, _ in lines if name])


class _Plot:
    """Axes, ticks and marks in data coordinates."""

    def __init__(
        self,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        x_label: str,
        y_label: str,
        height: int,
        x_ticks: list[float] | None = None,
        counts: bool = False,
    ) -> None:
        self.x_range, self.y_range, self.height = x_range, y_range, height
        self.x_label, self.y_label = x_label, y_label
        self.x_ticks, self.counts = x_ticks, counts
        self.x_names: list[str] = []
        self.marks: list[str] = []

    def _x(self, value: float) -> float:
        low, high = self.x_range
        return 58 + (value - low) / max(high - low, 1e-9) * (_WIDTH - 78)

    def _y(self, value: float) -> float:
        low, high = self.y_range
        bottom = self.height - 46
        return bottom - (value - low) / max(high - low, 1e-9) * (bottom - 26)

    def box(self, left: float, right: float, low: float, high: float, style: str) -> None:
        x, y = self._x(left), self._y(high)
        width, height = self._x(right) - x - 1, self._y(low) - y
        self.marks.append(
            f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}"/>'
        )

    def line(self, points: Sequence[tuple[float, float]], style: str) -> None:
        path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)
        self.marks.append(f'<polyline class="{style}" points="{path}"/>')

    def mark(self, value: float, label: str) -> None:
        x = self._x(value)
        anchor = "end" if x > _WIDTH / 2 else "start"
        shift = -6 if x > _WIDTH / 2 else 6
        self.marks.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="22" y2="{self.height - 46}"/>'
            f'<text x="{x + shift:.1f}" y="34" text-anchor="{anchor}">{escape(label)}</text>'
        )

    def svg(self, title: str, legend: Sequence[tuple[str, str]] = ()) -> str:
        """The whole plot; a legend stands above it."""
        bottom = self.height - 46
        axes = [f'<line class="axis" x1="58" x2="{_WIDTH - 20}" y1="{bottom}" y2="{bottom}"/>']
        for value in _ticks(*self.y_range, self.counts):
            y = self._y(value)
            axes.append(
                f'<line class="grid" x1="58" x2="{_WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="soft" x="50" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
            )
        for value, name in self._x_labels():
            axes.append(
                f'<text class="soft" x="{self._x(value):.1f}" y="{bottom + 18}" '
                f'text-anchor="middle">{escape(name)}</text>'
            )
        axes.append(
            f'<text x="{_WIDTH - 20}" y="{self.height - 8}" text-anchor="end">'
            f'{escape(self.x_label)}</text><text x="8" y="14">{escape(self.y_label)}</text>'
        )
        above = [
            f'<rect class="{style}" x="{x}" y="{y}" width="11" height="11" rx="2"/>'
            f'<text x="{x + 17}" y="{y + 10}">{escape(_short(name))}</text>'
            for (name, style), (x, y) in zip(legend, _legend_places(len(legend)), strict=True)
        ]
        lower = 18 * (max(len(legend) - 1, 0) // _LEGEND_COLUMNS)
        body = f'<g transform="translate(0,{lower})">{"".join(axes + self.marks)}</g>'
        return _svg("".join(above) + body, _WIDTH, self.height + lower, title)

    def _x_labels(self) -> list[tuple[float, str]]:
        if self.x_names:
            step = -(-len(self.x_names) // 7)
            return [(i, n) for i, n in enumerate(self.x_names) if i % step == 0]
        ticks = _ticks(*self.x_range) if self.x_ticks is None else self.x_ticks
        return [(value, f"{value:g}") for value in ticks]


def _legend_places(count: int) -> list[tuple[int, int]]:
    """Left upper corners of the entries of a legend, row by row beside the label of the axis."""
    return [
        (150 + 160 * (index % _LEGEND_COLUMNS), 4 + 18 * (index // _LEGEND_COLUMNS))
        for index in range(count)
    ]


def _ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """About five round numbers between two."""
    raw = max((high - low) / 4, 1.0 if whole else 1e-9)
    power = 10 ** np.floor(np.log10(raw))
    step = float(power * next(f for f in (1, 2, 2.5, 5, 10) if f * power >= raw * (1 - 1e-9)))
    first = np.ceil(low / step - 1e-9) * step
    return [round(float(v), 10) + 0.0 for v in np.arange(first, high + step * 1e-6, step)]


def _short(text: str, most: int = 22) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _svg(body: str, width: int, height: int, title: str, style: str = "plot") -> str:
    return (
        f'<svg class="{style}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title, quote=True)}" '
        f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )
