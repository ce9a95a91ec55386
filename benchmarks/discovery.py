"""Discovery on real parts: NMI, ARI and F1 of each preset, with seconds and memory per stage.

Maps are made once a set and tokens are read once a preset; the seeds vary the start, the order and
the choice of views. Results are written as JSON, one file a set, and printed.

    ANOMALYNCD_DATA=... python benchmarks/discovery.py [--sets mtd] [--masks] [--base neu_seg]
"""

import argparse
import copy
import json
import os
import platform
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from anomalyncd.data.inputs import Inputs, check_inputs
from anomalyncd.data.maps import Maps
from anomalyncd.data.masks import Masks
from anomalyncd.data.parts import Parts
from anomalyncd.detect.anomaly_maps import write_anomaly_maps
from anomalyncd.detect.fitting import fit_detector
from anomalyncd.evaluation.labels import labels_from_names
from anomalyncd.evaluation.scores import cluster_scores
from anomalyncd.model.region_encoder import RegionEncoder
from anomalyncd.model.weights import load_backbone
from anomalyncd.regions.finding import regions_of_maps, regions_of_masks
from anomalyncd.regions.reading import read_crops
from anomalyncd.regions.score_range import score_range
from anomalyncd.result import verdicts
from anomalyncd.runtime import Stages
from anomalyncd.settings import PRESETS, Settings
from anomalyncd.training.base_cache import read_base
from anomalyncd.training.discoverer import discover_classes
from anomalyncd.training.trunk_cache import fill_cache

FOLDERS = {"mtd": "mtd", "bottle": "mvtec_ad/bottle", "pill": "mvtec_ad/pill"}
LEFT_OUT = "combined"  # as the papers do


def new_encoder(settings: Settings) -> RegionEncoder:
    return RegionEncoder(load_backbone(), settings.encoder).set_trunk_precision(torch.bfloat16)


def run_preset(inputs: Inputs, settings: Settings, seeds: int, work: Path, stages: Stages) -> dict:
    labels = np.array(labels_from_names(inputs.parts.names))
    counted = labels != LEFT_OUT
    n_classes = len(set(labels[counted]))
    encoder = new_encoder(settings)
    with stages("regions"):
        if inputs.masks is not None:
            found = regions_of_masks(inputs.masks, inputs.sizes, settings.regions)
        else:
            bounds = score_range(inputs.maps, settings.mebin)
            found = regions_of_maps(
                inputs.maps, inputs.sizes, bounds, settings.mebin, settings.regions
            )
    with stages("read"):
        crops = read_crops(inputs.parts, found, settings.views.load_size, settings.regions.rules)
        cache = fill_cache(encoder, crops, len(found.regions), settings.views, 0, work)
    known = None
    if inputs.base is not None:
        with stages("base"):
            known = read_base(inputs.base, encoder, settings, 0, work / "base")
    scores = []
    for seed in range(seeds):
        with stages("train"):
            classes = discover_classes(
                copy.deepcopy(encoder), cache, found.regions.score, n_classes, known, settings, seed
            )
        tables = verdicts(
            inputs.parts, inputs.sizes, found, classes.features, classes.probabilities
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


def zero_shot_maps(parts: Parts, settings: Settings, work: Path) -> Maps:
    vit = new_encoder(settings).vit.to(torch.bfloat16)
    detector = fit_detector(vit, parts, None, settings.detector, 0)
    return write_anomaly_maps(vit, parts, detector, settings.detector, work)


def chosen_settings(preset: str, options: argparse.Namespace) -> Settings:
    """A preset with what the command line changes of it."""
    settings = PRESETS[preset]
    if options.epochs is not None:
        epochs = {"epochs": options.epochs, "epochs_with_base": options.epochs}
        settings = replace(settings, training=replace(settings.training, **epochs))
    if options.views is not None:
        settings = replace(settings, views=replace(settings.views, n_views=options.views))
    return settings.resolved(with_base=options.base is not None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=list(FOLDERS), choices=list(FOLDERS))
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--masks", action="store_true", help="ground-truth masks in place of maps")
    parser.add_argument("--maps", type=Path, help="keep the maps here, a folder a set")
    parser.add_argument("--base", help="a set to take as the labelled base set, such as neu_seg")
    parser.add_argument("--views", type=int, help="augmented views a region")
    parser.add_argument("--epochs", type=int, help="epochs of training")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    data = os.environ.get("ANOMALYNCD_DATA")
    if not data:
        raise SystemExit("set ANOMALYNCD_DATA to the folder that holds mtd/ and mvtec_ad/")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.sets:
        source = Path(data) / FOLDERS[name]
        base = Path(data) / options.base if options.base else None
        inputs = check_inputs(source, base=base)
        with tempfile.TemporaryDirectory() as temporary:
            work, stages = Path(temporary), Stages()
            if options.masks:
                masks = Masks.from_folder(source / "ground_truth", inputs.parts)
                inputs = replace(inputs, masks=masks)
            else:
                with stages("maps"):
                    folder = options.maps / name if options.maps else work / "maps"
                    maps = zero_shot_maps(inputs.parts, PRESETS["default"], folder)
                inputs = replace(inputs, maps=maps)
            report = {"set": name, "maps": "ground truth" if options.masks else "zero-shot"}
            report |= {"torch": torch.__version__, "processor": platform.processor()}
            for preset in options.presets:
                report[preset] = run_preset(
                    inputs,
                    chosen_settings(preset, options),
                    options.seeds,
                    work,
                    copy.deepcopy(stages),
                )
        kind = "masks" if options.masks else "zero_shot"
        (options.out / f"{name}_{kind}.json").write_text(json.dumps(report, indent=2) + "\n")
        print(json.dumps(report, indent=2), flush=True)


if __name__ == "__main__":
    main()
