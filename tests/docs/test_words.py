"""The documentation uses the names of the glossary, and none of the words that they replaced."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md")),
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if "lab" not in page.parts),
]
MODULES = sorted((ROOT / "src" / "anomalyncd").rglob("*.py"))

REPLACED = {
    "doubts": "warnings",
    "framing": "the locator of the region of interest",
    "judgement": "reliability",
    "lest": "so that ... not",
    "likes": "nearest neighbours",
    "look-alike": "nearest neighbour",
    "look-alikes": "nearest neighbours",
    "made parts": "synthetic images",
    "poses": "rotations",
    "rival": "baseline",
    "rivals": "baselines",
    "sound": "normal",
    "switchboard": "overrides",
    "told": "a verb that names what is done, such as separated or conditioned",
    "trunk": "frozen features",
    "viewer": "patch extractor",
    "wherever it lies": "in any position",
    "a image": "an image",
    "images of images": "images",
}
"""Words that have no place in the documentation, and what to write instead."""
PATTERN = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, REPLACED))})(?![\w-])", re.IGNORECASE)


def without_code(page: str) -> str:
    """The prose of a page: no fenced blocks, no code spans, no targets of links."""
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`|\]\([^)]*\)", "", prose)


def texts_of(module: Path) -> Iterator[tuple[int, str]]:
    """Lines and texts of the docstrings and help texts of a module."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        documented = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if documented and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
        if isinstance(node, ast.keyword) and node.arg == "help":
            yield node.value.lineno, ast.unparse(node.value)


def replaced_words(text: str) -> list[str]:
    """Each word of a text that has no place there, with what to write instead."""
    found = PATTERN.findall(" ".join(text.split()))
    return [f"'{word}': write {REPLACED[word.lower()]}" for word in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_use_the_words_of_the_glossary(page: Path) -> None:
    assert replaced_words(without_code(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "module", MODULES, ids=lambda module: module.relative_to(ROOT / "src").as_posix()
)
def test_docstrings_and_help_use_the_words_of_the_glossary(module: Path) -> None:
    by_line = {line: replaced_words(text) for line, text in texts_of(module)}
    assert {line: words for line, words in by_line.items() if words} == {}


def test_words_are_recognised() -> None:
    text = "A sound part,\nand its look-alikes in two `poses`; told to all."
    assert len(replaced_words(without_code(text))) == 3
    assert not replaced_words("soundness, opposes, untold, unlikely")
