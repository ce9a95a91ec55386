"""Axes, ticks and legends of a plot as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH = 640
"""Width of a plot, in units of its viewBox."""
_LEGEND_COLUMNS = 3


@dataclass(frozen=True)
class Axis:
    """One axis of a plot."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]] | None = None
    """Places and their names; None chooses round numbers."""
    whole: bool = False
    """Whether the round numbers are whole."""

    def part(self, value: float) -> float:
        """Returns where a value lies on the axis, 0 at its lower and 1 at its upper end."""
        return (value - self.low) / max(self.high - self.low, 1e-9)

    def labels(self) -> Sequence[tuple[float, str]]:
        """Returns the places of the ticks and their names."""
        if self.ticks is not None:
            return self.ticks
        return [(tick, f"{tick:g}") for tick in round_ticks(self.low, self.high, self.whole)]


@dataclass(frozen=True)
class Mark:
    """A vertical line with a label."""

    place: float
    label: str
    span: tuple[float, float] | None = None
    """Ends of a shaded span behind the curves."""


class Plot:
    """Axes, ticks and marks in data coordinates.

    Args:
        x: The horizontal axis.
        y: The vertical axis.
        height: Height of the viewBox.
    """

    def __init__(self, x: Axis, y: Axis, height: int) -> None:
        self.x, self.y, self.height = x, y, height
        self.marks: list[str] = []

    def _x(self, value: float) -> float:
        return 58 + self.x.part(value) * (WIDTH - 78)

    def _y(self, value: float) -> float:
        bottom = self.height - 46
        return bottom - self.y.part(value) * (bottom - 26)

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

    def mark(self, mark: Mark) -> None:
        """Adds a vertical line with a label, and its span if it has one."""
        if mark.span:
            self.box(*mark.span, self.y.low, self.y.high, "band")
        x = self._x(mark.place)
        anchor = "end" if x > WIDTH / 2 else "start"
        shift = -6 if x > WIDTH / 2 else 6
        self.marks.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="22" y2="{self.height - 46}"/>'
            f'<text x="{x + shift:.1f}" y="34" text-anchor="{anchor}">{escape(mark.label)}</text>'
        )

    def svg(self, title: str, legend: Sequence[tuple[str, str]] = ()) -> str:
        """Returns the plot as an SVG element, with a legend above it."""
        bottom = self.height - 46
        axes = [f'<line class="axis" x1="58" x2="{WIDTH - 20}" y1="{bottom}" y2="{bottom}"/>']
        for value, name in self.y.labels():
            y = self._y(value)
            axes.append(
                f'<line class="grid" x1="58" x2="{WIDTH - 20}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="soft" x="50" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>'
            )
        for value, name in self.x.labels():
            axes.append(
                f'<text class="soft" x="{self._x(value):.1f}" y="{bottom + 18}" '
                f'text-anchor="middle">{escape(name)}</text>'
            )
        axes.append(
            f'<text x="{WIDTH - 20}" y="{self.height - 8}" text-anchor="end">'
            f'{escape(self.x.label)}</text><text x="8" y="14">{escape(self.y.label)}</text>'
        )
        above = [
            f'<rect class="{style}" x="{x}" y="{y}" width="11" height="11" rx="2"/>'
            f'<text x="{x + 17}" y="{y + 10}">{escape(shorten(name))}</text>'
            for (name, style), (x, y) in zip(legend, _legend_places(len(legend)), strict=True)
        ]
        lower = 18 * (max(len(legend) - 1, 0) // _LEGEND_COLUMNS)
        body = f'<g transform="translate(0,{lower})">{"".join(axes + self.marks)}</g>'
        return as_svg("".join(above) + body, WIDTH, self.height + lower, title)


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
