"""Tags, words and properties of an HTML page."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Tags, their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def is_self_contained(text: str) -> bool:
    """Whether a page loads nothing from elsewhere."""
    text = text.replace("http://www.w3.org/2000/svg", "")
    sources = {str(image["src"])[:5] for image in Page(text).all("img")}
    return sources <= {"data:"} and not re.search(r"https?://|@import|<script|<link|url\(", text)


def can_be_read_aloud(page: Page) -> bool:
    """Whether pictures have a description, the language is named, and all links have a target."""
    targets = {link["href"] for link in page.all("a")}
    ids = {f"#{attributes['id']}" for _, attributes in page.tags if "id" in attributes}
    return (
        all(image["alt"] for image in page.all("img"))
        and all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))
        and page.all("html") == [{"lang": "en"}]
        and targets <= ids
    )
