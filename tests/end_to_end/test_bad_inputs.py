"""A table of bad inputs: what is wrong, and the one line that is said; run as a script, a page.

`python tests/end_to_end/test_bad_inputs.py > docs/guide/bad-inputs.md` writes the page anew.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from anomalyncd.backbone.weights import (
    BACKBONES,
    DEFAULT_BACKBONE,
    WEIGHTS_VARIABLE,
)
from anomalyncd.cli.main import app

sys.path.append(str(Path(__file__).parents[1]))
from support.quick import TINY, damage, picture, use_tiny, write_tiny_weights

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guide" / "bad-inputs.md"
INTRODUCTION = """# Bad inputs

Each of these mistakes ends with exit code 2 and one line on standard error, before long work; the
lines below are made by the tests.
"""
SECONDS = 10
KINDS = ("good", "line", "spot")

DISCOVER = "discover photos --classes 3 --out out"
PREDICT = "predict run photos --out out"

Make = Callable[[Path], object]


class Case(NamedTuple):
    """One mistake."""

    wrong: str
    """In words."""
    make: Make
    """Makes it, in a folder that holds everything in good order."""
    line: str
    """The command, without the program's name."""
    said: tuple[str, ...]
    """Words of the message: the file or value, and the remedy."""


def nothing(_: Path) -> None:
    pass


def text(path: str, content: str) -> Make:
    return lambda place: written(place / path, content.encode())


def raw(path: str, content: bytes) -> Make:
    return lambda place: written(place / path, content)


def written(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def gone(path: str) -> Make:
    def remove(place: Path) -> None:
        target = place / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    return remove


def cut(path: str, kept: int = 40) -> Make:
    return lambda place: (place / path).write_bytes((place / path).read_bytes()[:kept])


def swap(path: str, old: str, new: str, count: int = -1) -> Make:
    def swapped(place: Path) -> None:
        content = (place / path).read_text(encoding="utf-8")
        assert old in content
        (place / path).write_text(content.replace(old, new, count), encoding="utf-8")

    return swapped


def edited(path: str, change: Callable[[dict], object]) -> Make:
    def edit(place: Path) -> None:
        content = json.loads((place / path).read_text(encoding="utf-8"))
        change(content)
        (place / path).write_text(json.dumps(content), encoding="utf-8")

    return edit


def array(path: str, values: object) -> Make:
    return lambda place: np.save(place / path, np.asarray(values))


def image(path: str, pixels: np.ndarray) -> Make:
    def save(place: Path) -> None:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / path)

    return save


def both(*makes: Make) -> Make:
    return lambda place: [make(place) for make in makes]


def moved(old: str, new: str) -> Make:
    def move(place: Path) -> None:
        (place / new).parent.mkdir(parents=True, exist_ok=True)
        (place / old).rename(place / new)

    return move


def odd_weights(place: Path) -> None:
    state = load_file(place / "weights.safetensors")
    save_file({name: one for name, one in state.items() if name != "norm.bias"}, place / "odd.st")


def other_weights(place: Path) -> None:
    state = load_file(place / "weights.safetensors")
    save_file({name: one + 1 for name, one in state.items()}, place / "other.st")


NAN = np.full((36, 48), np.nan, np.float32)
GREY = np.zeros((72, 96), np.uint8)
MANIFEST = "discover images.csv --classes 3 --out out"
BOXES = f"{DISCOVER} --boxes boxes.csv"
HEAD = "name,left,top,right,bottom\n"

CASES = {
    "ImageSet": [
        Case(
            "no such folder",
            nothing,
            "discover nowhere --classes 3",
            ("'nowhere'", "check the path"),
        ),
        Case(
            "a picture in place of a folder",
            nothing,
            "discover photos/good/000.png --classes 3 --out out",
            ("000.png", "give the folder"),
        ),
        Case(
            "an empty folder",
            lambda p: (p / "empty").mkdir(),
            "discover empty --classes 3 --out out",
            ("'empty'", "expected"),
        ),
        Case(
            "a folder of pictures in a format that cannot be read",
            raw("raw/a.heic", b"x"),
            "discover raw --classes 3 --out out",
            ("a.heic", "convert"),
        ),
        Case(
            "an empty picture",
            raw("photos/line/001.png", b""),
            DISCOVER,
            ("001.png", "empty", "save it again"),
        ),
        Case(
            "a picture that is text",
            text("photos/line/001.png", "hello"),
            DISCOVER,
            ("001.png", "known image format"),
        ),
        Case(
            "a truncated picture",
            cut("photos/line/001.png", 900),
            DISCOVER,
            ("001.png", "save it again"),
        ),
        Case(
            "three damaged pictures",
            both(*(cut(f"photos/spot/00{i}.png") for i in range(3))),
            DISCOVER,
            ("000.png", "and 2 more"),
        ),
        Case(
            "a picture with too many pixels",
            raw("photos/big.ppm", b"P6 40000 40000 255\n"),
            DISCOVER,
            ("big.ppm", "too many pixels", "tiles"),
        ),
        Case(
            "a picture of floats beyond 0..1",
            lambda p: Image.fromarray(np.full((9, 9), 7.5, np.float32)).save(
                p / "photos" / "f.tif"
            ),
            DISCOVER,
            ("f.tif", "scale floats"),
        ),
        Case(
            "two pictures of one name",
            lambda p: shutil.copy(p / "photos/good/000.png", p / "photos/good/000.bmp"),
            DISCOVER,
            ("good/000", "keep one"),
        ),
        Case(
            "a file name with a line break",
            lambda p: shutil.copy(p / "photos/good/000.png", p / "photos/a\nb.png"),
            DISCOVER,
            ("a\\nb.png", "rename"),
        ),
        Case(
            "a file name that is not in UTF-8",
            lambda p: shutil.copy(p / "photos/good/000.png", p / "photos/\udcff.png"),
            DISCOVER,
            ("udcff.png", "rename"),
        ),
        Case(
            "fewer images than classes",
            nothing,
            "discover photos --classes 13 --out out",
            ("12 images", "fewer classes"),
        ),
        Case(
            "one image and no maps",
            lambda p: (
                shutil.copytree(p / "photos/good", p / "one")
                and [(p / "one" / f"00{i}.png").unlink() for i in (1, 2, 3)]
            ),
            "maps one --out out",
            ("1 image", "give two or more"),
        ),
    ],
    "Manifests": [
        Case("no such manifest", nothing, MANIFEST, ("'images.csv'", "check the path")),
        Case("an empty manifest", raw("images.csv", b""), MANIFEST, ("'images.csv'", "no rows")),
        Case(
            "a manifest without rows",
            text("images.csv", "image,label\n"),
            MANIFEST,
            ("'images.csv'", "no rows"),
        ),
        Case(
            "a manifest in another encoding",
            raw("images.csv", "image\nm\u00fcll.png\n".encode("latin-1")),
            MANIFEST,
            ("'images.csv'", "CSV UTF-8"),
        ),
        Case(
            "a manifest without a column image",
            text("images.csv", "Image,lot\na.png,1\n"),
            MANIFEST,
            ("'image'", "rename 'Image'"),
        ),
        Case(
            "a manifest with two columns of one name",
            text("images.csv", "image,lot,lot\na.png,1,2\n"),
            MANIFEST,
            ("'lot'", "rename"),
        ),
        Case(
            "a manifest with a column that results have",
            text("images.csv", "image,score\nphotos/good/000.png,1\n"),
            MANIFEST,
            ("'score'", "my_score"),
        ),
        Case(
            "a manifest with a row too long",
            text("images.csv", "image,lot\na.png,1,2\n"),
            MANIFEST,
            ("line 2", "in quotes"),
        ),
        Case(
            "a manifest with an open quote",
            text("images.csv", 'image,lot\n"a.png,1\n'),
            MANIFEST,
            ("line 2", "save it again"),
        ),
        Case(
            "a manifest that names no such image",
            text("images.csv", "image\nphotos/good/000.png\nphotos/b.png\n"),
            MANIFEST,
            ("photos/b.png", "relative to the folder of the manifest"),
        ),
        Case(
            "a manifest with a blank image",
            text("images.csv", "image,lot\nphotos/good/000.png,1\n,2\n"),
            MANIFEST,
            ("row 2", "fill it in"),
        ),
        Case(
            "a manifest that names an image twice",
            text("images.csv", "image\nphotos/good/000.png\nphotos/./good/000.png\n"),
            MANIFEST,
            ("000.png", "keep one row"),
        ),
        Case(
            "a manifest with a map for some images",
            text(
                "images.csv",
                "image,anomaly_map\nphotos/good/000.png,maps/good/000.npy\nphotos/good/001.png,\n",
            ),
            "discover images.csv --classes 2 --out out",
            ("good/001", "fill it in"),
        ),
        Case(
            "a damaged JSONL manifest",
            text("images.jsonl", '{"image": "photos/good/000.png"}\n{"image": \n'),
            "discover images.jsonl --classes 2 --out out",
            ("line 2", "save it again"),
        ),
        Case(
            "a JSONL manifest nested without end",
            text("images.jsonl", "[" * 100_000),
            "discover images.jsonl --classes 2 --out out",
            ("line 1", "save it again"),
        ),
        Case(
            "a JSONL manifest with half a character",
            text("images.jsonl", '{"image": "photos/good/000.png", "lot": "\\ud800"}\n'),
            "discover images.jsonl --classes 2 --out out",
            ("ud800", "write it anew"),
        ),
        Case(
            "a damaged Parquet manifest",
            raw("images.parquet", b"PAR1 nothing PAR1"),
            "discover images.parquet --classes 2 --out out",
            ("images.parquet", "save it again"),
        ),
        Case(
            "normals from a manifest without training rows",
            text("images.csv", "image,split\nphotos/good/000.png,test\n"),
            f"{DISCOVER} --normals images.csv",
            ("'train'", "mark the normal images"),
        ),
    ],
    "Maps": [
        Case(
            "a map is missing",
            gone("maps/line/001.npy"),
            f"{DISCOVER} --maps maps",
            ("line/001", "has no map", "expected line/001.("),
        ),
        Case(
            "a map without an image",
            moved("maps/line/001.npy", "maps/line/0O1.npy"),
            f"{DISCOVER} --maps maps",
            ("0O1.npy", "has no image", "nearest in name"),
        ),
        Case(
            "no maps at all",
            lambda p: (p / "empty").mkdir(),
            f"{DISCOVER} --maps empty",
            ("'empty'", "expected .npy"),
        ),
        Case(
            "maps of other images",
            lambda p: np.save(p / "masks" / "x.npy", NAN),
            f"{DISCOVER} --maps masks",
            ("no map belongs to a image", "name each map like its image"),
        ),
        Case(
            "a map of NaN",
            array("maps/line/001.npy", NAN),
            f"{DISCOVER} --maps maps",
            ("001.npy", "NaN", "finite scores"),
        ),
        Case(
            "a map of text",
            array("maps/line/001.npy", "hello"),
            f"{DISCOVER} --maps maps",
            ("001.npy", "array of numbers"),
        ),
        Case(
            "a map of three dimensions",
            array("maps/line/001.npy", np.zeros((3, 36, 48))),
            f"{DISCOVER} --maps maps",
            ("001.npy", "(3, 36, 48)", "expected HxW"),
        ),
        Case(
            "a map with objects in it",
            lambda p: np.save(p / "maps/line/001.npy", np.array([{}], object), allow_pickle=True),
            f"{DISCOVER} --maps maps",
            ("001.npy", "save it again"),
        ),
        Case(
            "a map that claims to be huge",
            lambda p: (
                np.save(p / "maps/line/001.npy", NAN)
                or swap_bytes(p / "maps/line/001.npy", b"(36, 48), }      ", b"(99999, 99999), }")
            ),
            f"{DISCOVER} --maps maps",
            ("001.npy", "save it again"),
        ),
        Case(
            "a truncated map",
            cut("maps/line/001.npy", 200),
            f"{DISCOVER} --maps maps",
            ("001.npy", "save it again"),
        ),
        Case(
            "a map in colours",
            both(gone("maps/line/001.npy"), image("maps/line/001.png", picture("spot", 1))),
            f"{DISCOVER} --maps maps",
            ("001.png", "save the scores"),
        ),
        Case(
            "a map turned on its side",
            array("maps/line/001.npy", np.zeros((48, 24))),
            f"{DISCOVER} --maps maps",
            ("line/001", "not turned"),
        ),
        Case(
            "an archive of two arrays",
            both(
                gone("maps/line/001.npy"), lambda p: np.savez(p / "maps/line/001.npz", a=NAN, b=NAN)
            ),
            f"{DISCOVER} --maps maps",
            ("a, b", "'anomaly_map'"),
        ),
        Case(
            "maps of normal images without normal images",
            nothing,
            f"{DISCOVER} --maps maps --normal-maps maps",
            ("maps of normal images", "need"),
        ),
        Case(
            "normal images without maps beside maps",
            nothing,
            f"{DISCOVER} --maps maps --normals photos/good",
            ("normal images next to maps", "maps of their own"),
        ),
    ],
    "Masks, boxes and places to ignore": [
        Case(
            "both masks and maps",
            nothing,
            f"{DISCOVER} --masks masks --maps maps",
            ("several of maps, masks and boxes", "give one"),
        ),
        Case(
            "no masks at all",
            lambda p: (p / "empty").mkdir(),
            f"{DISCOVER} --masks empty",
            ("'empty'", "NAME_mask.png"),
        ),
        Case(
            "a damaged mask",
            cut("masks/line/000_mask.png"),
            f"{DISCOVER} --masks masks",
            ("000_mask.png", "save it again"),
        ),
        Case(
            "two masks of one image",
            lambda p: shutil.copy(p / "masks/line/000_mask.png", p / "masks/line/000.png"),
            f"{DISCOVER} --masks masks",
            ("line/000", "keep one"),
        ),
        Case(
            "a mask of NaN",
            lambda p: (
                Image.fromarray(NAN).save(p / "masks/line/001.tif")
                or (p / "masks/line/001_mask.png").unlink()
            ),
            f"{DISCOVER} --masks masks",
            ("001.tif", "black and white"),
        ),
        Case(
            "masks from a manifest without that column",
            text("m.csv", "image\nphotos/good/000.png\n"),
            f"{DISCOVER} --masks m.csv",
            ("'mask'", "add it"),
        ),
        Case(
            "boxes without a column",
            text("boxes.csv", "name,left,top,right\nline/000,1,2,3\n"),
            BOXES,
            ("'bottom'", "in pixels"),
        ),
        Case(
            "a box of no size",
            text("boxes.csv", f"{HEAD}line/000,9,2,3,4\n"),
            BOXES,
            ("'left': '9'", "left < right"),
        ),
        Case(
            "a box in words",
            text("boxes.csv", f"{HEAD}line/000,a,2,inf,4\n"),
            BOXES,
            ("'left': 'a'", "give numbers"),
        ),
        Case(
            "a box on a image that is not there",
            text("boxes.csv", f"{HEAD}line/000,1,2,3,4\nline/999,1,2,3,4\n"),
            BOXES,
            ("line/999", "has no image"),
        ),
        Case(
            "a damaged picture of places to ignore",
            text("ignore.png", "x"),
            f"{DISCOVER} --ignore ignore.png",
            ("ignore.png", "save it again"),
        ),
        Case(
            "places to ignore that do not exist",
            nothing,
            f"{DISCOVER} --ignore nowhere.png",
            ("nowhere.png", "check the path"),
        ),
    ],
    "Base sets and normal images": [
        Case(
            "a base set without masks",
            nothing,
            f"{DISCOVER} --base photos",
            ("'photos'", "ground_truth"),
        ),
        Case(
            "a base image outside a class",
            image("base/test/loose.png", GREY),
            f"{DISCOVER} --base base",
            ("loose", "named after its class"),
        ),
        Case(
            "a base image without a mask",
            gone("base/ground_truth/spot/000_mask.png"),
            f"{DISCOVER} --base base",
            ("spot/000", "draw one or remove the image"),
        ),
        Case(
            "a base set with black masks alone",
            both(
                *(
                    image(f"base/ground_truth/{k}/00{i}_mask.png", GREY)
                    for k in KINDS[1:]
                    for i in range(2)
                )
            ),
            f"{DISCOVER} --base base",
            ("good, line, spot", "every class needs masks"),
        ),
        Case(
            "a base manifest without labels",
            text("base.csv", "image,mask\nphotos/line/000.png,masks/line/000_mask.png\n"),
            f"{DISCOVER} --base base.csv",
            ("'label'", "add the class"),
        ),
        Case(
            "a damaged normal image",
            lambda p: shutil.copytree(p / "photos/good", p / "ok") and cut("ok/000.png")(p),
            f"{DISCOVER} --normals ok",
            ("000.png", "save it again"),
        ),
    ],
    "Options and weights": [
        Case(
            "a number of classes that is none",
            nothing,
            "discover photos --classes many --out out",
            ("'--classes'", "anomalyncd discover --help"),
        ),
        Case(
            "one class",
            nothing,
            "discover photos --classes 1 --out out",
            ("n_classes=1", "2 or more"),
        ),
        Case(
            "an option that there is not",
            nothing,
            f"{DISCOVER} --zzzzzz red",
            ("--zzzzzz", "--help"),
        ),
        Case("a command that there is not", nothing, "zzzzzz photos", ("zzzzzz", "--help")),
        Case("an argument is missing", nothing, "predict run", ("IMAGES", "predict --help")),
        Case(
            "a preset that there is not",
            nothing,
            f"{DISCOVER} --preset best",
            ("'best'", "default, paper"),
        ),
        Case(
            "a backbone that there is not",
            nothing,
            f"{DISCOVER} --backbone resnet50",
            ("'resnet50'", "use one of vit_"),
        ),
        Case(
            "a device that there is not",
            nothing,
            f"{DISCOVER} --device abacus",
            ("'abacus'", "use auto or cpu"),
        ),
        Case("a negative seed", nothing, f"{DISCOVER} --seed -1", ("seed -1", "from 0")),
        Case(
            "a huge seed",
            nothing,
            f"{DISCOVER} --seed 99999999999999999999",
            ("seed 99999999999999999999", "from 0"),
        ),
        Case(
            "weights that do not exist",
            nothing,
            f"{DISCOVER} --weights nowhere.st",
            ("nowhere.st", "give a safetensors file"),
        ),
        Case(
            "damaged weights",
            cut("weights.safetensors", 100),
            f"{DISCOVER} --weights weights.safetensors",
            ("weights.safetensors", "give an intact file"),
        ),
        Case(
            "weights that lack a tensor",
            odd_weights,
            f"{DISCOVER} --weights odd.st",
            ("odd.st", "norm.bias", "give the file of this model"),
        ),
        Case(
            "a file in place of the run folder",
            text("out", "x"),
            DISCOVER,
            ("'out' is a file", "name a new or empty folder"),
        ),
        Case(
            "a run folder below a file",
            text("file", "x"),
            "discover photos --classes 3 --out file/run",
            ("'file' is a file", "name a new or empty folder"),
        ),
        Case(
            "a run folder that holds something else",
            text("out/notes.txt", "x"),
            DISCOVER,
            ("notes.txt", "new or empty folder"),
        ),
        Case(
            "a run folder that holds a run",
            nothing,
            "discover photos --classes 3 --out run",
            ("'run'", "--overwrite"),
        ),
        Case(
            "results among the images",
            nothing,
            "discover photos --classes 3 --out photos/run",
            ("among the images", "--out"),
        ),
        Case(
            "a name that is too long",
            nothing,
            f"discover photos --classes 3 --out {'n' * 300}",
            ("nnn", "check the path"),
        ),
        Case(
            "a folder for maps that is a file",
            text("out", "x"),
            "maps photos --out out",
            ("'out' is a file", "name a new or empty folder"),
        ),
        Case(
            "a folder with maps of others",
            nothing,
            "maps photos --out maps",
            ("not made here", "without maps"),
        ),
        Case(
            "a sheet that is no picture",
            nothing,
            "data check photos --sheet sheet.pdf",
            ("sheet.pdf", ".jpg or .png"),
        ),
        Case(
            "a layout that there is not",
            nothing,
            "data prepare coco photos --out m.csv",
            ("'coco'", "use one of"),
        ),
        Case(
            "a data set in another layout",
            nothing,
            "data prepare mtd photos --out m.csv",
            ("MT_*", "give the folder"),
        ),
        Case(
            "a manifest that is no table",
            nothing,
            "data prepare folders photos --out m.txt",
            ("m.txt", ".csv"),
        ),
    ],
    "Predictions": [
        Case(
            "a run that does not exist",
            nothing,
            "predict nowhere photos --out out",
            ("nowhere", "check the path"),
        ),
        Case(
            "images in place of a run",
            nothing,
            "predict photos photos --out out",
            ("photos", "check the path"),
        ),
        Case(
            "new images that do not exist",
            nothing,
            "predict run nowhere --out out",
            ("'nowhere'", "check the path"),
        ),
        Case(
            "maps for a model that makes its own",
            nothing,
            f"{PREDICT} --maps maps",
            ("makes its own maps", "do not fit"),
        ),
        Case(
            "no masks for a model made from masks",
            nothing,
            "predict run_of_masks photos --out out",
            ("made from masks", "give the masks"),
        ),
        Case(
            "no maps for a model made from maps",
            nothing,
            "predict run_of_maps photos --out out",
            ("made from given maps", "give the maps"),
        ),
        Case(
            "other weights than those of the run",
            other_weights,
            f"{PREDICT} --weights other.st",
            ("not those", "weights"),
        ),
        Case(
            "a prediction into the run itself",
            nothing,
            "predict run photos --out run",
            ("'run'", "new or empty folder"),
        ),
        Case(
            "a prediction into a file",
            text("out", "x"),
            PREDICT,
            ("'out' is a file", "name a new or empty folder"),
        ),
        Case(
            "a model without its tensors",
            gone("run/model/model.safetensors"),
            PREDICT,
            ("model.safetensors", "copy both files"),
        ),
        Case(
            "a model without its description",
            gone("run/model/model.json"),
            PREDICT,
            ("model.json", "copy it again"),
        ),
        Case(
            "truncated tensors",
            cut("run/model/model.safetensors", 900),
            PREDICT,
            ("model.safetensors", "copy the model again"),
        ),
        Case(
            "a description that is no JSON",
            text("run/model/model.json", "{"),
            PREDICT,
            ("model.json", "make it again"),
        ),
        Case(
            "a model of another version",
            edited("run/model/model.json", lambda one: one.update(format=9)),
            PREDICT,
            ("format 9", "fit the model again"),
        ),
        Case(
            "a description without settings",
            edited("run/model/model.json", lambda one: one.pop("config")),
            PREDICT,
            ("model.json", "fit the model again"),
        ),
        Case(
            "a description with a parameter that there is not",
            edited("run/model/model.json", lambda one: one["parameters"].update(colour=1)),
            PREDICT,
            ("model", "fit the model again"),
        ),
        Case(
            "a description with text for a number",
            edited("run/model/model.json", lambda one: one["score_range"].update(low="x")),
            PREDICT,
            ("model.json", "fit the model again"),
        ),
    ],
    "Finished runs": [
        Case(
            "evaluating what is no run",
            nothing,
            "evaluate photos",
            ("'photos'", "folder of a finished run"),
        ),
        Case(
            "a report of what is no run",
            nothing,
            "report photos",
            ("'photos'", "run that was finished"),
        ),
        Case(
            "comparing what is no run",
            nothing,
            "compare run photos",
            ("'photos'", "folder of a finished run"),
        ),
        Case(
            "comparing runs over other images",
            swap("run_of_maps/images.csv", "0", "9"),
            "compare run run_of_maps",
            ("share no image", "same images"),
        ),
        Case(
            "a run of another version",
            edited("run/run.json", lambda one: one.update(format=99)),
            "report run",
            ("another version", "make it again"),
        ),
        Case(
            "a run of which nothing but a list is recorded",
            text("run/run.json", "[]"),
            "report run",
            ("run.json", "make it again"),
        ),
        Case(
            "a record without stages",
            edited("run/run.json", lambda one: one.pop("stages")),
            "report run",
            ("run.json", "make the run again"),
        ),
        Case(
            "a truncated record", cut("run/run.json"), "report run", ("run.json", "make it again")
        ),
        Case(
            "a table of images without scores",
            swap("run/images.csv", "score", "scores"),
            "report run",
            ("'score'", "make the run again"),
        ),
        Case(
            "a table of images with text for scores",
            swap("run/images.csv", ",True,", ",perhaps,", 1),
            "report run",
            ("'normal'", "make the run again"),
        ),
        Case(
            "an empty table of images",
            raw("run/images.csv", b""),
            "evaluate run",
            ("images.csv", "make the run again"),
        ),
        Case(
            "a table of images of random bytes",
            raw("run/images.csv", bytes(range(256))),
            "evaluate run",
            ("images.csv", "make the run again"),
        ),
        Case(
            "a table of regions of another run",
            swap("run/regions.csv", "spot/000", "spot/777"),
            "report run",
            ("'run'", "do not belong together"),
        ),
        Case(
            "damaged descriptors",
            cut("run/features.npy"),
            "report run",
            ("features.npy", "make the run again"),
        ),
        Case(
            "descriptors of another run",
            array("run/features.npy", np.zeros((1, 4))),
            "report run",
            ("do not belong together", "make it again"),
        ),
        Case(
            "a mask of a run is missing",
            gone("run_of_masks/masks"),
            "report run_of_masks",
            ("masks", "check the path"),
        ),
        Case(
            "an operating point of a run without known images",
            both(*(swap(f"run/{one}.csv", "good/", "fine/") for one in ("images", "regions"))),
            "operate run --max-overkill 0.1",
            ("which parts are OK", "--normals"),
        ),
        Case(
            "an operating point for a prediction",
            gone("run/run.json"),
            "operate run --max-overkill 0.1",
            ("run.json", "finished"),
        ),
        Case(
            "an operating point of no costs",
            nothing,
            "operate run",
            ("--escape-cost", "--max-overkill"),
        ),
        Case("a negative cost", nothing, "operate run --escape-cost -5", ("-5", "from 0")),
        Case(
            "a cost that is no number", nothing, "operate run --escape-cost nan", ("nan", "from 0")
        ),
        Case(
            "more overkill than there can be",
            nothing,
            "operate run --max-overkill 7",
            ("overkill 7", "0..1"),
        ),
        Case(
            "a share that is none",
            nothing,
            "operate run --escape-cost 9 --defect-share 2",
            ("2", "0..1"),
        ),
        Case(
            "a damaged operating point",
            text("run/operating.json", '{"threshold": "x", "overkill": 0, "escapes": 0}'),
            "report run",
            ("operating.json", "choose the point again"),
        ),
    ],
}
ALL = [case for cases in CASES.values() for case in cases]


def swap_bytes(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def call(line: str) -> Result:
    return CliRunner().invoke(app, line.split(), prog_name="anomalyncd")


def fill(place: Path) -> None:
    """Everything in good order: images, maps, masks, a base set, weights and three runs."""
    for group, kind in enumerate(KINDS):
        for index in range(4):
            seed, name = 10 * group + index, f"{kind}/{index:03}"
            image(f"photos/{name}.png", picture(kind, seed))(place)
            (place / "maps" / kind).mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(seed).random((72, 96), np.float32) / 4
            np.save(place / f"maps/{name}.npy", damage(kind, seed) + noise)
            if kind != "good":
                image(f"masks/{name}_mask.png", damage(kind, seed))(place)
        for index in range(2):
            image(f"base/test/{kind}/{index:03}.png", picture(kind, 50 + index))(place)
            if kind != "good":
                marked = damage(kind, 50 + index)
                image(f"base/ground_truth/{kind}/{index:03}_mask.png", marked)(place)
    for line in ("run", "run_of_maps --maps maps", "run_of_masks --masks masks"):
        assert call(f"discover photos --classes 3 --out {line}").exit_code == 0


def use_weights(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Makes the default backbone tiny, with random weights."""
    use_tiny(patch, folder / "cache")
    patch.delitem(BACKBONES, "tiny")
    patch.setitem(BACKBONES, DEFAULT_BACKBONE, TINY)
    folder.mkdir(parents=True, exist_ok=True)
    patch.setenv(WEIGHTS_VARIABLE, str(write_tiny_weights(folder / "weights.safetensors")))


@pytest.fixture(scope="module")
def good_order(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with everything in good order; nobody writes into it."""
    place = tmp_path_factory.mktemp("order")
    with pytest.MonkeyPatch.context() as patch:
        use_weights(place, patch)
        patch.chdir(place)
        fill(place)
        yield place


@pytest.fixture
def place(good_order: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the working folder."""
    shutil.copytree(good_order, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def tree(place: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder, with its size and time."""
    found = {str(path): path.stat() for path in place.rglob("*")}
    return {path: (one.st_size, one.st_mtime_ns) for path, one in found.items()}


def row(case: Case, said: str, place: Path) -> str:
    """A row of the page, the place cut off the paths."""
    plain = said.removeprefix("error: ").strip()
    for start in (f"{place.resolve()}{os.sep}", f"{place}{os.sep}"):
        plain = plain.replace(start, "")
    plain = plain.replace("n" * 300, "nnn...").replace("|", "\\|")
    # The reasons of libraries change with their versions.
    plain = re.sub(r"(is damaged|cannot be (?:read|used)|line \d+) \(.*\)(?=;)", r"\1 (...)", plain)
    plain = re.sub(r"(Invalid value for '.*?'): .*(?=; see)", r"\1 (...)", plain)
    return f"| {case.wrong} | `{plain}` |"


@pytest.mark.parametrize("case", ALL, ids=[case.wrong.replace(" ", "-") for case in ALL])
def test_bad_input_is_one_line(case: Case, place: Path) -> None:
    case.make(place)
    before, started = tree(place), time.perf_counter()
    result = call(case.line)
    assert time.perf_counter() - started < SECONDS
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    for words in case.said:
        assert words in result.stderr
    assert tree(place) == before
    shown = PAGE.read_text(encoding="utf-8").splitlines()
    assert row(case, result.stderr, place) in shown, "run this file as a script"


def test_the_page_holds_every_case_and_no_other() -> None:
    assert len(ALL) >= 60
    assert len({case.wrong for case in ALL}) == len(ALL)
    told = re.findall(r"^\| (.+?) \| `", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert told == [case.wrong for case in ALL]


def page(good_order: Path, folder: Path, patch: pytest.MonkeyPatch) -> str:
    """The table of all cases, a section a subject."""
    lines = [INTRODUCTION]
    for number, (subject, cases) in enumerate(CASES.items()):
        lines += [f"## {subject}\n", "| what is wrong | what is said |", "|---|---|"]
        for index, case in enumerate(cases):
            place = folder / f"{number}-{index}"
            shutil.copytree(good_order, place)
            patch.chdir(place)
            case.make(place)
            lines.append(row(case, call(case.line).stderr, place))
        lines.append("")
    return "\n".join(lines)


FUZZED = {
    "photos/line/001.png": DISCOVER,
    "maps/line/001.npy": f"{DISCOVER} --maps maps",
    "masks/line/000_mask.png": f"{DISCOVER} --masks masks",
    "images.csv": MANIFEST,
    "images.jsonl": "discover images.jsonl --classes 2 --out out",
    "images.parquet": "discover images.parquet --classes 2 --out out",
    "boxes.csv": BOXES,
    "weights.safetensors": f"{DISCOVER} --weights weights.safetensors",
    "run/model/model.json": PREDICT,
    "run/model/model.safetensors": PREDICT,
    "run/run.json": "report run",
    "run/images.csv": "report run",
    "run/regions.csv": "report run",
    "run/classes.csv": "report run",
    "run/features.npy": "report run",
    "run/attention.npy": "report run",
    "run/counts.npy": "report run",
    "run/operating.json": "report run",
}


@pytest.mark.parametrize("path", FUZZED)
@given(data=st.data())
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_random_bytes_end_in_a_result_or_in_one_line(
    path: str, place: Path, data: st.DataObject
) -> None:
    """The file is replaced by random bytes, or some bytes in it are."""
    target = place / path
    kept = place.parent / f"kept{target.suffix}"
    if not kept.is_file():
        good = target.read_bytes() if target.is_file() else b"image,lot\nphotos/good/000.png,1\n"
        kept.write_bytes(good)
    content = bytearray(kept.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        where = data.draw(st.integers(0, max(0, len(content) - 1)))
        length = data.draw(st.integers(0, 8))
        content[where : where + length] = data.draw(st.binary(max_size=8))
    if data.draw(st.booleans()):
        content = bytearray(data.draw(st.binary(max_size=64)))
    shutil.rmtree(place / "out", ignore_errors=True)
    target.write_bytes(content)
    result = call(FUZZED[path])
    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    assert result.exit_code in (0, 2), result.output
    assert result.exit_code == 0 or result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == (1 if result.exit_code else 0), result.stderr


def main() -> None:
    """Prints the page."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        order = Path(folder).resolve() / "order"
        use_weights(order, patch)
        patch.chdir(order)
        fill(order)
        sys.stdout.write(page(order, order.parent / "cases", patch))
        patch.undo()


if __name__ == "__main__":
    main()
