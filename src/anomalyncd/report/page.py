"""Self-contained HTML pages from templates, and the page about the number of classes."""

import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup, escape

from anomalyncd.discovery.class_number import ClassNumber
from anomalyncd.io.writing import write_atomically
from anomalyncd.report.axes import Mark
from anomalyncd.report.plots import curves

CLASS_NUMBER_PAGE = "class_number.html"
_OPTIONS = {"images": "IMAGES", "n_classes": "--classes"}
"""Options that are named differently from their argument."""
_TEMPLATES = files("anomalyncd.report") / "templates"


def write_page(path: Path, package: str | None = None, **contents: Any) -> None:
    """Writes a page that loads nothing from elsewhere, from the template of the same file name.

    Args:
        path: The page, such as `report.html`; missing folders are made.
        package: The package that contains the template, which may extend those of this package;
            None takes a template of this package.
        contents: The variables of the template.
    """

    def load(name: str) -> str:
        folder = files(package) if package and name == path.name else _TEMPLATES
        return (folder / name).read_text(encoding="utf-8")

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(load), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["options"] = with_options
    page = environment.get_template(path.name).render(style=style_sheet(), **contents)
    with write_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def with_options(text: str) -> Markup:
    """Names beside each Python argument in back-ticks the option of the command line.

    A page is read by people of both, whichever of them made the run.

    Args:
        text: A warning; it is escaped.
    """

    def named(match: re.Match[str]) -> str:
        argument = match[1]
        option = _OPTIONS.get(argument, f"--{argument.replace('_', '-')}")
        return f"<code>{argument}</code> (<code>{option}</code>)"

    return Markup(re.sub(r"`(\w+)`", named, str(escape(text))))


def style_sheet() -> str:
    """Returns the style sheet of all pages and plots."""
    return (_TEMPLATES / "style.css").read_text(encoding="utf-8")


def write_class_number(number: ClassNumber, folder: str | Path) -> Path:
    """Writes a page about the number of classes.

    Args:
        number: The estimate.
        folder: Made where it is missing.

    Returns:
        `folder/class_number.html`.
    """
    path = Path(folder).expanduser() / CLASS_NUMBER_PAGE
    plot = class_number_plot(number)
    write_page(path, class_number=number, class_number_plot=plot, version=version("anomalyncd"))
    return path


def class_number_plot(number: ClassNumber) -> str | None:
    """Plots the criteria over the numbers of classes, each scaled to its own range.

    The estimate is a vertical line and its interval a band. None where no numbers were compared.
    """
    if len(number.grid) < 2:
        return None
    lines = []
    for index, (name, values) in enumerate(number.criteria.items()):
        heights = np.array(values) - min(values)
        heights = heights / max(float(heights.max()), 1e-9)
        lines.append((name, index + 1, list(zip(number.grid, heights.tolist(), strict=True))))
    span = max(number.low - 0.4, number.grid[0]), min(number.high + 0.4, number.grid[-1])
    mark = Mark(number.estimate, str(number.estimate), span)
    labels = "number of classes", "criterion"
    return curves(lines, labels, f"Number of classes: {number}", mark=mark)
