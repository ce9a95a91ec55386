"""The estimated number of classes against the true one, on real images.

Regions are read once for each kind of maps; seeds vary the resamples. Written as JSON, one file for
all sets, and printed.

    ANOMALYNCD_DATA=... python benchmarks/class_number.py [--sets pill] [--kinds masks]
"""

import argparse
import tempfile
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import torch

from anomalyncd.config import PRESETS
from anomalyncd.discovery.class_number import estimate_n_classes
from anomalyncd.discovery.classifier import Descriptor
from anomalyncd.io.json_files import read_json, write_json
from common import FOLDERS, RESULTS, keep_no_tokens, machine
from reading import KINDS, LEFT_OUT, Read, read_set


def count(read: Read, seeds: int) -> list[dict[str, Any]]:
    """Estimate, interval and votes of each seed."""
    descriptor = Descriptor(read.widths, centred=True)
    vectors = torch.from_numpy(read.vectors)
    descriptor.fit(vectors)
    features, regions = descriptor(vectors).numpy(), read.regions
    counted = [
        estimate_n_classes(
            features,
            regions.score,
            regions.image,
            PRESETS["default"].class_number,
            seed,
            None,
            read.max_normal_score,
        )
        for seed in range(seeds)
    ]
    kept = ("estimate", "low", "high", "votes")
    return [{name: asdict(one)[name] for name in kept} for one in counted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(FOLDERS), choices=list(FOLDERS))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--maps", type=Path, help="keep maps and what was read here")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    keep_no_tokens()
    path = options.out / "class_number.json"
    results = read_json(path, "result") if path.is_file() else {"sets": {}}
    with tempfile.TemporaryDirectory() as work:
        for name, kind in product(options.sets, options.kinds):
            read = read_set(name, kind, options.maps or Path(work))
            of_set = results["sets"].setdefault(name, {})
            kinds = set(read.labels.tolist())
            of_set |= {"true": len(kinds), "without_combined": len(kinds - {LEFT_OUT})}
            of_set[kind] = count(read, options.seeds)
            write_json(path, results | machine())
            said = [f"{one['estimate']} ({one['low']}-{one['high']})" for one in of_set[kind]]
            print(f"{name}, {kind}: {', '.join(said)}; true: {len(kinds)}", flush=True)


if __name__ == "__main__":
    main()
