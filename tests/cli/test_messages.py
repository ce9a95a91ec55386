"""Messages of the library name arguments of Python, which the command line turns into options."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src" / "anomalyncd"
LIBRARY = [path for path in sorted(ROOT.rglob("*.py")) if "cli" not in path.relative_to(ROOT).parts]
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def texts(module: Path) -> Iterator[str]:
    """The texts of a module, docstrings included, without arguments of other programs."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            alone = FLAG.match(node.value) and " " not in node.value.strip()
            if not alone:
                yield node.value


def test_flags_are_found_in_texts_and_not_among_arguments(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    lines = ('x = ["pip", "--quiet"]', 'y = f"give {x} or --normal-maps"', 'z = "`--maps` -- a"')
    module.write_text("\n".join(lines), encoding="utf-8")
    found = [flag for text in texts(module) for flag in FLAG.findall(text)]
    assert sorted(found) == ["--maps", "--normal-maps"]


@pytest.mark.parametrize("module", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_of_the_library_names_an_option(module: Path) -> None:
    assert [text for text in texts(module) if FLAG.search(text)] == []
