"""The estimated number of classes against the true one, on real parts.

For each kind of maps, regions and tokens are made once; seeds vary the resamples. Written as JSON,
one file for all sets, set by set, and printed.

    ANOMALYNCD_DATA=... python benchmarks/class_number.py [--sets pill] [--kinds masks]
"""

import argparse
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from anomalyncd.data.inputs import Inputs, check_inputs
from anomalyncd.data.json_files import read_json, write_json
from anomalyncd.data.masks import Masks
from anomalyncd.evaluation.labels import labels_from_names
from anomalyncd.learning import count_classes
from anomalyncd.runtime import Stages
from anomalyncd.settings import PRESETS
from anomalyncd.steps import Workplace, find_and_read, score_parts
from common import (
    FOLDERS,
    RESULTS,
    keep_no_tokens,
    machine,
    new_encoder,
    normal_folder,
    real_data,
    with_built_in_maps,
)

KINDS = ("zero_shot", "normals", "masks")
LEFT_OUT = "combined"


def count(inputs: Inputs, seeds: int, work: Path) -> list[dict]:
    """Estimate, interval and votes of each seed."""
    settings = PRESETS["default"].resolved(with_base=False)
    place = Workplace(new_encoder(settings), settings, 0, work, Stages())
    found, cache = find_and_read(place, inputs, score_parts(place, inputs))
    counted = [
        asdict(count_classes(replace(place, seed=seed), found, cache, None))
        for seed in range(seeds)
    ]
    return [{name: one[name] for name in ("estimate", "low", "high", "votes")} for one in counted]


def inputs_of(name: str, kind: str, folder: Path) -> Inputs:
    """A set with maps of a kind, which are kept in a folder, or with true masks."""
    source = real_data() / FOLDERS[name]
    normals = normal_folder(source) if kind == "normals" else None
    inputs = check_inputs(source, normals=normals)
    if kind == "masks":
        return replace(inputs, masks=Masks.from_folder(source / "ground_truth", inputs.parts))
    return with_built_in_maps(inputs, PRESETS["default"], folder / f"{name}_{kind}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(FOLDERS), choices=list(FOLDERS))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--maps", type=Path, help="keep the maps here, a folder a set")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    keep_no_tokens()
    path = options.out / "class_number.json"
    results = read_json(path, "result") if path.is_file() else {"sets": {}}
    for name in options.sets:
        for kind in options.kinds:
            with tempfile.TemporaryDirectory() as work:
                inputs = inputs_of(name, kind, options.maps or Path(work) / "maps")
                counted = count(inputs, options.seeds, Path(work))
            labels = set(labels_from_names(inputs.parts.names))
            of_set = results["sets"].setdefault(name, {})
            of_set |= {"true": len(labels), "without_combined": len(labels - {LEFT_OUT})}
            of_set[kind] = counted
            write_json(path, {**machine(), **results})
            said = ", ".join(f"{one['estimate']} ({one['low']}-{one['high']})" for one in counted)
            print(f"{name}, {kind}: {said}; true: {len(labels)}", flush=True)


if __name__ == "__main__":
    main()
