"""Axes, ticks and legends of a plot as inline SVG."""

from collections.abc import Sequence
from html import escape

import numpy as np

WIDTH = 640
"""Width of a plot, in units of its viewBox."""
_LEGEND_COLUMNS = 3


class Plot:
    """Axes, ticks and marks in data coordinates.

    Args:
        x_range: Smallest and largest value of the horizontal axis.
        y_range: Smallest and largest value of the vertical axis.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        height: Height of the viewBox.
        x_ticks: Places with a number on the horizontal axis; None chooses round numbers.
        counts: Whether the ticks of the vertical axis are whole numbers.
    """

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
        self.y_names: list[tuple[float, str]] = []
        self.marks: list[str] = []

    def _x(self, value: float) -> float:
        low, high = self.x_range
        return 58 + (value - low) / max(high - low, 1e-9) * (WIDTH - 78)

    def _y(self, value: float) -> float:
        low, high = self.y_range
        bottom = self.height - 46
        return bottom - (value - low) / max(high - low, 1e-9) * (bottom - 26)

    def box(self, left: float, right: float, low: float, high: float, style: str) -> None:
        """Adds a rectangle, slightly narrower than its span so that neighbours do not touch."""
        x, y = self._x(left), self._y(high)
        width, height = self._x(right) - x - 1, self._y(low) - y
        self.marks.append(
            f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}"/>'
        )

    def line(self, points: Sequence[tuple[float, float]], style: str) -> None:
        """Adds a line through points."""
        path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)
        self.marks.append(f'<polyline class="{style}" points="{path}"/>')

    def mark(self, value: float, label: str) -> None:
        """Adds a vertical line with a label."""
        x = self._x(value)
        anchor = "end" if x > WIDTH / 2 else "start"
        shift = -6 if x > WIDTH / 2 else 6
        self.marks.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="22" y2="{self.height - 46}"/>'
            f'<text x="{x + shift:.1f}" y="34" text-anchor="{anchor}">{escape(label)}</text>'
        )

    def svg(self, title: str, legend: Sequence[tuple[str, str]] = ()) -> str:
        """Returns the plot as an SVG element, with a legend above it."""
        bottom = self.height - 46
        axes = [f'<line class="axis" x1="58" x2="{WIDTH - 20}" y1="{bottom}" y2="{bottom}"/>']
        for value, name in self._y_labels():
            y = self._y(value)
            axes.append(
                f'<line class="grid" x1="58" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="soft" x="50" y="{y + 4:.1f}" text-anchor="end">{name}</text>'
            )
        for value, name in self._x_labels():
            axes.append(
                f'<text class="soft" x="{self._x(value):.1f}" y="{bottom + 18}" '
                f'text-anchor="middle">{escape(name)}</text>'
            )
        axes.append(
            f'<text x="{WIDTH - 20}" y="{self.height - 8}" text-anchor="end">'
            f'{escape(self.x_label)}</text><text x="8" y="14">{escape(self.y_label)}</text>'
        )
        above = [
            f'<rect class="{style}" x="{x}" y="{y}" width="11" height="11" rx="2"/>'
            f'<text x="{x + 17}" y="{y + 10}">{escape(shorten(name))}</text>'
            for (name, style), (x, y) in zip(legend, _legend_places(len(legend)), strict=True)
        ]
        lower = 18 * (max(len(legend) - 1, 0) // _LEGEND_COLUMNS)
        body = f'<g transform="translate(0,{lower})">{"".join(axes + self.marks)}</g>'
        return as_svg("".join(above) + body, WIDTH, self.height + lower, title)

    def _x_labels(self) -> list[tuple[float, str]]:
        if self.x_names:
            step = -(-len(self.x_names) // 7)
            return [(i, n) for i, n in enumerate(self.x_names) if i % step == 0]
        ticks = round_ticks(*self.x_range) if self.x_ticks is None else self.x_ticks
        return [(value, f"{value:g}") for value in ticks]

    def _y_labels(self) -> list[tuple[float, str]]:
        if self.y_names:
            return self.y_names
        return [(value, f"{value:g}") for value in round_ticks(*self.y_range, self.counts)]


def _legend_places(count: int) -> list[tuple[int, int]]:
    """Returns the upper left corners of the entries of a legend, row by row."""
    return [
        (150 + 160 * (index % _LEGEND_COLUMNS), 4 + 18 * (index // _LEGEND_COLUMNS))
        for index in range(count)
    ]


def round_ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Returns about five round numbers between two numbers; with `whole` only whole numbers."""
    raw = max((high - low) / 4, 1.0 if whole else 1e-9)
    power = 10 ** np.floor(np.log10(raw))
    factors = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    step = float(power * next(f for f in factors if f * power >= raw * (1 - 1e-9)))
    first = np.ceil(low / step - 1e-9) * step
    return [round(float(v), 10) + 0.0 for v in np.arange(first, high + step * 1e-6, step)]


def shorten(text: str, most: int = 22) -> str:
    """Shortens a text so that it fits beside a plot."""
    return text if len(text) <= most else text[: most - 1] + "…"


def as_svg(body: str, width: int, height: int, title: str, style: str = "plot") -> str:
    """Wraps marks in an SVG element.

    Args:
        body: The marks, in coordinates of the viewBox.
        width: Width of the viewBox.
        height: Height of the viewBox.
        title: Description for screen readers.
        style: Class of the style sheet.
    """
    return (
        f'<svg class="{style}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title, quote=True)}" '
        f'xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )
