"""Bad inputs: a folder with everything in good order, and small ways to spoil a file in it.

The files of that folder are shared by hard links, so whatever spoils one first unlinks it: only
this file is written anew, and the folder in good order never changes.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from anomalyncd.backbone.catalogue import BACKBONES, DEFAULT_BACKBONE, WEIGHTS_VARIABLE
from anomalyncd.cli.main import app
from anomalyncd.config import PRESETS
from support.quick import TINY, UNTRAINED, damage, picture, use_tiny, write_tiny_weights

KINDS = ("good", "line", "spot")
DISCOVER = "discover photos --classes 3 --out out"
PREDICT = "predict run photos --out out"
MANIFEST = "discover images.csv --classes 3 --out out"
NAN = np.full((36, 48), np.nan, np.float32)
GREY = np.zeros((72, 96), np.uint8)

Make = Callable[[Path], object]


def nothing(_: Path) -> None:
    """Leaves everything in good order: the command itself is wrong."""


class Case(NamedTuple):
    """One mistake."""

    wrong: str
    """In words."""
    line: str
    """The command, without the name of the program."""
    said: tuple[str, ...]
    """Words of the message: the file or value, and the remedy."""
    make: Make = nothing
    """Makes the mistake, in a folder that holds everything in good order."""


def anew(path: Path) -> Path:
    """A path at which a file can be written that shares nothing with the one that was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path


def raw(path: str, content: bytes) -> Make:
    """Writes a file."""
    return lambda place: anew(place / path).write_bytes(content)


def text(path: str, content: str) -> Make:
    """Writes a file of text."""
    return raw(path, content.encode())


def array(path: str, values: object) -> Make:
    """Writes an array; objects are pickled."""
    return lambda place: np.save(anew(place / path), np.asarray(values))


def image(path: str, pixels: np.ndarray) -> Make:
    """Writes an image."""
    return lambda place: Image.fromarray(pixels).save(anew(place / path))


def gone(path: str) -> Make:
    """Removes a file or a folder."""

    def remove(place: Path) -> None:
        target = place / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return remove


def moved(old: str, new: str) -> Make:
    """Gives a file another name."""
    return lambda place: (place / old).rename(anew(place / new))


def copied(old: str, new: str) -> Make:
    """Copies a file, also to a name that no shell would take."""
    return lambda place: shutil.copy(place / old, anew(place / new))


def empty(folder: str) -> Make:
    """Makes an empty folder."""
    return lambda place: (place / folder).mkdir()


def changed(path: str, change: Callable[[bytes], bytes]) -> Make:
    """Writes a file anew, its content changed."""

    def write(place: Path) -> None:
        content = (place / path).read_bytes()
        after = change(content)
        assert after != content
        anew(place / path).write_bytes(after)

    return write


def cut(path: str, kept: int = 40) -> Make:
    """Cuts a file off after some bytes."""
    return changed(path, lambda content: content[:kept])


def swap(path: str, old: str, new: str, count: int = -1) -> Make:
    """Replaces some text in a file."""
    return changed(path, lambda content: content.replace(old.encode(), new.encode(), count))


def edited(path: str, change: Callable[[dict], object]) -> Make:
    """Changes what a JSON file holds."""

    def edit(content: bytes) -> bytes:
        held = json.loads(content)
        held.pop("digest", None)  # As models of earlier versions, which had none.
        change(held)
        return json.dumps(held).encode()

    return changed(path, edit)


def weights(path: str, change: Callable[[dict], dict]) -> Make:
    """Writes changed weights of the backbone to another file."""
    return lambda place: save_file(change(load_file(place / "weights.safetensors")), place / path)


def both(*makes: Make) -> Make:
    """One mistake after the other."""
    return lambda place: [make(place) for make in makes]


def call(line: str) -> Result:
    """What a command says; its words are parted by blanks."""
    return CliRunner().invoke(app, line.split(), prog_name="anomalyncd")


def use_weights(order: Path, patch: pytest.MonkeyPatch) -> None:
    """Makes the default backbone tiny, and the default preset quick and untrained."""
    use_tiny(patch, order.parent / "cache")
    patch.delitem(BACKBONES, "tiny")
    patch.setitem(BACKBONES, DEFAULT_BACKBONE, TINY)
    patch.setitem(PRESETS, "default", UNTRAINED)
    patch.setenv(WEIGHTS_VARIABLE, str(order / "weights.safetensors"))


def put_in_order(order: Path, patch: pytest.MonkeyPatch) -> None:
    """Fills a folder with images, maps, masks, a base set, weights and three finished runs."""
    order.mkdir(parents=True)
    write_tiny_weights(order / "weights.safetensors")
    for group, kind in enumerate(KINDS):
        for index in range(4):
            seed, name = 10 * group + index, f"{kind}/{index:03}"
            image(f"photos/{name}.png", picture(kind, seed))(order)
            noise = np.random.default_rng(seed).random((72, 96), np.float32) / 4
            array(f"maps/{name}.npy", damage(kind, seed) + noise)(order)
            if kind != "good":
                image(f"masks/{name}_mask.png", damage(kind, seed))(order)
        for index in range(2):
            image(f"base/test/{kind}/{index:03}.png", picture(kind, 50 + index))(order)
            if kind != "good":
                marked = damage(kind, 50 + index)
                image(f"base/ground_truth/{kind}/{index:03}_mask.png", marked)(order)
    use_weights(order, patch)
    patch.chdir(order)
    for line in ("run", "run_of_maps --maps maps", "run_of_masks --masks masks"):
        result = call(f"discover photos --classes 3 --out {line}")
        assert result.exit_code == 0, result.output


def link(order: Path, place: Path) -> None:
    """Makes a folder that shares all files of the one in good order."""
    shutil.copytree(order, place, copy_function=os.link)


def tree(place: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder, with its size and time."""
    found = {str(path): path.stat() for path in place.rglob("*")}
    return {path: (one.st_size, one.st_mtime_ns) for path, one in found.items()}


def row(case: Case, said: str, place: Path) -> str:
    """A row of the page: the mistake, and what is said without the path of the folder."""
    plain = said.removeprefix("error: ").strip()
    for start in (f"{place.resolve()}{os.sep}", f"{place}{os.sep}"):
        plain = plain.replace(start, "")
    plain = plain.replace("n" * 300, "nnn...").replace("|", "\\|")
    # The reasons of libraries change with their versions.
    plain = re.sub(r"(is damaged|cannot be (?:read|used)|line \d+) \(.*\)(?=;)", r"\1 (...)", plain)
    plain = re.sub(r"(Invalid value for '.*?'): .*(?=; see)", r"\1 (...)", plain)
    return f"| {case.wrong} | `{plain}` |"
