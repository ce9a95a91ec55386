"""Every command and every Python block of the README and the guide, run on a few tiny images.

Blocks marked `py` need anomalib; tests/with_anomalib runs them.
"""

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anomalyncd import config
from anomalyncd.backbone.catalogue import BACKBONES, DEFAULT_BACKBONE, WEIGHTS_VARIABLE
from anomalyncd.cli import main as cli
from anomalyncd_bench import cli as bench_cli
from support.quick import QUICK, TINY, damage, picture

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROGRAMS = {"anomalyncd": cli.app, "anomalyncd-bench": bench_cli.app}
NOT_RUN = {
    "anomalyncd review run/": "serves a page until a person ends it",
    ". .venv/bin/activate": "changes the shell of the person who types it",
}
"""Lines that cannot be run here, with the reason."""


def blocks(document: Path) -> list[tuple[str, str]]:
    """Language and content of the fenced blocks of a document that are run, in order."""
    text = document.read_text(encoding="utf-8")
    return re.findall(r"^```(sh|python)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def command_lines(block: str) -> list[str]:
    joined = block.replace("\\\n", " ")
    return [line for line in joined.splitlines() if shlex.split(line, comments=True)]


def write(folder: Path, name: str, pixels: np.ndarray) -> None:
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_map(folder: Path, name: str, marked: np.ndarray, seed: int) -> None:
    path = folder / f"{name}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, marked + np.random.default_rng(seed).random(marked.shape, np.float32) / 4)


def make_inputs(folder: Path) -> None:
    """All folders and tables that the documents name, with a handful of images each."""
    rows = ["image,anomaly_map,label,lot,time"]
    for seed in range(12):
        kind = ("good", "line", "spot")[seed % 3]
        name, pixels, marked = f"{kind}/{seed:03}", picture(kind, seed), damage(kind, seed)
        write(folder / "photos", name, pixels)
        write(folder / "base/test", name, picture(kind, 50 + seed))
        write_map(folder / "maps", name, marked, seed)
        lot, time = f"L{seed % 2}", f"2026-01-{seed + 1:02}"
        rows.append(f"photos/{name}.png,maps/{name}.npy,{kind},{lot},{time}")
        if kind != "good":
            write(folder / "masks", f"{name}_mask", marked)
            write(folder / "base/ground_truth", f"{name}_mask", damage(kind, 50 + seed))
    (folder / "images.csv").write_text("\n".join(rows), encoding="utf-8")
    table = "sets: {photos: photos}\nseeds: 1\nmethods: [kmeans, anomalyncd]\n"
    (folder / "table.yaml").write_text(table, encoding="utf-8")
    product = np.pad(np.ones((52, 76), bool), 10)
    Image.fromarray(product).save(folder / "product.png")
    for seed in range(20, 24):
        pixels = picture("good", seed)
        write(folder / "normals", f"{seed:03}", pixels)
        write_map(folder / "normal_maps", f"{seed:03}", damage("good", seed), seed)
        write(folder / "more_normals", f"{seed:03}", picture("good", seed + 20))
    for seed, kind in ((30, "spot"), (31, "good")):
        write(folder / "new_photos", f"{seed:03}", picture(kind, seed))
        write_map(folder / "new_maps", f"{seed:03}", damage(kind, seed), seed)


@pytest.fixture
def workplace(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all inputs, where the default backbone is tiny and presets are quick."""
    monkeypatch.setitem(BACKBONES, DEFAULT_BACKBONE, TINY)
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tiny))
    quick = replace(QUICK, training=replace(QUICK.training, epochs=0))
    for preset in ("default", "paper"):
        monkeypatch.setitem(config.PRESETS, preset, quick)
        monkeypatch.setitem(config.PROTO_PRESETS, preset, quick)
    place = tmp_path / "place"
    make_inputs(place)
    (place / "weights").mkdir()
    shutil.copy(tiny, place / "weights" / f"{DEFAULT_BACKBONE}.safetensors")
    monkeypatch.chdir(place)
    monkeypatch.delenv("ANOMALYNCD_DATA", raising=False)
    return place


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(line, comments=True)
    if words[0] == "export":
        words = words[1:]
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        monkeypatch.setenv(*words.pop(0).split("=", 1))
    if not words or shlex.join(words) in NOT_RUN:
        return
    if words[0] == "make":
        for target in words[1:]:
            assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), line
        return
    assert words[0] in PROGRAMS, f"'{line}' cannot be run here; give the reason in NOT_RUN"
    result = CliRunner().invoke(PROGRAMS[words[0]], words[1:])
    assert result.exit_code == 0, f"{line}\n{result.output}{result.exception!r}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_python_block_runs(
    document: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, object] = {}
    for language, content in blocks(document):
        if language == "python":
            exec(compile(content, document.name, "exec"), names)
        else:
            for line in command_lines(content):
                run(line, monkeypatch)


def test_every_line_that_is_not_run_occurs() -> None:
    found = {
        shlex.join(shlex.split(line, comments=True))
        for document in DOCUMENTS
        for language, content in blocks(document)
        if language == "sh"
        for line in command_lines(content)
    }
    assert set(NOT_RUN) <= found
