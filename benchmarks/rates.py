"""Seconds of a verdict by stage, with torch and with the engines of an exported model.

Draws plates of each size as JPEG, discovers classes in them without and with normal images, exports
both models, and gives verdicts on images with exactly two regions, one image at a time, each image
by all engines in turn. Prints one line of JSON for each size, model and engine: the medians over
images of the seconds of each stage, and `not_backbone`, the rest of the time as a share of the
time of the backbone.

    python benchmarks/rates.py [--sizes 512 1024 2048] [--threads 1] [--out runs/rates]

Start it while nothing else runs. Models in the output folder are used again.
"""

import argparse
import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from anomalyncd import AnomalyNCD, pipeline
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.export.writing import export_model
from anomalyncd.io.cache import LIMIT_VARIABLE
from anomalyncd.line import predictor as torch_line
from anomalyncd.line.judge import Judge
from anomalyncd.line.predictor import Predictor
from anomalyncd.runner import runner as graph_line
from anomalyncd.runner.runner import Runner
from anomalyncd.runtime.device import resolve_precision
from anomalyncd.synthetic.generate import make_synthetic_images

N_IMAGES, N_REGIONS = 5, 2
"""How many images are measured, and how many regions each has."""
KINDS = {"n_per_kind": 3, "n_normal": 8, "n_combined": 16, "n_train": 12}
N_CLASSES = 7
JPEG = {"quality": 92}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--threads", type=int, default=1, help="threads of every engine")
    parser.add_argument("--out", type=Path, default=Path("runs/rates"))
    options = parser.parse_args()
    os.environ[LIMIT_VARIABLE] = "0"  # Tokens that are cached would cost nothing.
    clock = Clock()
    for size in options.sizes:
        images = drawn(options.out / f"{size}", size)
        for source in ("zero-shot", "normals"):
            model = fitted(options.out / f"{size}_{source}", images, source)
            engines = loaded(model, options.threads)
            for name, stages in measured(engines, clock, images).items():
                row = {"size": size, "model": source, "threads": options.threads, "engine": name}
                print(json.dumps(row | stages), flush=True)


class Clock:
    """Adds up the seconds within functions, by the name of their stage."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._wrap(torch_line, "read_picture", "decoding")
        self._wrap(graph_line, "read_picture", "decoding")
        self._wrap(pipeline, "_maps", "maps")
        self._wrap(Runner, "_maps", "maps")
        self._wrap(VisionTransformer, "tokens_after", "backbone for maps")
        self._wrap(pipeline, "regions_of_inputs", "regions")
        self._wrap(graph_line, "regions_of_inputs", "regions")
        self._wrap(RegionEncoder, "frozen_features", "backbone for regions")
        self._wrap(RegionEncoder, "read", "backbone for regions")

    def watch_graphs(self, runner: Runner) -> None:
        """Counts what an exported model computes as graphs, too."""
        stages = {"patches": "backbone for maps", "regions": "backbone for regions"}
        run = runner._graphs.run

        def timed(name: str, inputs: Any) -> Any:
            return self._timed(stages.get(name, "classes"), lambda: run(name, inputs))

        runner._graphs.run = timed  # type: ignore[method-assign]

    def _wrap(self, owner: Any, name: str, stage: str) -> None:
        function = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            return self._timed(stage, lambda: function(*arguments, **named))

        setattr(owner, name, timed)

    def _timed(self, stage: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        try:
            return call()
        finally:
            self.seconds[stage] += time.perf_counter() - start


def drawn(folder: Path, size: int) -> Path:
    """Plates of `size` x `size` px as JPEG, in the layout of MVTec AD."""
    if not folder.is_dir():
        make_synthetic_images(folder, size=(size, size), **KINDS)
    for file in folder.glob("t*/*/*.png"):  # Some are left where this was interrupted.
        Image.open(file).save(file.with_suffix(".jpg"), **JPEG)
        file.unlink()
    return folder


def fitted(folder: Path, images: Path, source: str) -> Path:
    """A model of these images, with what it is exported to beside it."""
    if not (folder / "openvino").is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        normals = images / "train" / "good" if source == "normals" else None
        AnomalyNCD(n_classes=N_CLASSES, device="cpu").fit(images / "test", normals=normals).save(
            folder / "model"
        )
        for kind in ("onnx", "openvino"):
            export_model(folder / "model", kind, folder / kind)
    return folder


def loaded(folder: Path, threads: int) -> dict[str, Judge]:
    """The model in every engine, and in bfloat16 as well where the processor is made for it."""
    with_bfloat16 = resolve_precision("auto", torch.device("cpu")) == torch.bfloat16
    precisions = ("fp32", "bf16") if with_bfloat16 else ("fp32",)
    engines: dict[str, Judge] = {
        f"torch {one}": Predictor(folder / "model", threads=threads, precision=one)
        for one in precisions
    }
    engines["onnx"] = Runner(folder / "onnx", threads=threads)
    engines["openvino"] = Runner(folder / "openvino", threads=threads)
    if with_bfloat16:
        runner = Runner(folder / "openvino", backend="openvino-bf16", threads=threads)
        engines["openvino bf16"] = runner
    return engines


def measured(engines: dict[str, Judge], clock: Clock, images: Path) -> dict[str, dict[str, Any]]:
    """Medians of the seconds of each stage, for each engine."""
    first = next(iter(engines.values()))
    for engine in engines.values():
        if isinstance(engine, Runner):
            clock.watch_graphs(engine)
    chosen: list[Path] = []
    for file in sorted(images.glob("test/combined/*.jpg")):
        if len(first.predict(file).regions) == N_REGIONS:
            chosen.append(file)
        if len(chosen) == N_IMAGES:
            break
    if not chosen:
        raise SystemExit(f"no image of {images} has {N_REGIONS} regions")
    rows = defaultdict[str, list[dict[str, float]]](list)
    classes = defaultdict[str, list[int]](list)
    for index, file in enumerate([chosen[0], *chosen]):
        for name, engine in engines.items():
            clock.seconds.clear()
            start = time.perf_counter()
            verdict = engine.predict(file)
            whole = time.perf_counter() - start
            if index:  # The first time, graphs and kernels are prepared.
                rows[name].append(_stages(clock.seconds, whole))
                classes[name].append(verdict.class_id)
    same = next(iter(classes.values()))
    return {
        name: {
            **{stage: round(float(np.median([one[stage] for one in of])), 3) for stage in of[0]},
            "images": len(of),
            "same_classes": int(np.equal(classes[name], same).sum()),
        }
        for name, of in rows.items()
    }


def _stages(seconds: dict[str, float], whole: float) -> dict[str, float]:
    """Seconds of stages that do not contain each other, and what is not the backbone."""
    backbone = seconds["backbone for maps"] + seconds["backbone for regions"]
    parts = {
        "decoding": seconds["decoding"],
        "backbone for maps": seconds["backbone for maps"],
        "scores of patches": seconds["maps"] - seconds["backbone for maps"],
        "regions": seconds["regions"],
        "backbone for regions": seconds["backbone for regions"],
    }
    return {
        **parts,
        "everything else": whole - sum(parts.values()),
        "seconds": whole,
        "not_backbone": (whole - backbone) / backbone,
    }


if __name__ == "__main__":
    main()
