"""Seconds and memory of each step that learns from regions, with as many regions as wanted.

    python benchmarks/scale.py RUN --regions 10000 --regions 100000 --out scale.json

Regions are simulated: descriptors of a finished run, drawn at random, plus noise. Every step runs
in a process of its own. `peak` is the largest resident set in GB, with the libraries and all files
that are mapped; `own` leaves out pages of mapped files, which the system takes back at need.
`processor` adds up the seconds of all cores; on a busy machine it says more than `seconds`.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from numpy.typing import NDArray

from anomalyncd.backbone.catalogue import BACKBONES
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import PRESETS
from anomalyncd.correction.asking import order_to_ask
from anomalyncd.correction.correction import fit_correction
from anomalyncd.discovery.class_number import estimate_n_classes
from anomalyncd.discovery.discover import Discovery, describe_start, discover_classes
from anomalyncd.discovery.normality import fit_normality
from anomalyncd.discovery.novelty import fit_novelty
from anomalyncd.discovery.prototypes import spherical_kmeans
from anomalyncd.discovery.reliability import fit_reliability
from anomalyncd.discovery.sampling import sample_of_images
from anomalyncd.embedding.checkpoint import Checkpoint
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.mean_store import MeanStore
from anomalyncd.embedding.region_store import BATCH, join_batches
from anomalyncd.io.tables import ENCODING
from anomalyncd.labels.book import FILE as LABELS
from anomalyncd.regions.shapes import N_MEASURES
from anomalyncd.regions.table import CodedMasks, Regions
from anomalyncd.report import contents
from anomalyncd.report.projection import project, projection
from anomalyncd.results.run_folder import Run, read_run
from anomalyncd.review import answers
from anomalyncd.review.groups import similar_classes
from anomalyncd.review.session import ReviewSession
from anomalyncd.runtime.measurement import Stages

N_CLASSES, N_SAID, N_NEW, PER_IMAGE = 8, 200, 100, 4
BACKBONE = "vit_small_patch8_224.dino"
"""Has descriptors of 1152 numbers; its weights are random, since no image is read."""
GRID = (16, 16)
"""Rows and columns of patches in a crop with the default backbone."""
NOISE = 0.5
"""Length of the noise beside descriptors of length 1."""
BLOCK = 8192
SEED = 0


class Simulated:
    """Regions in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def array(self, name: str) -> NDArray[Any]:
        """An array of the folder, in memory."""
        return np.load(self.folder / "run" / f"{name}.npy")

    @property
    def regions(self) -> Regions:
        """Their table; every image has a few."""
        table = np.load(self.folder / "table.npz")
        return Regions(**{name: table[name] for name in table.files}, max_normal_score=0.5)

    @property
    def tokens(self) -> MeanStore:
        """Their descriptors before the discovery, mapped from their file."""
        described = np.load(self.folder / "run" / "features.npy", mmap_mode="c")
        mapped = described[:, :-N_MEASURES]  # Shapes have joined them.
        return MeanStore(torch.from_numpy(mapped))

    @property
    def run(self) -> Run:
        """A finished run with these regions."""
        return read_run(self.folder / "run")


def simulate(source: Path, folder: Path, n_regions: int) -> Simulated:
    """Writes a run with simulated regions; an existing one is used again."""
    run = folder / "run"
    if (folder / "table.npz").is_file():
        return Simulated(folder)
    shutil.rmtree(folder, ignore_errors=True)
    run.mkdir(parents=True)
    rng, known = np.random.default_rng(SEED), read_run(source)
    rows = rng.integers(len(known.features), size=n_regions)
    _write_descriptors(run / "features.npy", known.features, rows, rng)
    chances = known.probabilities[rows] + rng.uniform(0, 0.1, (n_regions, 1)).astype(np.float32)
    np.save(run / "probabilities.npy", chances / chances.sum(1, keepdims=True))
    table = known.regions.iloc[rows].reset_index(drop=True)
    n_images = -(-n_regions // PER_IMAGE)
    image = np.arange(n_regions) // PER_IMAGE
    originals = known.images.iloc[rng.integers(len(known.images), size=n_images)]
    images = originals.reset_index(drop=True).assign(n_regions=PER_IMAGE)
    masks, own = (
        np.array(images["name"].astype(str)),
        [f"{i // 1000:04}/{i:07}" for i in range(n_images)],
    )
    _link_masks(source, run, masks, own)
    images["name"] = own
    table["name"], table["found"] = np.array(own)[image], True
    table["score"] = (table["score"] + rng.normal(0, 0.02, n_regions)).clip(0, 1)
    images.to_csv(run / "images.csv", index=False, encoding=ENCODING)
    table.to_csv(run / "regions.csv", index=False, encoding=ENCODING)
    np.save(run / "counts.npy", np.zeros((n_images, 0), np.int64))
    for name in ("classes.csv", "normal_scores.npy", "run.json"):
        shutil.copy(source / name, run / name)
    np.savez(
        folder / "table.npz",
        image=image,
        box=table[["left", "top", "right", "bottom"]].to_numpy(np.float64),
        area=table["area"].to_numpy(np.int64),
        score=table["score"].to_numpy(np.float32),
        found=np.ones(n_regions, np.bool_),
        shape=rng.normal(size=(n_regions, 2)),
    )
    return Simulated(folder)


def _write_descriptors(
    path: Path, known: NDArray[np.float32], rows: NDArray[np.int64], rng: np.random.Generator
) -> None:
    width = known.shape[1]
    out = np.lib.format.open_memmap(path, "w+", np.float32, (len(rows), width))
    for start in range(0, len(rows), BLOCK):
        drawn = known[rows[start : start + BLOCK]]
        noise = rng.standard_normal(drawn.shape, np.float32) * np.float32(NOISE / width**0.5)
        noisy = drawn + noise
        out[start : start + BLOCK] = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    out.flush()


def _link_masks(source: Path, run: Path, masks: NDArray[np.str_], names: list[str]) -> None:
    for mask, name in zip(masks, names, strict=True):
        path = run / "masks" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to((source / "masks" / f"{mask}.png").resolve())


def _context(folder: Path) -> RunContext:
    config = PRESETS["default"].resolved()
    vit = VisionTransformer(BACKBONES[BACKBONE]).eval()
    return RunContext(RegionEncoder(vit, config.encoder), config, SEED, folder, Stages())


def _discovery(data: Simulated) -> Discovery:
    features, probabilities = data.array("features"), data.array("probabilities")
    context = _context(data.folder)
    few = slice(1000)
    found = discover_classes(context, *_some(data, few), None, N_CLASSES)
    return Discovery(found.classifier, found.normality, features, probabilities)


def _some(data: Simulated, rows: slice) -> tuple[Regions, MeanStore]:
    return data.regions.select(rows), MeanStore(data.tokens.means[rows])


def _said(count: int, n_classes: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(SEED)
    said = np.full(count, -1)
    said[rng.choice(count, N_SAID, replace=False)] = rng.integers(n_classes, size=N_SAID)
    return said


Prepared = Callable[[], Any]


def kept(data: Simulated) -> Prepared:
    """What is kept of every region is joined from batches, and saved for a rerun."""
    context, means = _context(data.folder), data.tokens.means
    regions = replace(data.regions, masks=CodedMasks((b"coded",)))
    attention = torch.rand(BATCH, 2, *GRID).half()
    parts = (MeanStore(rows, attention[: len(rows)]) for rows in means.split(BATCH))

    def work() -> object:
        store = join_batches(context, parts, len(means))
        Checkpoint(data.folder, "these regions").save(regions, store)
        return store

    return work


def normality(data: Simulated) -> Prepared:
    """How surely each region is normal."""
    features, regions = data.array("features"), data.regions
    return lambda: fit_normality(features, regions, SEED)


def prototypes(data: Simulated) -> Prepared:
    """k-means."""
    features, normal = data.array("features"), (data.regions.score < 0.3).astype(np.float32)
    return lambda: spherical_kmeans(features, normal, N_CLASSES, SEED)


def novelty(data: Simulated) -> Prepared:
    """How far each region differs from all others."""
    features, regions = data.array("features"), data.regions
    return lambda: fit_novelty(features, regions, np.arange(len(features)), SEED)


def class_number(data: Simulated) -> Prepared:
    """The stage `class_number`: descriptors at the start, and the estimate."""
    context, regions, tokens = _context(data.folder), data.regions, data.tokens

    def work() -> object:
        rows = sample_of_images(regions.image, SEED)
        features, known = describe_start(context, regions, tokens, None, rows)
        config = context.config.class_number
        return estimate_n_classes(features, regions.select(rows), known, config, SEED)

    return work


def discovery(data: Simulated) -> Prepared:
    """The stage `discovery`."""
    context, regions, tokens = _context(data.folder), data.regions, data.tokens
    return lambda: discover_classes(context, regions, tokens, None, N_CLASSES)


def reliability(data: Simulated) -> Prepared:
    """The stage `reliability`."""
    found, regions = _discovery(data), data.regions
    config = PRESETS["default"].reliability
    return lambda: fit_reliability(found, regions, config, SEED)


def correction(data: Simulated) -> Prepared:
    """What follows for all regions from what was said about 200, and for 100 new ones."""
    features, probabilities, regions = (
        data.array("features"),
        data.array("probabilities"),
        data.regions,
    )
    n_classes = probabilities.shape[1]
    said = _said(len(features), n_classes)

    def work() -> object:
        same = np.arange(n_classes)
        fitted, _ = fit_correction(features, regions, probabilities, said, n_classes, same, SEED)
        new = slice(N_NEW)
        return fitted.apply(features[new] + 0.01, regions.score[new], probabilities[new])

    return work


def asking(data: Simulated) -> Prepared:
    """Which regions a person is asked about first."""
    features, probabilities, regions = (
        data.array("features"),
        data.array("probabilities"),
        data.regions,
    )
    said = _said(len(features), probabilities.shape[1])
    return lambda: order_to_ask(features, regions, probabilities, said, SEED)


def places(data: Simulated) -> Prepared:
    """The place of every region on the map of the review page."""
    features = data.array("features")
    return lambda: project(features)


def reading(data: Simulated) -> Prepared:
    """The tables and arrays of a run are read."""
    return lambda: data.run


def report(data: Simulated) -> Prepared:
    """Tables, class cards and projection of the report, without pictures."""
    run = data.run

    def work() -> object:
        found = contents.class_cards(run), contents.composite_images(run), contents.summary(run)
        lists = contents.normal_images(run), contents.doubtful_images(run)
        return found, lists, contents.images_by_class(run), projection(run)

    return work


def review(data: Simulated) -> Prepared:
    """The review page is opened: state, list of regions, neighbouring classes and first refit."""
    run = data.run
    (run.folder / LABELS).unlink(missing_ok=True)
    labels = run.labels

    def work() -> object:
        session = ReviewSession(run, labels)
        answers.state_answer(session)
        rows = answers.rows_of_view(session.now(), "all", None, "sure")
        answers.regions_answer(session.now(), rows, 0, 300)
        similar_classes(session.now(), run.features, 1)
        while session.refitting:
            time.sleep(0.05)
        answers.state_answer(session)
        session.close()
        return session

    return work


STEPS = {
    step.__name__: step
    for step in (
        *(kept, normality, prototypes, novelty, class_number, discovery, reliability),
        *(correction, asking, places, reading, report, review),
    )
}


def measure(step: str, folder: Path) -> dict[str, float]:
    """Runs one step in this process; seconds, and memory in GB."""
    done, own = Event(), [0.0]

    def watch() -> None:
        while not done.wait(0.02):
            own[0] = max(own[0], _memory("RssAnon"))

    thread = Thread(target=watch, daemon=True)
    thread.start()
    work = STEPS[step](Simulated(folder))
    start, start_of_work = time.perf_counter(), time.process_time()
    work()
    seconds, processor = time.perf_counter() - start, time.process_time() - start_of_work
    done.set()
    thread.join()
    return {"seconds": seconds, "processor": processor, "peak": _memory("VmHWM"), "own": own[0]}


def _memory(field: str) -> float:
    """A line of /proc/self/status in GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e9
    return float("nan")


def main(
    source: Annotated[Path, typer.Argument(help="A finished run.")],
    regions: Annotated[list[int], typer.Option(help="Numbers of regions.")],
    folder: Annotated[Path, typer.Option(help="Where regions are simulated.")] = Path("scale"),
    out: Annotated[Path | None, typer.Option(help="JSON file; adds to an existing one.")] = None,
    steps: Annotated[str, typer.Option(help="Steps, separated by commas.")] = ",".join(STEPS),
    limit: Annotated[float, typer.Option(help="Seconds after which a step is given up.")] = 1200,
    alone: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Prints a table of seconds and memory."""
    if alone:
        print(json.dumps(measure(steps, folder)))
        return
    known = json.loads(out.read_text()) if out is not None and out.is_file() else {}
    for count in regions:
        data = simulate(source, folder / str(count), count)
        for step in steps.split(","):
            found = _in_own_process(source, step, data.folder, limit)
            known.setdefault(step, {})[str(count)] = found
            print(step, count, found, flush=True)
            if out is not None:
                out.write_text(json.dumps(known, indent=1))
    print(pd.DataFrame({step: known[step] for step in known}).T.to_string())


def _in_own_process(source: Path, step: str, folder: Path, limit: float) -> dict[str, float] | str:
    command = [sys.executable, __file__, str(source), "--regions", "0", "--alone"]
    command += ["--steps", step, "--folder", str(folder)]
    try:
        done = subprocess.run(
            command, check=True, timeout=limit, stdout=subprocess.PIPE, env=os.environ
        )
    except subprocess.TimeoutExpired:
        return f"more than {limit:.0f} s"
    except subprocess.CalledProcessError as error:
        return f"failed ({error.returncode})"
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {name: round(value, 2) for name, value in found.items()}


if __name__ == "__main__":
    typer.run(main)
