"""Which step of a discovery costs how much, for every labelled set.

Runs the default preset on bottle, pill and mtd, where ANOMALYNCD_DATA names the folder that has
them, and on images of all synthetic products. Each rung of the ladder takes more from the truth:

- default: nothing.
- split told: which regions are normal; those of a defective image are not.
- centres told: the prototypes, unit means of the descriptors of each true class. Which regions are
  normal, and the normal centres, are found as by default.
- both told: both of them.
- true masks: the regions, and nothing else. No maps are made, so all map sources share this rung.

The rungs in between are those of the study `oracle` of the bench. Prints a line for each set and
map source and, at the end, a Markdown table, which it also writes to ladder.md. What is finished
is not measured again, unless the config of the preset, the seeds or the draws have changed; give
another folder after a change of the code.

    ANOMALYNCD_DATA=... python benchmarks/ladder.py [--only bottle] [--out runs/ladder]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, roc_curve

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.backbone.weights import load_backbone
from anomalyncd.config import PRESETS
from anomalyncd.evaluation.map_evaluation import mebin_quality
from anomalyncd.evaluation.metrics import cluster_scores, image_auroc
from anomalyncd.io.key import key
from anomalyncd.io.writing import write_atomically
from anomalyncd.pipeline import Pipeline
from anomalyncd.regions.table import Regions
from anomalyncd.runtime.device import resolve_device
from anomalyncd.synthetic.generate import make_synthetic_images
from anomalyncd.synthetic.products import PRODUCTS, ProductName
from anomalyncd_bench.data_sets import BenchSet, Folders, open_set
from anomalyncd_bench.entries import SetEntry, SourceEntry
from anomalyncd_bench.map_sources import built_in_maps, open_source
from anomalyncd_bench.results import Job, Spread, read_result, score_text, write_result
from anomalyncd_bench.studies.oracle import Oracle
from anomalyncd_bench.token_sharing import discover, new_encoder, read_regions

REAL = {"bottle": "mvtec_ad/bottle", "pill": "mvtec_ad/pill", "mtd": "mtd"}
"""Folders below that of ANOMALYNCD_DATA."""
MADE: dict[str, dict[str, Any]] = {name: {} for name in PRODUCTS}
"""How many images of each product are made, where it is not as many as by default."""
# Only two kinds of defects, so more of each.
MADE["tubs"] = {"n_per_kind": 60, "n_normal": 60, "n_combined": 0, "n_train": 30}

TOLD = {
    "split told": Oracle(normal=True),
    "centres told": Oracle(centres=True),
    "both told": Oracle(normal=True, centres=True),
}
RUNGS = ("default", *TOLD, "true masks")
MASKS = "masks"
"""The map source of the last rung."""
SOURCES = ("zero_shot", "normals", MASKS)
FOUND = {
    "images": "n_counted",
    "regions": "n_regions",
    "defective without region": "defective_without_region",
    "normal with region": "normal_with_region",
    "image AUROC": "image_auroc",
    "split by best threshold": "best_split",
}
"""Heads of the columns on the regions of a set, and the figures in them."""

Result: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Ladder:
    """Measures sets in one folder."""

    out: Path
    seeds: int
    draws: int

    def result(self, name: str, source: str) -> Result | None:
        """What was measured of a set with a map source; None if that is missing."""
        return read_result(self.out, self._job(name, source))

    def measure(self, vit: VisionTransformer, one: BenchSet, source: str) -> Result:
        """Climbs all rungs of a set with a map source, and writes the result."""
        start, config = time.perf_counter(), PRESETS["default"].resolved()
        found: list[dict[str, Any]] = []
        runs: list[dict[str, Any]] = []
        for draw in range(1 if source == MASKS else self.draws):
            inputs = open_source(one, SourceEntry.model_validate(source), Path())
            if source != MASKS:
                encoder = new_encoder(vit, config.encoder)
                maps = self.out / "maps" / f"{one.entry.name}_{source}_{draw}"
                inputs = built_in_maps(inputs, encoder, config.detector, draw, maps)
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
                shared = read_regions(vit, inputs, config, draw, Path(work))
                found.append({"draw": draw, **of_regions(shared.regions, one)})
                runs += [{"draw": draw, **run} for run in self._climb(shared, one, source)]
        seconds = round(time.perf_counter() - start, 1)
        job = self._job(one.entry.name, source)
        write_result(self.out, job, {"found": found, "runs": runs, "seconds": seconds})
        return self.result(one.entry.name, source) or {}

    def _job(self, name: str, source: str) -> Job:
        draws = 1 if source == MASKS else self.draws
        return Job(name, source, "ladder", 0, key(PRESETS["default"], self.seeds, draws))

    def _climb(
        self, shared: Pipeline, one: BenchSet, source: str
    ) -> Iterable[dict[str, float | str]]:
        """The scores of each rung and seed."""
        plain = partial(discover, shared, shared.context.config, one.n_classes)
        rungs: dict[str, Callable[[int], NDArray[np.int64]]] = {"true masks": plain}
        if source != MASKS:
            rungs = {"default": plain}
            rungs |= {rung: partial(told.run, shared, one) for rung, told in TOLD.items()}
        for rung, classes_of in rungs.items():
            for seed in range(self.seeds):
                yield {"rung": rung, "seed": seed, **of_classes(classes_of(seed), one)}


def of_regions(regions: Regions, one: BenchSet) -> dict[str, Any]:
    """What was found on the images that count, and how far their highest scores separate them."""
    n_images, counted = len(one.labels), one.scored
    with_region = np.bincount(regions.image, regions.found, n_images)[counted] > 0
    highest = np.zeros(n_images, np.float32)
    np.maximum.at(highest, regions.image, regions.score)
    truth = defective(one)[counted]
    quality = mebin_quality(with_region, truth)
    auroc = image_auroc(highest[counted], truth)
    return {
        "n_images": n_images,
        "n_counted": int(counted.sum()),
        "n_regions": int((regions.found & counted[regions.image]).sum()),
        "defective_without_region": quality.defective_without_region,
        "normal_with_region": quality.normal_with_region,
        "image_auroc": auroc,
        "best_split": None if auroc is None else best_split(highest[counted], truth),
    }


def best_split(scores: NDArray[np.floating], truth: NDArray[np.bool_]) -> float:
    """Highest balanced accuracy of any threshold on the scores of images."""
    wrong, right, _ = roc_curve(truth, scores, drop_intermediate=False)
    return float((1 + right - wrong).max() / 2)


def of_classes(classes: NDArray[np.int64], one: BenchSet) -> dict[str, float]:
    """Scores of the classes of images, and the balanced accuracy of "normal or not"."""
    counted = one.scored
    split = balanced_accuracy_score(defective(one)[counted], classes[counted] > 0)
    scores = cluster_scores(one.labels[counted], classes[counted])
    return {**asdict(scores), "split": float(split)}


def defective(one: BenchSet) -> NDArray[np.bool_]:
    """Whether each image has a defect, (N,)."""
    states = one.truth().states
    return np.ones(len(one.labels), np.bool_) if states is None else states == 1


def table(results: Sequence[Result], seeds: int, draws: int) -> str:
    """Markdown with a row for each set and map source, and a column for each rung."""
    masks = {one["set"]: one for one in results if one["source"] == MASKS}
    rows = []
    for one in results:
        if one["source"] == MASKS:
            continue
        runs = pd.DataFrame([*one["runs"], *masks.get(one["set"], {}).get("runs", ())])
        figures = pd.DataFrame(list(one["found"]))[list(FOUND.values())].astype(float).mean()
        cells = [
            one["set"],
            one["source"],
            *(_figure(name, figures[name]) for name in FOUND.values()),
        ]
        cells.append(_spreads(runs[runs["rung"] == "default"], "split"))
        cells += [_spreads(runs[runs["rung"] == rung], "nmi", "ari", "f1") for rung in RUNGS]
        rows.append(cells)
    heads = ["set", "maps", *FOUND, "split by default", *RUNGS]
    lines = [heads, ["---"] * len(heads), *rows]
    of_maps = "one draw of the maps (seed 0)" if draws == 1 else f"each of {draws} draws of maps"
    notes = (
        f"Rungs: NMI / ARI / F1 of the images that count, mean ± standard deviation over {seeds} "
        f"seeds of the discovery on {of_maps}; true masks need no maps. Split: balanced accuracy "
        "of normal images against defective ones. The highest score of an image gives its AUROC "
        "and the best threshold."
    )
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + f"\n\n{notes}\n"


def _figure(name: str, value: float) -> str:
    """A count or a score; the mean over draws of the maps."""
    if name.startswith("n_"):
        return f"{value:.0f}"
    return score_text(None if np.isnan(value) else value)


def _spreads(runs: pd.DataFrame, *scores: str) -> str:
    """Each score with its spread over runs; a dash where nothing was measured."""
    if runs.empty:
        return score_text(None)
    spreads = (Spread(float(runs[one].mean()), float(runs[one].std(ddof=0))) for one in scores)
    return " / ".join(map(str, spreads))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="SET", choices=(*REAL, *MADE), help="one of %(choices)s")
    parser.add_argument("--out", type=Path, default=Path("runs/ladder"), help="folder of results")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds of the discovery")
    parser.add_argument("--draws", type=int, default=1, help="number of seeds of the maps")
    options = parser.parse_args(arguments)
    ladder = Ladder(options.out, options.seeds, options.draws)
    for name in [options.only] if options.only else (*REAL, *MADE):
        folder = folder_of(name, ladder.out)
        if folder is None:
            print(f"{name}: skipped, ANOMALYNCD_DATA names no folder with {REAL[name]}", flush=True)
        else:
            measure_missing(ladder, name, folder)
    kept = (ladder.result(name, source) for name in (*REAL, *MADE) for source in SOURCES)
    text = table([one for one in kept if one is not None], ladder.seeds, ladder.draws)
    with write_atomically(ladder.out / "ladder.md") as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    print(f"\n{text}", end="")


def folder_of(name: str, out: Path) -> Path | None:
    """The folder of a set, rendered if it is synthetic; None if it is not here."""
    if name in REAL:
        data = os.environ.get("ANOMALYNCD_DATA")
        real = Path(data or "", REAL[name]).absolute()
        return real if data and real.is_dir() else None
    folder, product = out.absolute() / "images" / name, cast(ProductName, name)
    if not folder.is_dir():
        make_synthetic_images(folder, product=product, **MADE[name])
    return folder


def measure_missing(ladder: Ladder, name: str, folder: Path) -> None:
    """Measures a set with each map source that its folder allows; prints a line about each."""
    needed = {"normals": folder / "train", MASKS: folder / "ground_truth"}
    sources = [name for name in SOURCES if name not in needed or needed[name].is_dir()]
    opened: BenchSet | None = None
    for source in sources:
        result, when = ladder.result(name, source), "measured before"
        if result is None:
            entry = SetEntry(folder=str(folder), name=name, group=name, category=None)
            folders = Folders(folder, ladder.out, ladder.out / "maps")
            opened = opened or open_set(entry, folders, None, with_normals="normals" in sources)
            result = ladder.measure(backbone(), opened, source)
            when = f"{result['seconds']:.0f} s"
        means = pd.DataFrame(list(result["runs"])).groupby("rung", sort=False)["nmi"].mean()
        shown = ", ".join(f"{rung} {score_text(float(nmi))}" for rung, nmi in means.items())
        print(f"{name}, {source}: NMI {shown} ({when})", flush=True)


@cache
def backbone() -> VisionTransformer:
    """The default one, on the device."""
    return load_backbone().to(resolve_device("auto"))


if __name__ == "__main__":
    main()
