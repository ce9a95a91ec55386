"""Self-contained HTML pages: no request to anywhere."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from anomalyncd.io.files import write_atomically


def write_page(path: Path, package: str = "anomalyncd.report", **contents: Any) -> None:
    """Writes a page from the template with the same file name.

    Args:
        path: The page, such as `report.html`; missing folders are made.
        package: The package that holds the template; it may extend those of this room.
        contents: What the template shows.
    """
    source = files("anomalyncd.report")

    def load(name: str) -> str:
        holder = files(package) if name == path.name else source
        return (holder / name).read_text(encoding="utf-8")

    loader = jinja2.FunctionLoader(load)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    style = (source / "style.css").read_text(encoding="utf-8")
    page = environment.get_template(path.name).render(style=style, **contents)
    with write_atomically(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
