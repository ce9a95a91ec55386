"""The files of the page: nothing inline, nothing from elsewhere, no file missing."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

STATIC = Path(str(files("anomalyncd.review") / "static"))
SCRIPTS = sorted(STATIC.rglob("*.js"))
OWN = [path for path in SCRIPTS if "vendor" not in path.parts]
IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*["']([\w@./-]+)["']""")


def _name(path: Path) -> str:
    return path.relative_to(STATIC).as_posix()


@pytest.mark.parametrize("script", SCRIPTS, ids=_name)
def test_imports_are_files_of_the_page(script: Path) -> None:
    for target in IMPORT.findall(script.read_text(encoding="utf-8")):
        assert target.startswith("."), target
        assert (script.parent / target).is_file(), target


def test_first_file_has_nothing_inline_and_names_files_that_exist() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)
    named = re.findall(r"""(?:href|src)="([^"]+)\"""", page)
    assert named
    for address in named:
        assert address.startswith("/static/")
        assert (STATIC / address.removeprefix("/static/")).is_file(), address


@pytest.mark.parametrize(
    "file", [*OWN, *STATIC.glob("css/*.css"), STATIC / "index.html"], ids=_name
)
def test_nothing_is_loaded_from_elsewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.findall(r"https?://|@import|\beval\(|dangerouslySetInnerHTML|innerHTML", text)


@pytest.mark.parametrize("library", ["preact", "htm"])
def test_libraries_come_with_their_licences(library: str) -> None:
    assert (STATIC / "vendor" / f"LICENSE-{library}").is_file()
    assert f"`LICENSE-{library}`" in (STATIC / "vendor" / "README.md").read_text(encoding="utf-8")
