"""Scores of methods side by side: a dot for each, with the spread over seeds."""

from collections.abc import Sequence
from html import escape

from anomalyncd.report.axes import (
    WIDTH,
    as_svg,
    round_ticks,
    shorten,
)
from anomalyncd.report.plots import colour

_LEFT, _RIGHT, _TOP, _STEP = 190, 20, 34, 30
_COLOURS = (2, 3, 1)


def dots(
    rows: Sequence[tuple[str, Sequence[tuple[float, float]]]], names: Sequence[str], title: str
) -> str:
    """A row of dots a method, on one axis from 0 (or the lowest value below it) to 1.

    Args:
        rows: Label, and for each score its mean and its standard deviation.
        names: Of the scores.
        title: For those who cannot see it.
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
