"""The pages agree with the code: names, links, tables, results and dependencies."""

import re
from pathlib import Path
from typing import get_args

import pytest

import anomalyncd
from anomalyncd.io.columns import Kind, Table, columns_of
from anomalyncd_bench.report.page import results_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def test_reference_lists_every_public_name() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    documented = re.findall(r"^::: (\S+)$", pages, re.MULTILINE)
    listed = {path.rsplit(".", 1)[1] for path in documented if path.startswith("anomalyncd.")}
    assert listed == set(anomalyncd.__all__) - {"__version__"}


def test_navigation_contains_every_page() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    listed = re.findall(r"^ +- (?:.*: )?(\S+\.md)$", navigation, re.MULTILINE)
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in PAGES)


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "README.md"], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_pages_link_to_files_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def as_markdown(table: Table) -> str:
    """The columns of a table as the page lists them: name, type and meaning."""
    types: dict[Kind, str] = {
        "text": "text",
        "flag": "True or False",
        "whole": "whole number",
        "number": "number",
    }
    rows = [
        f"| `{column.name}` | {types[column.kind]} | {column.meaning} |"
        for column in columns_of(table)
    ]
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *rows]) + "\n"


@pytest.mark.parametrize("table", get_args(Table))
def test_reference_explains_the_columns_of_the_tables(table: Table) -> None:
    page = (DOCS / "reference" / "results.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {table}\n\n")[1].split("\n\n## ")[0]
    expected = as_markdown(table)
    assert f"{section}\n" == expected, f"replace the section by:\n{expected}"


def test_results_are_those_of_the_committed_benchmarks() -> None:
    folders = sorted(path.parent for path in ROOT.glob("benchmarks/results/bench/*/plan.json"))
    assert folders
    assert (DOCS / "results.md").read_text(encoding="utf-8") == results_page(folders)


def test_figures_are_small_and_used() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in [*PAGES, ROOT / "README.md"])
    for figure in (DOCS / "images").iterdir():
        assert figure.stat().st_size < 300_000
        assert figure.name in text


def test_licence_page_lists_every_dependency() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = project.split("\ndependencies = [")[1].split("]")[0]
    page = (DOCS / "licences.md").read_text(encoding="utf-8")
    for name in re.findall(r'"([a-z-]+)>=', required):
        assert f"| {name} |" in page


def test_pages_are_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150
    for page in (DOCS / "decisions").glob("*.md"):
        assert len(page.read_text(encoding="utf-8").splitlines()) <= 60, page.name
    terms = re.findall(
        r"^\| (?!term |---)", (DOCS / "glossary.md").read_text("utf-8"), re.MULTILINE
    )
    assert 0 < len(terms) <= 60
