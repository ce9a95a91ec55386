"""Discovery on real images: NMI, ARI and F1 of each preset, with seconds and memory per stage.

Maps are made once a set and tokens are read once a preset; the seeds vary the start, the order and
the choice of views. Results are written as JSON, one file a set, and printed. Seconds are those of
a first run: nothing is kept between runs, unless ANOMALYNCD_CACHE_GB says so.

    ANOMALYNCD_DATA=... python benchmarks/discovery.py [--sets mtd] [--method proto] [--masks]
"""

import argparse
import copy
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from anomalyncd.steps import (
    RunContext,
    find_and_read,
    score_parts,
)

from anomalyncd.config import PRESETS, Config
from anomalyncd.discovery.discover import discover_classes
from anomalyncd.embedding.base_regions import read_base
from anomalyncd.estimator import ESTIMATORS
from anomalyncd.evaluation.ground_truth import labels_from_names
from anomalyncd.evaluation.metrics import cluster_scores
from anomalyncd.inputs.inputs import Inputs, check_inputs
from anomalyncd.inputs.masks import Masks
from anomalyncd.results.predictions import aggregate
from anomalyncd.runtime.measurement import Stages
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

LEFT_OUT = "combined"  # as the papers do


def run_preset(inputs: Inputs, config: Config, seeds: int, work: Path, stages: Stages) -> dict:
    labels = np.array(labels_from_names(inputs.images.names))
    counted = labels != LEFT_OUT
    n_classes = len(set(labels[counted]))
    context = RunContext(new_encoder(config), config, 0, work, stages)
    found, cache = find_and_read(context, inputs, score_parts(context, inputs))
    known = None
    if inputs.base is not None:
        with stages("base"):
            known = read_base(inputs.base, context.encoder, config, 0, work / "base")
    scores = []
    for seed in range(seeds):
        encoder = copy.deepcopy(context.encoder)
        with stages("train"):
            classes = discover_classes(
                encoder,
                cache,
                found.regions.score,
                n_classes,
                known,
                config,
                seed,
                found.max_normal_score,
                found.regions.found,
            )
        tables = aggregate(
            inputs.images, inputs.sizes, found, classes.features, classes.probabilities
        )
        score = cluster_scores(labels[counted], tables.images["class"].to_numpy()[counted])
        scores.append((score.nmi, score.ari, score.f1))
    return {
        "n_classes": n_classes,
        "n_regions": len(found.regions),
        **{
            name: {"mean": round(float(np.mean(values)), 3), "std": round(float(np.std(values)), 3)}
            for name, values in zip(("nmi", "ari", "f1"), zip(*scores, strict=True), strict=True)
        },
        "seconds": dict(stages.seconds),
        "peak_memory_mb": dict(stages.peak_memory_mb),
    }


def chosen_settings(preset: str, options: argparse.Namespace) -> Config:
    """A preset with what the command line changes of it."""
    config = ESTIMATORS[options.method].presets[preset]
    if options.epochs is not None:
        epochs = {"epochs": options.epochs, "epochs_with_base": options.epochs}
        config = replace(config, training=replace(config.training, **epochs))
    if options.views is not None:
        config = replace(config, crops=replace(config.crops, n_views=options.views))
    return config.resolved(with_base=options.base is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(FOLDERS), choices=list(FOLDERS))
    parser.add_argument("--method", default="anomalyncd", choices=list(ESTIMATORS))
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--masks", action="store_true", help="ground-truth masks in place of maps")
    parser.add_argument("--normals", action="store_true", help="score against train/ as well")
    parser.add_argument("--maps", type=Path, help="keep the maps here, a folder a set")
    parser.add_argument("--base", help="a set to take as the labelled base set, such as neu_seg")
    parser.add_argument("--views", type=int, help="augmented views a region")
    parser.add_argument("--epochs", type=int, help="epochs of training")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    keep_no_tokens()
    data = real_data()
    kind = "masks" if options.masks else "normals" if options.normals else "zero_shot"
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.sets:
        source = data / FOLDERS[name]
        base = data / options.base if options.base else None
        normals = normal_folder(source) if options.normals else None
        inputs = check_inputs(source, base=base, normals=normals)
        with tempfile.TemporaryDirectory() as temporary:
            work, stages = Path(temporary), Stages()
            if options.masks:
                masks = Masks.from_folder(source / "ground_truth", inputs.images)
                inputs = replace(inputs, masks=masks)
            else:
                folder = options.maps / f"{name}_{kind}" if options.maps else work / "maps"
                with stages("maps"):
                    inputs = with_built_in_maps(inputs, PRESETS["default"], folder)
            report = {"set": name, "method": options.method, "maps": kind, **machine()}
            for preset in options.presets:
                report[preset] = run_preset(
                    inputs,
                    chosen_settings(preset, options),
                    options.seeds,
                    work,
                    copy.deepcopy(stages),
                )
        stem = f"{name}_{kind}" + ("_proto" if options.method == "proto" else "")
        (options.out / f"{stem}.json").write_text(json.dumps(report, indent=2) + "\n")
        print(json.dumps(report, indent=2), flush=True)


if __name__ == "__main__":
    main()
