"""Digests of whole discoveries, to show that a change of the code moves no result.

Runs both estimators with the presets `default` and `paper` on made images and, where
ANOMALYNCD_DATA names the real sets, on bottle, pill and every fifth image of mtd. Each run is a
process of its own without a cache, in a fixed precision. One line of JSON is printed for each:
digests of the classes, the probabilities and the boxes, seconds, and peak memory. Run it on two
versions of the code on one machine, and compare the digests.

    ANOMALYNCD_DATA=... python benchmarks/identical.py --precision bf16 [--only bottle/default]
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SETS = {"made": 7, "bottle": 4, "pill": 8, "mtd": 6}
"""Number of classes of each set, the normal one included."""
FOLDERS = {"bottle": "mvtec_ad/bottle", "pill": "mvtec_ad/pill", "mtd": "mtd"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", default="bf16", choices=("bf16", "fp32"))
    parser.add_argument("--only", default="", help="part of SET/PRESET/METHOD, such as pill/paper")
    parser.add_argument("--run", help="SET/PRESET/METHOD to be run in this process")
    options = parser.parse_args()
    if options.run:
        print(json.dumps(digests(*options.run.split("/"), options.precision)), flush=True)
        return
    data = os.environ.get("ANOMALYNCD_DATA")
    for name in SETS if data else ("made",):
        for preset in ("default", "paper"):
            for method in ("anomalyncd", "proto"):
                run = f"{name}/{preset}/{method}"
                if options.only in run:
                    command = [sys.executable, __file__, "--run", run]
                    command += ["--precision", options.precision]
                    environment = {"ANOMALYNCD_CACHE_GB": "0"} | os.environ
                    subprocess.run(command, check=True, env=environment)


def digests(name: str, preset: str, method: str, precision: str) -> dict[str, object]:
    """Digests and costs of one run."""
    from anomalyncd.estimator import ESTIMATORS
    from anomalyncd.runtime.measurement import peak_memory_mb
    from anomalyncd.synthetic.generate import make_synthetic_images

    with tempfile.TemporaryDirectory() as scratch:
        if name == "made":
            make_synthetic_images(Path(scratch) / "made")
            images: object = Path(scratch) / "made"
        else:
            images = Path(os.environ["ANOMALYNCD_DATA"]) / FOLDERS[name]
        if name == "mtd":
            files = sorted(path for path in (Path(str(images)) / "test").rglob("*.*"))
            images = files[::5]
        start = time.perf_counter()
        model = ESTIMATORS[method](SETS[name], preset=preset, precision=precision).fit(images)
        seconds = time.perf_counter() - start
    tables = model.predictions_
    regions, of_images = tables.regions, tables.images
    chances = [column for column in of_images if column.startswith("p_")]
    return {
        "run": f"{name}/{preset}/{method}",
        "classes": digest(of_images["class"], regions["class"]),
        "probabilities": digest(of_images[chances], tables.probabilities, tables.features),
        "boxes": digest(regions[["left", "top", "right", "bottom", "area", "score"]]),
        "n_images": len(of_images),
        "n_regions": len(regions),
        "seconds": round(seconds, 1),
        "peak_memory_mb": round(peak_memory_mb()),
    }


def digest(*values: object) -> str:
    """Of the bytes of tables and arrays."""
    sha = hashlib.sha256()
    for value in values:
        sha.update(np.ascontiguousarray(np.asarray(value)).tobytes())
    return sha.hexdigest()[:16]


if __name__ == "__main__":
    main()
