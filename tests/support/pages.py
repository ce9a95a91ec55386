"""Tags, words and properties of an HTML page."""

import re
from html.parser import HTMLParser
from itertools import pairwise


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
    """Whether a page loads nothing from elsewhere, and lets no script send or fetch anything."""
    page = Page(text)
    sources = {str(image["src"])[:5] for image in page.all("img")}
    policies = [str(meta["content"]) for meta in page.all("meta") if "http-equiv" in meta]
    text = text.replace("http://www.w3.org/2000/svg", "")
    return (
        sources <= {"data:"}
        and all("src" not in script for script in page.all("script"))
        and any("default-src 'none'" in policy for policy in policies)
        and not re.search(r"https?://|@import|<link|<iframe|url\(", text)
    )


def can_be_read_aloud(page: Page) -> bool:
    """Whether pictures have a description, the language is named, all links have a target, no level
    of headings is left out, and buttons have a name."""
    anchors = {str(link["href"]) for link in page.all("a") if str(link["href"])[0] == "#"}
    ids = [f"#{attributes['id']}" for _, attributes in page.tags if "id" in attributes]
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    return (
        all(image["alt"] for image in page.all("img"))
        and all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))
        and all(button["aria-label"] for button in page.all("button"))
        and page.all("html") == [{"lang": "en"}]
        and anchors <= {*ids}
        and len(ids) == len({*ids})
        and levels[:1] == [1]
        and all(below <= above + 1 for above, below in pairwise(levels))
    )
