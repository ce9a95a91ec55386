"""Charts of the classes of defects by lot, station or camera, and over time."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from anomalyncd.io.columns import is_result_column
from anomalyncd.report.plots import bars, curves

N_BARS = 15
_MOST_VALUES = 0.5
_TIME_NAMES = ("time", "date", "timestamp", "datetime", "taken")
_N_SPANS = 20


def columns_of_images(images: pd.DataFrame) -> list[str]:
    """Returns the columns of the manifest that say more about images than label, split and mask."""
    known = ("label", "split", "mask")
    columns = [str(column) for column in images]
    return [column for column in columns if not (is_result_column(column) or column in known)]


def pareto_charts(images: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Draws for each column that groups images the values with most defective images.

    Args:
        images: The table of images.

    Yields:
        The name of the column and an SVG element.
    """
    for column in columns_of_images(images):
        values = images[column].astype(str)
        if _is_time(column) or not 2 <= values.nunique() <= _MOST_VALUES * len(images):
            continue
        defective = images[~images["normal"]]
        counts = pd.crosstab(values[defective.index], defective["class"])
        counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
        rows = [
            (str(value), list(zip(map(int, counts.columns), row.tolist(), strict=True)))
            for value, row in zip(counts.index, counts.to_numpy(float), strict=True)
        ]
        if rows:
            yield column, bars(rows[:N_BARS], f"Defective images by {column}")


def trend_chart(images: pd.DataFrame, names: Mapping[int, str]) -> tuple[str, str] | None:
    """Draws the share of each class of defects over time, where a column contains times.

    Args:
        images: The table of images.
        names: Names of the classes by their ids.

    Returns:
        The name of the column and an SVG element; None without such a column.
    """
    for column in filter(_is_time, columns_of_images(images)):
        # "03.04.2026" is the third of April. With slashes it is ambiguous, and pandas takes March.
        dotted = bool(images[column].str.match(r"\d{1,2}\.\d{1,2}\.").any())
        times = pd.to_datetime(
            images[column], errors="coerce", format="mixed", dayfirst=dotted, utc=True
        )
        known = images[times.notna()]
        if times.nunique() < 2:
            continue
        spans = pd.cut(times[known.index], min(_N_SPANS, max(2, len(known) // 10)))
        totals = spans.value_counts(sort=False)
        labels = [_label(max(span.left, times.min()), times) for span in totals.index]
        lines = []
        for index in sorted(set(known.loc[~known["normal"], "class"])):
            share = 100 * (known["class"] == index).groupby(spans, observed=False).mean()
            points = [(x, float(y)) for x, y in enumerate(share) if np.isfinite(y)]
            lines.append((names[index], int(index), points))
        if lines:
            title = f"Defects over {column}"
            return column, curves(lines, (column, "% of images"), title, labels)
    return None


def _is_time(column: str) -> bool:
    return column.lower() in _TIME_NAMES


def _label(moment: pd.Timestamp, times: "pd.Series[pd.Timestamp]") -> str:
    days = (times.max() - times.min()).days
    return moment.strftime("%Y-%m" if days > 400 else "%m-%d" if days > 2 else "%H:%M")
