"""The built-in anomaly maps: how well they and MEBin's regions meet the truth, and what they cost.

Each of three real and two made sets is scored without normal images and with those of `train/`, by
several seeds; a seed draws the references or the coreset. With `--growth`, one of each is timed on
50 to 800 made plates (and as many normal ones), for the slopes of time and memory on log-log axes.
Each run has a process of its own, so that peak memory is its own, and nothing is kept between runs,
unless ANOMALYNCD_CACHE_GB says so. Runs that are in `maps_SET.json` already are not repeated.

    ANOMALYNCD_DATA=... python benchmarks/maps.py [--sets mtd plates] [--seeds 3] [--again]
    python benchmarks/maps.py --growth [--sizes 50 100 200 400 800]
"""

import argparse
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from anomalyncd.io.json_files import read_json, write_json
from anomalyncd.synthetic.generate import make_synthetic_images
from anomalyncd.synthetic.products import PRODUCTS
from common import FOLDERS, RESULTS, keep_no_tokens, machine, real_data
from map_measurement import NORMALS, SETTINGS, measure
from map_tables import print_growth, print_table, slopes

Output = TypeVar("Output")
KINDS = ("zero_shot", NORMALS)
SIZES = (50, 100, 200, 400, 800)
GROWTH = "growth"
GROWTH_SIZE = (96, 128)
"""Height and width in px of plates; small, since the backbone is shown them at its own size."""
MADE_SEED = 0


class Results:
    """The runs of one set, by kind of maps and then by seed or size, in a file.

    Args:
        path: The file; made by the first run.
        circumstances: What all its runs have in common.
        again: Whether runs that are there count as missing.

    Raises:
        SystemExit: The file holds runs in other circumstances, and they are not to be replaced.
    """

    def __init__(self, path: Path, circumstances: dict[str, Any], again: bool) -> None:
        self.path, self.again = path, again
        self.content = {**circumstances, "runs": {kind: {} for kind in KINDS}}
        if not path.is_file():
            return
        earlier = read_json(path, "results")
        if {name: earlier.get(name) for name in circumstances} == circumstances:
            self.content = earlier
        elif not again:
            raise SystemExit(
                f"'{path}' was measured in other circumstances; replace it by --again, or name "
                "another folder by --out"
            )

    def __getitem__(self, kind: str) -> dict[str, dict[str, Any]]:
        return self.content["runs"][kind]

    def missing(self, keys: range | list[int], kinds: list[str]) -> list[tuple[str, int]]:
        """Kind and key of the runs that are still to be made."""
        wanted = [(kind, key) for kind in kinds for key in keys]
        return [(kind, key) for kind, key in wanted if self.again or str(key) not in self[kind]]

    def add(self, kind: str, key: int, run: dict[str, Any]) -> None:
        """Keeps a run, and writes the file."""
        self[kind][str(key)] = run
        self.write()

    def write(self) -> None:
        """Writes the file, whole or not at all."""
        write_json(self.path, self.content)


def in_own_process(function: Callable[..., Output], *arguments: Any) -> Output:
    """What a function returns in a fresh process.

    On Linux a process inherits the peak memory of the one that starts it, so whatever takes memory
    is done in such processes, the making of images included.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def run_set(results: Results, options: argparse.Namespace, work: Path) -> None:
    """Every kind and seed of one set that is missing."""
    name, missing = results.content["set"], results.missing(range(options.seeds), options.kinds)
    if not missing:
        return
    if name in PRODUCTS:
        source = in_own_process(
            partial(make_synthetic_images, product=name, seed=MADE_SEED), work / name
        )
    else:
        source = real_data() / FOLDERS[name]
    for kind, seed in missing:
        folder = (
            options.maps / (f"{name}_{kind}" + f"_{seed}" * (seed > 0)) if options.maps else None
        )
        run = in_own_process(measure, source, kind, seed, options.limit, folder)
        results.add(kind, seed, run)
        print(f"{name}, {kind}, seed {seed}: {results[kind][str(seed)]['seconds']}", flush=True)


def run_growth(results: Results, options: argparse.Namespace, work: Path) -> None:
    """Every kind and number of plates that is missing, and the slopes over all of them."""
    missing = results.missing(options.sizes, options.kinds)
    most = max(options.sizes)
    n_per_kind = most // 10
    n_normal = most - n_per_kind * len(PRODUCTS["plates"].kinds)
    if missing:
        numbers = (n_per_kind, n_normal, 0, most)
        in_own_process(make_synthetic_images, work / "plates", *numbers, GROWTH_SIZE, MADE_SEED)
    for kind, size in missing:
        results.add(kind, size, in_own_process(measure, work / "plates", kind, 0, size))
        print(f"{size} plates, {kind}: {results[kind][str(size)]['seconds']}", flush=True)
    results.content["slopes"] = {kind: slopes(results[kind].values()) for kind in KINDS}
    results.write()


def open_results(name: str, options: argparse.Namespace) -> Results:
    """The results of a set, as far as there are some."""
    stages = (SETTINGS.detector, SETTINGS.mebin, SETTINGS.regions)
    circumstances = {
        "set": name,
        "limit": options.limit,
        **machine(),
        "config": {type(one).__name__: asdict(one) for one in stages},
    }
    return Results(options.out / f"maps_{name}.json", circumstances, options.again)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    sets = [*FOLDERS, *PRODUCTS]
    parser.add_argument("--sets", nargs="+", default=sets, choices=sets)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="take no more than this many images of a set")
    parser.add_argument("--growth", action="store_true", help="time and memory over size instead")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="of --growth")
    parser.add_argument("--again", action="store_true", help="repeat runs that are there already")
    parser.add_argument("--maps", type=Path, help="keep the maps here, a folder a set")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if min([options.limit or 10, *options.sizes]) < 10 or (options.growth and options.limit):
        parser.error("use 10 images or more, --limit without --growth, --sizes with it")
    keep_no_tokens()
    with tempfile.TemporaryDirectory() as work:
        if options.growth:
            results = open_results(GROWTH, options)
            run_growth(results, options, Path(work))
            print_growth(results.content)
            return
        if any(name in FOLDERS for name in options.sets):
            real_data()  # complains before long work
        all_results = [open_results(name, options) for name in options.sets]
        for results in all_results:
            run_set(results, options, Path(work))
        print_table([results.content for results in all_results])


if __name__ == "__main__":
    main()
