"""The readers that `fuzz.py` tries, each with small valid inputs to start from.

An input is the name of a file in the first line, and its content behind it; of the servers it is a
request: method and address in the first line, headers up to an empty line, and the body.
"""

import asyncio
import base64
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from anomalyncd import AnomalyNCD
from anomalyncd.errors import InputError
from anomalyncd.exchange.labelled import label_run
from anomalyncd.exchange.reading import read_labels
from anomalyncd.exchange.run_labels import export_labels
from anomalyncd.exchange.writing import LABEL_FORMATS, write_labels
from anomalyncd.images.image_set import ImageSet
from anomalyncd.images.manifest import Manifest
from anomalyncd.images.pixels import read_image
from anomalyncd.inputs.annotations import read_annotations
from anomalyncd.inputs.boxes import read_boxes
from anomalyncd.inputs.mask_files import read_kinds, read_mask
from anomalyncd.io.arrays import read_map
from anomalyncd.labels.history import lines
from anomalyncd.line.limits import Limits, check_size
from anomalyncd.line.pictures import read_picture
from anomalyncd.line.verdict import Verdict
from anomalyncd.results.model_summary import summarise_model
from anomalyncd.results.operating_point import read_point
from anomalyncd.results.run_folder import read_run
from anomalyncd.workflows import discover_run
from support.labels import labelled_regions
from support.line import TOKEN, FakePredictor, picture, service_of, verdict_of
from support.quick import picture as plate
from support.quick import use_tiny, write_tiny_weights
from support.review import HOST, PORT
from support.review import TOKEN as REVIEW_TOKEN

_TEXTS = (".json", ".xml", ".txt", ".csv", ".yaml")
Read = Callable[[str, bytes, Path], None]
SIZE = (48, 64)
"""Height and width of the image that manifests and annotations are about."""


@dataclass(frozen=True)
class Target:
    """A reader."""

    seeds: list[bytes]
    """Valid inputs."""
    read: Read
    """Reads one input: the name of a file, its content, and a folder for it."""


def quietly(read: Read) -> Read:
    """Leaves out warnings, and lets pass what a reader may raise."""

    def reads(name: str, content: bytes, place: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read(name, content, place)
            except InputError as error:
                if "\n" in str(error).strip():
                    raise AssertionError("a message of several lines") from error

    return reads


def placed(name: str, content: bytes, place: Path) -> Path:
    """Writes the one file of an input."""
    path = place / Path(name).name.replace("\0", "") if name else place / "x"
    path = place / "x" if path == place else path
    path.write_bytes(content)
    return path


def image(_: Path) -> Target:
    def read(name: str, content: bytes, place: Path) -> None:
        path = placed("x", content, place)
        for reader in (lambda: read_image(path), lambda: sent(content)):
            with suppress(InputError):
                reader()

    def sent(content: bytes) -> None:
        check_size(content, "x", Limits())
        read_picture(content, "x", None)

    return Target([b"x\n" + one for one in pictures()], quietly(read))


def mask(_: Path) -> Target:
    def read(name: str, content: bytes, place: Path) -> None:
        path = placed("x", content, place)
        read_mask(path)
        read_kinds(path)

    return Target([b"x\n" + one for one in pictures()], quietly(read))


def pictures() -> list[bytes]:
    """A small file of every format and depth."""
    made = []
    grey = np.arange(48, dtype=np.uint16).reshape(6, 8)
    depths = {
        "L": Image.fromarray((grey * 5).astype(np.uint8)),
        "I;16": Image.fromarray(grey * 1000),
        "F": Image.fromarray(grey.astype(np.float32) / 48),
        "RGB": Image.fromarray(np.dstack([grey * 5] * 3).astype(np.uint8)),
        "RGBA": Image.fromarray(np.dstack([grey * 5] * 4).astype(np.uint8)),
        "P": Image.fromarray((grey * 5).astype(np.uint8)).convert("P"),
        "1": Image.fromarray((grey * 5).astype(np.uint8)).convert("1"),
    }
    kinds = ("PNG", "TIFF", "JPEG", "BMP", "GIF", "WEBP", "PPM", "TGA", "PCX", "JPEG2000", "AVIF")
    for kind in (*kinds, "EPS", "ICO", "PSD", "DDS", "SGI", "MPO"):
        for one in depths.values():
            file = io.BytesIO()
            try:
                one.save(file, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
            except Exception:
                continue
            made.append(file.getvalue())
    file, larger = io.BytesIO(), depths["L"].resize((16, 12))
    depths["L"].save(file, "TIFF", save_all=True, append_images=[larger], tiffinfo={274: 6})
    made.append(file.getvalue())
    return made


def anomaly_map(_: Path) -> Target:
    def read(name: str, content: bytes, place: Path) -> None:
        read_map(placed(name, content, place))

    scores = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)
    made = {}
    for kind, write in {"npy": np.save, "npz": np.savez_compressed}.items():
        file = io.BytesIO()
        write(file, scores)
        made[f"a.{kind}"] = file.getvalue()
    file = io.BytesIO()
    np.save(file, np.array([[None]], dtype=object))
    made["b.npy"] = file.getvalue()
    several: list[Any] = [torch.tensor(scores), {"anomaly_map": torch.tensor(scores).half()}]
    several += [torch.tensor(scores).to_sparse(), torch.zeros(1).expand(4, 5), np.float64(3)]
    several += [torch.quantize_per_tensor(torch.tensor(scores), 0.1, 0, torch.quint8)]
    several += [torch.zeros(2, 2, dtype=torch.complex64).conj().imag, torch.nn.Linear(1, 1).weight]
    for number, one in enumerate(several):
        file = io.BytesIO()
        torch.save(one, file)
        made[f"{number}.pt"] = file.getvalue()
    file = io.BytesIO()
    Image.fromarray(scores).save(file, "TIFF")
    made["a.tif"] = file.getvalue()
    return Target([name.encode() + b"\n" + one for name, one in made.items()], quietly(read))


def manifest(_: Path) -> Target:
    csv = b"image,mask,label,split\na.png,,good,test\nb.png,b.png,bad,train\n"
    boxes = b"name;left;top;right;bottom;class_name\na;1;2;10,5;20;scratch\nb;0;0;5;5;dent\n"
    table = pd.DataFrame({"image": ["a.png", "b.png"], "label": ["x", None], "n": [1.5, 2.0]})
    parquet = io.BytesIO()
    table.to_parquet(parquet)
    nested = pd.DataFrame({"image": ["a.png"], "x": [[1, 2]], "d": [{"a": 1}], "b": [b"\xff"]})
    nested["time"] = pd.Timestamp("2020-01-01", tz="UTC")
    second = io.BytesIO()
    nested.to_parquet(second)
    rows = b'{"image": "a.png", "label": "x", "n": 3}\n{"image": "b.png", "n": [1, null]}\n'
    sep = b"\xef\xbb\xbfsep=;\r\nimage;label\r\na.png;'=1\r\n"
    made = {"m.csv": csv, "b.csv": boxes, "m.jsonl": rows, "s.csv": sep}
    made |= {"m.parquet": parquet.getvalue(), "n.parquet": second.getvalue()}

    def read(name: str, content: bytes, place: Path) -> None:
        for one in ("a", "b"):
            if not (place / f"{one}.png").is_file():
                Image.new("L", SIZE[::-1]).save(place / f"{one}.png")
        path = placed(name, content, place)
        images = ImageSet.from_list([place / "a.png", place / "b.png"])
        sizes = pd.DataFrame({"name": ["a", "b"], "height": SIZE[0], "width": SIZE[1]})
        for reader in (
            lambda: Manifest.read(path).of_split("train"),
            lambda: [one.mask(*SIZE) for one in read_boxes(path, images).values()],
            lambda: read_labels(path, sizes),
        ):
            with suppress(InputError):
                reader()

    return Target([name.encode() + b"\n" + one for name, one in made.items()], quietly(read))


def annotation(made: Path) -> Target:
    made.mkdir(parents=True)
    labelled = labelled_regions(made)
    seeds = []
    for one in LABEL_FORMATS:
        write_labels(labelled, one, made / one)
        texts = [path for path in sorted((made / one).rglob("*")) if path.suffix in _TEXTS]
        seeds += [path.name.encode() + b"\n" + path.read_bytes()[:20_000] for path in texts]
    points = [[1, 2], [30, 4], [9, 20]]
    kinds = ("polygon", "rectangle", "circle", "line")
    shapes = [
        {"label": "x", "shape_type": kind, "points": points[: 3 if kind == "polygon" else 2]}
        for kind in kinds
    ]
    file = io.BytesIO()
    Image.new("1", (2, 2), 1).save(file, "PNG")
    png = base64.b64encode(file.getvalue()).decode()
    shapes.append({"label": "m", "shape_type": "mask", "points": [[3, 4]], "mask": png})
    height, width = SIZE
    labelme = {"shapes": shapes, "imageHeight": height, "imageWidth": width, "imagePath": "a.png"}
    seeds.append(b"a.json\n" + json.dumps(labelme).encode())
    runs = {"counts": [3, 5, height * width - 8], "size": [height, width]}
    one = {"id": 1, "file_name": "a.png", "height": height, "width": width}
    coco = {
        "images": [one],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": runs},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]},
            {"id": 3, "image_id": 1, "segmentation": {"counts": "05o0", "size": [2, 2]}},
        ],
    }
    seeds.append(b"c.json\n" + json.dumps(coco).encode())
    seeds.append(b"a.txt\n0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.2 0.3 0.1\n")
    seeds.append(b"data.yaml\nnames: {0: x, 1: y}\npath: .\n")
    voc = b"<annotation><size><width>64</width><height>48</height></size><object><name>x</name>"
    voc += b"<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
    seeds.append(b"a.xml\n" + voc + b"</annotation>")
    cvat = b'<annotations><image name="a.png" width="64" height="48">'
    cvat += b'<box label="x" xtl="1" ytl="2" xbr="9" ybr="9" rotation="30"/>'
    cvat += b'<ellipse label="x" cx="9" cy="9" rx="3" ry="4"/>'
    cvat += b'<mask label="x" left="1" top="2" width="2" height="2" rle="1,3"/>'
    seeds.append(b"c.xml\n" + cvat + b"</image></annotations>")
    studio = [
        {
            "id": 1,
            "data": {"image": "/a.png"},
            "annotations": [{"result": [_studio_box(), _studio_choice()]}],
        }
    ]
    seeds.append(b"s.json\n" + json.dumps(studio).encode())

    def read(name: str, content: bytes, place: Path) -> None:
        if not (place / "a.png").is_file():
            Image.new("L", SIZE[::-1]).save(place / "a.png")
        folder = place / "labels"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = placed(name, content, folder)
        images = ImageSet.from_list([place / "a.png"])
        sizes = pd.DataFrame({"name": ["a"], "height": [SIZE[0]], "width": [SIZE[1]]})
        if path.name == "data.yaml":
            (folder / "a.txt").write_text("0 0.5 0.5 0.25 0.25\n", encoding="utf-8")
        source = folder if path.suffix in (".txt", ".yaml") else path

        def draw() -> None:
            for shapes in read_annotations(source, images).values():
                shapes.refuse_misfit("a", np.array(SIZE))
                shapes.mask(*SIZE)

        for reader in (draw, lambda: read_labels(source, sizes)):
            with suppress(InputError):
                reader()

    return Target(seeds, quietly(read))


def _studio_box() -> dict[str, Any]:
    value = {"x": 5, "y": 6, "width": 20, "height": 30, "rotation": 10, "rectanglelabels": ["x"]}
    return {"original_width": SIZE[1], "original_height": SIZE[0], "value": value}


def _studio_choice() -> dict[str, Any]:
    return {"value": {"choices": ["x"]}}


def verdict(_: Path) -> Target:
    def read(name: str, content: bytes, place: Path) -> None:
        if name == "operating_point.json":
            placed(name, content, place)
            read_point(place)
            return
        try:
            fields = json.loads(content)
        except (ValueError, RecursionError):
            return
        Verdict.from_dict(fields).to_dict()

    made = json.dumps(verdict_of("a", "class").to_dict()).encode()
    point = {"threshold": 0.5, "overkill": 0.1, "escapes": None, "rule": "x"}
    seeds = [b"v.json\n" + made, b"operating_point.json\n" + json.dumps(point).encode()]
    return Target(seeds, quietly(read))


def _small_run(made: Path) -> tuple[Path, Path]:
    """A finished run of twelve images, and its weights, made by a process without atheris."""
    environment = {name: value for name, value in os.environ.items() if "NUMBA" not in name}
    subprocess.run([sys.executable, __file__, made], check=True, env=environment)
    use_tiny(pytest.MonkeyPatch(), made / "cache")
    return made / "run", made / "tiny.safetensors"


def _make_run(made: Path) -> None:
    use_tiny(pytest.MonkeyPatch(), made / "cache")
    for group, kind in enumerate(("good", "line", "spot")):
        (made / "plates" / kind).mkdir(parents=True)
        for index in range(4):
            pixels = plate(kind, 10 * group + index)
            Image.fromarray(pixels).save(made / "plates" / kind / f"{index:03}.png")
    weights = write_tiny_weights(made / "tiny.safetensors")
    discover_run(AnomalyNCD(3, backbone="tiny", weights=weights), made / "plates", made / "run")
    read_run(made / "run").labels.edit(1, name="scratch")


def run_folder(made: Path) -> Target:
    whole, _ = _small_run(made)
    names = ("images.csv", "regions.csv", "classes.csv", "run.json", "features.npy", "counts.npy")

    def read(name: str, content: bytes, place: Path) -> None:
        folder = place / "run"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("model", "report.html"))
        if name not in (*names, "probabilities.npy"):
            return
        (folder / name).write_bytes(content)
        run = read_run(folder)
        run.labels.edit(1, name="dent")
        label_run(run)
        for one in LABEL_FORMATS:
            shutil.rmtree(place / "out", ignore_errors=True)
            with suppress(InputError):
                export_labels(run, one, place / "out")

    seeds = [name.encode() + b"\n" + (whole / name).read_bytes() for name in names]
    seeds.append(b"probabilities.npy\n" + (whole / "probabilities.npy").read_bytes())
    return Target(seeds, quietly(read))


def model(made: Path) -> Target:
    run, weights = _small_run(made)

    def read(name: str, content: bytes, place: Path) -> None:
        folder = place / "model"
        if not folder.is_dir():
            shutil.copytree(run / "model", folder)
        description = (run / "model" / "model.json").read_bytes()
        tensors = (run / "model" / "model.safetensors").read_bytes()
        if name == "model.json":
            description = content
        else:
            tensors = content
            stated = json.loads(description) | {"tensors": hashlib.sha256(content).hexdigest()}
            description = json.dumps(stated).encode()
        (folder / "model.json").write_bytes(description)
        (folder / "model.safetensors").write_bytes(tensors)
        for reader in (
            lambda: AnomalyNCD.load(folder, weights=weights, device="cpu"),
            lambda: summarise_model(folder),
        ):
            with suppress(InputError):
                reader()

    small = [(run / "model" / one).read_bytes() for one in ("model.json", "model.safetensors")]
    seeds = [b"model.json\n" + small[0]]
    if len(small[1]) < 100_000:
        seeds.append(b"model.safetensors\n" + small[1])
    return Target(seeds, quietly(read))


def label_book(made: Path) -> Target:
    run_of, _ = _small_run(made)
    run = read_run(run_of)
    book = run.labels
    book.move(book.ids[:2], 2)
    book.new_class("new", book.ids[:1])
    book.merge(1, [2])
    book.undo()
    book.redo()
    rows = [[one.name, one.arguments] for one in book.history]
    whole = (run_of / "labels.sqlite").read_bytes()

    def read(name: str, content: bytes, place: Path) -> None:
        path = run_of / "labels.sqlite"
        for one in run_of.glob("labels.sqlite*"):
            one.unlink()
        path.write_bytes(content if name == "labels.sqlite" else whole)
        if name == "log.json":
            try:
                stated = [(str(one), json.dumps(two)) for one, two in json.loads(content)]
            except (ValueError, TypeError, RecursionError):
                return
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("DELETE FROM log")
                for row in stated:
                    try:
                        connection.execute(
                            "INSERT INTO log (time, author, name, arguments) VALUES ('','',?,?)",
                            row,
                        )
                    except UnicodeEncodeError:
                        return
        opened = run.labels
        state = opened.state
        opened.said()
        lines(opened.history, state)
        opened.edit(1, name="other name")

    seeds = [b"labels.sqlite\n" + whole, b"log.json\n" + json.dumps(rows).encode()]
    return Target(seeds, quietly(read))


class Decoding(FakePredictor):
    """Decodes as a predictor does, and says that all is well."""

    def predict(self, image: bytes, name: str | None = None) -> Verdict:
        read_picture(image, name, None)
        return verdict_of(str(name), "normal")


def serve(made: Path) -> Target:
    from anomalyncd.line.server import make_app

    made.mkdir(parents=True)
    (made / "root").mkdir()
    (made / "root" / "a.png").write_bytes(picture())
    (made / "secret.png").write_bytes(picture())
    (made / "root" / "link.png").symlink_to(made / "secret.png")
    app = make_app(service_of(Decoding(), made / "root"), TOKEN)
    head = b"host: 127.0.0.1\nauthorization: Bearer " + TOKEN.encode() + b"\ncontent-type: "
    part = b'--B\r\nContent-Disposition: form-data; name="i"; filename="a.png"\r\n\r\n'
    form = part + picture() + b"\r\n--B--\r\n"
    seeds = [
        b"POST /v1/classify\n" + head + b"multipart/form-data; boundary=B\n\n" + form,
        b"POST /v1/classify\n"
        + head
        + b"multipart/form-data; boundary=B; charset=ascii\n\n"
        + form,
        b"POST /v1/classify\n" + head + b'application/json\n\n{"paths": ["a.png", "link.png"]}',
        b"GET /v1/classes\n" + head + b"x\n\n",
        b"POST /v1/model:reload\n" + head + b"x\n\n",
        b"GET /metrics\n" + head + b"x\n\n",
        b"GET /readyz\n\n",
    ]
    return Target(seeds, _asked(app, "127.0.0.1", TOKEN))


def review(made: Path) -> Target:
    from anomalyncd.review.server import make_app
    from anomalyncd.review.session import ReviewSession

    folder, _ = _small_run(made)
    run = read_run(folder)
    session = ReviewSession(run, run.labels)
    app = make_app(session, REVIEW_TOKEN, PORT)
    head = f"host: {HOST}\nauthorization: Bearer {REVIEW_TOKEN}\ncookie: a=b\n\n".encode()
    gets = (
        *("/api/state", "/api/regions?view=class&class=1&order=unsure&offset=0&limit=3"),
        *("/api/regions/1", "/api/projection", "/api/assignment", "/api/history"),
        *("/api/classes/1/similar", "/api/classes/1/split?parts=2", "/api/proposals"),
        *("/api/images?class=1&offset=1&limit=2", "/api/image?name=line/000"),
        *("/picture/region/1.jpg?side=64", "/picture/attention/1.jpg"),
        *("/picture/image.jpg?name=line/000&side=200", "/picture/map.png?name=line/000"),
        *("/picture/outlines.json?name=line/000", "/", "/label-book", "/report"),
        "/static/js/api.js",
    )
    seeds = [f"GET {one}\n".encode() + head for one in gets]
    actions: tuple[dict[str, Any], ...] = (
        {"action": "edit", "class": 1, "name": "x", "colour": "#ff0000", "escape_cost": 1.5},
        {"action": "edit", "class": 1, "examples": [1], "severity": "major", "kind": "defect"},
        {"action": "move", "regions": [1, 2], "class": 2},
        {"action": "move_images", "images": ["line/000"], "class": None},
        {"action": "confirm", "regions": [1]},
        {"action": "new_class", "name": "y", "regions": [3]},
        {"action": "merge", "into": 1, "classes": [2]},
        {"action": "split", "class": 1, "remaining": [1], "parts": {"z": [2]}},
        {"action": "undo"},
        {"action": "redo"},
    )
    seeds += [b"POST /api/actions\n" + head + json.dumps(one).encode() for one in actions]
    book = folder / "labels.sqlite"
    whole, asked, count = book.read_bytes(), _asked(app, HOST, REVIEW_TOKEN), 0

    def read(name: str, content: bytes, place: Path) -> None:
        nonlocal count
        count += 1
        asked(name, content, place)
        if count % 400 == 0:  # A log of thousands of rows is slow for its own reason.
            with closing(sqlite3.connect(":memory:")) as old, closing(sqlite3.connect(book)) as new:
                old.deserialize(whole)
                last = old.execute("SELECT max(number) FROM log").fetchone()[0]
                with new:
                    new.execute("DELETE FROM log WHERE number > ?", (last + 200,))

    return Target(seeds, read)


def _asked(app: Any, host: str, token: str) -> Read:
    """Sends a request to an application in this process; what it raises is a finding."""
    loop = asyncio.new_event_loop()

    def read(name: str, content: bytes, place: Path) -> None:
        method, _, address = name.partition(" ")
        path, _, query = address.partition("?")
        head, _, body = content.partition(b"\n\n")
        headers = []
        for line in head.split(b"\n"):
            key, found, value = line.partition(b": ")
            if found:
                headers.append((key.lower().strip(), value.strip()))
        headers = [one for one in headers if one[0] != b"content-length"]
        if len(content) % 8:  # Most requests may ask, whatever became of their headers.
            headers += [(b"host", host.encode()), (b"authorization", f"Bearer {token}".encode())]
        if body:
            headers.append((b"content-length", str(len(body)).encode()))
        raw = path.encode("latin-1", "replace")
        scope = {
            **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1"},
            **{"method": method or "GET", "scheme": "http", "path": unquote(path, "utf-8")},
            **{"raw_path": raw, "query_string": query.encode("latin-1"), "headers": headers},
            **{"root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", PORT)},
        }
        if "events" in path:
            return
        status: list[int] = []
        given = False

        async def receive() -> dict[str, Any]:
            nonlocal given
            if given:
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])

        loop.run_until_complete(asyncio.wait_for(app(scope, receive, send), 60))
        assert status, "no answer"
        assert status[0] < 500, f"status {status[0]} of {method} {path[:60]}"

    return read


TARGETS: dict[str, Callable[[Path], Target]] = {
    "image": image,
    "mask": mask,
    "map": anomaly_map,
    "manifest": manifest,
    "annotation": annotation,
    "verdict": verdict,
    "run": run_folder,
    "model": model,
    "labels": label_book,
    "serve": serve,
    "review": review,
}

if __name__ == "__main__":
    _make_run(Path(sys.argv[1]))
