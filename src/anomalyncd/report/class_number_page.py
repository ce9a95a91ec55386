"""The plot of an estimated number of classes, and `class_number.html`, which shows it alone."""

from pathlib import Path

import numpy as np

from anomalyncd import __version__
from anomalyncd.discovery.class_number import ClassNumber
from anomalyncd.report.page import write_page
from anomalyncd.report.plots import curves

PAGE = "class_number.html"


def write_class_number(counted: ClassNumber, folder: str | Path) -> Path:
    """Writes one page about the number of classes, complete in itself.

    Args:
        counted: The estimate.
        folder: Made where it is missing.

    Returns:
        `folder/class_number.html`.
    """
    path = Path(folder).expanduser() / PAGE
    plot = class_number_plot(counted)
    write_page(path, counted=counted, class_number_plot=plot, version=__version__)
    return path


def class_number_plot(counted: ClassNumber) -> str | None:
    """Criteria over the numbers of classes, each from its lowest value to its highest.

    The estimate is an upright line, the interval a band; None where there was nothing to compare.
    """
    if len(counted.grid) < 2:
        return None
    lines = []
    for index, (name, values) in enumerate(counted.criteria.items()):
        heights = np.array(values) - min(values)
        heights = heights / max(float(heights.max()), 1e-9)
        lines.append((name, index + 1, list(zip(counted.grid, heights.tolist(), strict=True))))
    return curves(
        lines,
        "number of classes",
        "criterion",
        f"Number of classes: {counted}",
        mark=(counted.estimate, str(counted.estimate)),
        band=(max(counted.low - 0.4, counted.grid[0]), min(counted.high + 0.4, counted.grid[-1])),
    )
