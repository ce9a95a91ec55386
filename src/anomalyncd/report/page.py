"""Self-contained HTML pages: no request to anywhere."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from anomalyncd.io.files import write_atomically


def write_page(path: Path, **contents: Any) -> None:
    """Writes a page from the template that bears its name.

    Args:
        path: The page, `report.html` or `inspect.html`; missing folders are made.
        contents: What the template shows.
    """
    source = files("anomalyncd.report")
    loader = jinja2.FunctionLoader(lambda name: (source / name).read_text(encoding="utf-8"))
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    style = (source / "style.css").read_text(encoding="utf-8")
    page = environment.get_template(path.name).render(style=style, **contents)
    with write_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
