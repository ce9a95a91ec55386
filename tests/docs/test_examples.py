"""Every notebook of examples/ runs, and is stored with the outputs of a run and without paths."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from anomalyncd.backbone.weights import WEIGHTS_VARIABLE
from anomalyncd.io.cache import CACHE_VARIABLE

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
ABSOLUTE = re.compile(r"""(?<![\w.:/<])(?:/\w[\w.-]*/[\w.-]|[A-Za-z]:\\\w|~/)""")
"""An absolute path on Linux, macOS or Windows; not the address of a page."""
LARGEST = 300_000
"""Bytes of a notebook with its pictures."""
QUICK_SETTINGS = """
from anomalyncd.backbone.weights import BACKBONES, DEFAULT_BACKBONE
from anomalyncd.config import PRESETS
from support.quick import TINY, UNTRAINED

BACKBONES[DEFAULT_BACKBONE] = TINY
PRESETS["default"] = UNTRAINED
"""
"""Precedes a notebook: the default backbone is tiny and the default preset quick."""

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: NotebookNode) -> list[list[str]]:
    """The kinds of what a cell shows: text, tables and pictures, in order."""
    return [
        sorted(output.get("data", {output.get("name"): ""}))
        for output in cell.outputs
        if output.get("name") != "stderr"
    ]


def texts(cell: NotebookNode) -> list[str]:
    """The source of a cell, and all outputs that are text."""
    found = [cell.source]
    for output in cell.get("outputs", []):
        found += [output.get("text", ""), "\n".join(output.get("traceback", []))]
        found += [value for kind, value in output.get("data", {}).items() if "text/" in kind]
    return found


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) == 3


@each_notebook
def test_notebook_runs(
    path: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tiny_weights))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    workplace = tmp_path / "workplace"
    workplace.mkdir()
    notebook, stored = read(path), code_cells(read(path))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(QUICK_SETTINGS))
    place = {"metadata": {"path": str(workplace)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()
    assert not list(workplace.iterdir()), "a notebook leaves files behind"
    for before, after in zip(stored, code_cells(notebook)[1:], strict=True):
        assert shown(before) == shown(after), f"run the notebook again: {before.source}"


@each_notebook
def test_notebook_is_stored_as_it_ran(path: Path) -> None:
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell.outputs for cell in cells)
    for cell in cells:
        kinds = {output.output_type for output in cell.outputs}
        assert "error" not in kinds
        assert not [output for output in cell.outputs if output.get("name") == "stderr"]


@each_notebook
def test_notebook_is_small_and_clean(path: Path) -> None:
    assert path.stat().st_size < LARGEST
    notebook = read(path)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.metadata == {}, "remove the metadata of the cells, such as execution times"
        for text in texts(cell):
            assert not ABSOLUTE.search(text), text


@pytest.mark.parametrize(
    ("text", "absolute"),
    [
        ("/home/me/photos", True),
        ("'/tmp/run/images.csv'", True),
        (r"C:\photos", True),
        ("photos/000.png", False),
        ("https://github.com/open-edge-platform/anomalib", False),
        ("</td>", False),
        ("side // 2", False),
    ],
)
def test_absolute_paths_are_recognised(text: str, absolute: bool) -> None:
    assert bool(ABSOLUTE.search(text)) == absolute
