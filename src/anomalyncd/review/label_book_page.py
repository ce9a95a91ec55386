"""The label book as a page to print: each class with what it means and what it looks like."""

from importlib.resources import files
from typing import Any

import jinja2

from anomalyncd.report.contents import title
from anomalyncd.review.session import ReviewSession

_TEMPLATE = "label_book.html"
_N_SHOWN = 12
"""Examples that a class shows at most."""


def label_book_page(session: ReviewSession) -> str:
    """Returns the page; pictures come from the server."""
    snapshot = session.now()
    ids = snapshot.arrays.ids
    classes: list[dict[str, Any]] = [
        {
            "label": one,
            "n_regions": int(snapshot.n_regions[one.id]),
            "n_images": int(snapshot.n_images[one.id]),
            "examples": one.examples[:_N_SHOWN] or ids[snapshot.typical(one.id)].tolist(),
            "chosen": bool(one.examples),
            "counter_examples": one.counter_examples[:_N_SHOWN],
        }
        for one in snapshot.state.in_use
    ]
    source = files("anomalyncd.review") / "templates" / _TEMPLATE
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(source.read_text(encoding="utf-8"))
    return template.render(title=title(session.run), classes=classes, version=snapshot.version)
