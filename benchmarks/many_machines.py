"""What Ray costs and gives: images a second, overhead, and memory of the driver.

    python benchmarks/many_machines.py RUN IMAGES --count 24

Every figure is of this machine alone; the workers are processes with one thread. Start it while
nothing else runs.
"""

import argparse
import json
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from anomalyncd.images.image_set import as_image_set
from anomalyncd.line.predictor import Predictor
from anomalyncd.runtime.logs import LOG
from anomalyncd.scale import predicting
from anomalyncd.scale.cluster import import_ray
from anomalyncd.scale.predicting import PredictRow, predict_with_ray

SHORT, LONG = 1_000, 100_000


class NoWork:
    """Takes no time, so that what is measured is Ray."""

    def __init__(self, *_: Any) -> None:
        pass

    def __call__(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        """The row as it came."""
        return [row]


def main() -> None:
    """Measures and prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--count", type=int, default=24)
    arguments = parser.parse_args()
    LOG.setLevel("ERROR")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = _some(arguments.images, folder / "some", arguments.count)
        _say(_overhead(arguments.run, images, folder))
        _say({"one process, images a second": _one_process(arguments.run, images)})
        for n_workers in (1, 2):
            _say(_by_ray(arguments.run, images, folder / f"by_{n_workers}", n_workers))


def _say(figures: dict[str, float]) -> None:
    print(json.dumps(figures, indent=2), flush=True)


def _some(images: Path, folder: Path, count: int) -> Path:
    """Copies images that are spread over a set."""
    paths = as_image_set(images).paths
    folder.mkdir()
    for index in range(count):
        path = Path(paths[index * len(paths) // count])
        shutil.copy(path, folder / f"{index:04}{path.suffix}")
    return folder


def _one_process(run: Path, images: Path) -> float:
    predict = PredictRow(Predictor(run), frozenset(), skip_damaged=False)
    rows = [{"name": path.stem, "path": str(path)} for path in sorted(images.iterdir())]
    predict(rows[0])
    start = time.perf_counter()
    for row in rows:
        predict(row)
    return round(len(rows) / (time.perf_counter() - start), 3)


def _by_ray(run: Path, images: Path, folder: Path, n_workers: int) -> dict[str, float]:
    """Images a second from the first row written to the last, and seconds of the whole call."""
    ray = import_ray()
    ray.init(num_cpus=n_workers, include_dashboard=False, log_to_driver=False)
    start = time.perf_counter()
    predict_with_ray(run, images, folder)
    seconds = time.perf_counter() - start
    ray.shutdown()
    times = sorted(path.stat().st_mtime for path in folder.glob("images/*.parquet"))
    count = len(list(images.iterdir()))
    # The first part is done when the clock starts.
    done = count * (len(times) - 1) / len(times)
    return {
        f"{n_workers} workers, images a second": round(done / (times[-1] - times[0]), 3),
        f"{n_workers} workers, seconds of the whole call": round(seconds, 1),
    }


def _overhead(run: Path, images: Path, folder: Path) -> dict[str, float]:
    """Seconds that Ray takes for rows without work, and the memory of the driver."""
    ray = import_ray()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    real, predicting.PredictRow = PredictRow, NoWork  # type: ignore[assignment,misc]
    seconds, figures = {}, {}
    for count in (100, SHORT, LONG):
        manifest = _manifest(folder / f"links_{count}", next(images.iterdir()), count)
        start = time.perf_counter()
        written = predict_with_ray(run, manifest, folder / f"rows_{count}")
        seconds[count] = time.perf_counter() - start
        assert written == count
        figures[f"driver, peak MB after {count} rows"] = round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        )
    ray.shutdown()
    predicting.PredictRow = real  # type: ignore[misc]
    figures["seconds for 100 rows without work"] = round(seconds[100], 1)
    per_thousand = (seconds[LONG] - seconds[100]) * 1000 / (LONG - 100)
    figures["seconds for a thousand further rows without work"] = round(per_thousand, 2)
    return figures


def _manifest(folder: Path, image: Path, count: int) -> Path:
    folder.mkdir()
    names = [f"{index:06}{image.suffix}" for index in range(count)]
    for name in names:
        (folder / name).symlink_to(image)
    pd.DataFrame({"image": names}).to_csv(folder / "images.csv", index=False)
    return folder / "images.csv"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
