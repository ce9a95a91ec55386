"""What every stage costs on an accelerator, and whether it finds there what the processor finds.

Discovers classes on the accelerator and on the processor, in the precision that each chooses and in
float32, predicts on both, trains on both from the same tokens, and lets the memory of the
accelerator run full. Takes under eight minutes on a machine with eight cores or more, and writes
one JSON file, anew after every part. Without an accelerator both are the processor, and fewer
images are used, so that the script can be tried.

    python benchmarks/device.py [--images FOLDER] [--weights FILE] [--out runs/device.json]

The results agree if at least 99 % of the images have the same class, once the classes of both are
matched, and if no score of an image differs by more than .02. The exit code is 1 where those in
float32, or of the training, do not. In bfloat16 two devices round differently, and so do two
versions of one; how far results agree then is noted as well. The number of classes is given, since
its estimate needs no accelerator.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import linear_sum_assignment

from anomalyncd.backbone.weights import load_backbone
from anomalyncd.config import PRESETS, Config
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.inputs.inputs import Inputs, check_inputs
from anomalyncd.io.cache import LIMIT_VARIABLE
from anomalyncd.pipeline import STAGES, Pipeline, apply
from anomalyncd.runtime.device import resolve_device, resolve_precision
from anomalyncd.runtime.measurement import Stages, forget_peak_memory
from anomalyncd.synthetic.generate import make_synthetic_images

SAME_CLASSES = 0.99
"""Least share of the images whose classes agree."""
SCORE_DIFFERENCE = 0.02
"""Largest difference between two scores of an image."""
LARGE: dict[str, Any] = {"n_per_kind": 10, "n_normal": 20, "n_combined": 0, "n_train": 0}
SMALL: dict[str, Any] = {"n_per_kind": 2, "n_normal": 3, "n_combined": 0, "n_train": 0}
"""Numbers of images with and without an accelerator."""
EPOCHS = 3
ROUNDED = ("discovery", "prediction")
"""Comparisons in the precision that each device chooses."""


def main(arguments: list[str] | None = None) -> int:
    """Measures, writes the file and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="a folder; synthetic images without it")
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--backbone", default="vit_small_patch14_dinov2.lvd142m")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("runs/device.json"))
    options = parser.parse_args(arguments)
    os.environ[LIMIT_VARIABLE] = "0"  # Tokens that are cached would cost nothing.
    with tempfile.TemporaryDirectory() as temporary:
        record = Comparison(options, Path(temporary)).run()
    print(json.dumps(record, indent=1))
    decisive = (one for name, one in record["agreement"].items() if name not in ROUNDED)
    return 0 if all(one["agree"] for one in decisive) else 1


class Comparison:
    """Measures an accelerator beside the processor."""

    def __init__(self, options: argparse.Namespace, work: Path) -> None:
        self.options, self.work = options, work
        self.device = resolve_device(options.device)
        self.devices = {"device": self.device, "cpu": torch.device("cpu")}
        self.memory = DeviceMemory(self.device)
        self.record: dict[str, Any] = {
            **circumstances(self.device),
            "tolerances": {"same_classes": SAME_CLASSES, "score_difference": SCORE_DIFFERENCE},
            "agreement": {},
        }

    def run(self) -> dict[str, Any]:
        """Runs all parts."""
        start = time.perf_counter()
        sizes = SMALL if self.device.type == "cpu" else LARGE
        images = self.options.images or make_synthetic_images(self.work / "images", **sizes)
        inputs = check_inputs(images)
        self.record["n_images"] = len(inputs.images)
        pipelines = self.find(inputs, "auto")
        fast = pipelines["device"]
        self.predict(pipelines)
        self.find(inputs, "fp32")
        self.train(fast)
        if self.device.type != "cpu":
            self.record["full_memory"] = self.fill_memory(fast)
        self.record["seconds"] = round(time.perf_counter() - start, 1)
        self.write()
        return self.record

    def find(self, inputs: Inputs, precision: str) -> dict[str, Pipeline]:
        """Discovers on both in a precision, and notes what it costs and whether both agree."""
        ending = ending_of(precision)
        pipelines = {side: self.discover(inputs, side, precision) for side in self.devices}
        found = (one.predictions.images for one in pipelines.values())
        self.compare(f"discovery{ending}", *found)
        return pipelines

    def discover(self, inputs: Inputs, side: str, precision: str) -> Pipeline:
        """Runs all stages on a device, and notes what each costs there."""
        ending = ending_of(precision)
        pipeline = self.pipeline(inputs, PRESETS["default"], side, f"untrained{ending}", precision)
        figures = {}
        for name in STAGES:
            with self.measured(side) as figure:
                getattr(pipeline, name)
            if figure["seconds"] >= 0.01:
                figures[name] = figure
        self.record.setdefault(f"stages{ending}", {})[side] = figures
        seconds = sum(figure["seconds"] for figure in figures.values())
        self.note_speed(f"discovery{ending}", side, len(inputs.images) / seconds)
        return pipeline

    def predict(self, pipelines: dict[str, Pipeline]) -> None:
        """Predicts the same images as if they were new, by the model of each device."""
        found = []
        for side, pipeline in pipelines.items():
            config = pipeline.context.config.central_views_only()
            folder = self.work / f"predictions-{side}"
            context = replace(pipeline.context, config=config, folder=folder)
            with self.measured(side) as figure:
                found.append(apply(context, pipeline.model(), pipeline.inputs).images)
            self.record.setdefault("prediction", {})[side] = figure
            speed = len(pipeline.inputs.images) / figure["seconds"]
            self.note_speed("prediction", side, speed)
        self.compare("prediction", *found)

    def train(self, fast: Pipeline) -> None:
        """Trains with the preset `paper` on each device, from the tokens that the first one read.

        Where there are several accelerators, two of them train together as well.
        """
        paper = PRESETS["paper"]
        config = replace(paper, training=replace(paper.training, epochs=EPOCHS, start="kmeans"))
        inputs = replace(fast.inputs, maps=fast.maps)
        read = self.pipeline(inputs, config, "device", "trained")
        with self.measured("device") as figure:
            read.run_before("class_number")
        record = self.record["training"] = {"tokens": figure}
        record["device"], alone = self.trained(read, config, "device")
        record["cpu"], on_cpu = self.trained(read, config, "cpu")
        self.compare("training", alone, on_cpu)
        if self.device.type != "cpu" and torch.accelerator.device_count() > 1:
            record["two_devices"], together = self.trained(read, config, "device", 2)
            self.compare("training_on_two_devices", together, alone)

    def trained(
        self, read: Pipeline, config: Config, side: str, devices: int = 1
    ) -> tuple[dict[str, float], pd.DataFrame]:
        """What a training from the tokens of another pipeline costs and finds."""
        pipeline = self.pipeline(read.inputs, config, side, "trained")
        pipeline.context = replace(pipeline.context, devices=devices)
        shared = STAGES[: STAGES.index("class_number")]
        pipeline.results.update({name: read.results[name] for name in shared})
        with self.measured(side) as figure:
            pipeline.run_before("attention")
        return figure, pipeline.predictions.images

    def fill_memory(self, fast: Pipeline) -> dict[str, Any]:
        """Reads tokens with half of the memory that this takes, and with hardly any."""
        tokens = fast.tokens

        def read() -> str:
            again = Pipeline(replace(fast.context, resumable=False), fast.inputs, fast.n_classes)
            shared = STAGES[: STAGES.index("tokens")]
            again.results.update({name: fast.results[name] for name in shared})
            means, before = (store.tensors["means"] for store in (again.tokens, tokens))
            return f"read; descriptors differ by {float((means - before).abs().max()):.4f} at most"

        held = self.memory.held()
        self.memory.forget_peak()
        read()
        taken = self.memory.peak() - held
        return {
            "held_mb": round(held / 1e6, 1),
            "taken_mb": round(taken / 1e6, 1),
            "half_of_it": self.memory.limited(taken / 2, read),
            "hardly_any": self.memory.limited(0, read),
        }

    def pipeline(
        self, inputs: Inputs, config: Config, side: str, part: str, precision: str = "auto"
    ) -> Pipeline:
        """A pipeline on a device that has done some work already."""
        device = self.devices[side]
        encoder = RegionEncoder(
            load_backbone(self.options.backbone, self.options.weights), config.encoder
        ).to(device)
        encoder.set_frozen_precision(resolve_precision(precision, device))
        weight, size = encoder.vit.patch_embed.proj.weight, config.crops.size
        crops = torch.zeros(16, 3, size, size, dtype=weight.dtype, device=device)
        with torch.inference_mode():
            encoder.frozen_features(crops, crops[:, :1].float()).frozen.cpu()
        folder = self.work / f"{part}-{side}"
        context = RunContext(encoder, config.resolved(), 0, folder, Stages(logged=False))
        return Pipeline(context, inputs, self.options.classes)

    @contextmanager
    def measured(self, side: str) -> Iterator[dict[str, float]]:
        """Seconds, and peak memory of the process and of the device, in MB."""
        figure: dict[str, float] = {}
        on_accelerator = self.devices[side].type != "cpu"
        forget_peak_memory()
        self.memory.forget_peak()
        stages = Stages(logged=False)
        start = time.perf_counter()
        with stages("all"):
            yield figure
            if on_accelerator:
                torch.accelerator.synchronize()
        figure["seconds"] = round(time.perf_counter() - start, 3)
        figure["memory_mb"] = stages.peak_memory_mb.get("all", 0.0)
        if on_accelerator:
            figure["device_memory_mb"] = round(self.memory.peak() / 1e6, 1)

    def note_speed(self, part: str, side: str, images_a_second: float) -> None:
        """Notes a speed, and the ratio of both once both are known."""
        speeds = self.record.setdefault("images_a_second", {}).setdefault(part, {})
        speeds[side] = round(images_a_second, 3)
        if {"device", "cpu"} <= speeds.keys():
            speeds["ratio"] = round(speeds["device"] / speeds["cpu"], 2)
        self.write()

    def compare(self, part: str, first: pd.DataFrame, second: pd.DataFrame) -> None:
        """Notes whether two predictions of the same images agree."""
        self.record["agreement"][part] = agreement(first, second)
        self.write()

    def write(self) -> None:
        """Writes what is known so far."""
        self.options.out.parent.mkdir(parents=True, exist_ok=True)
        self.options.out.write_text(json.dumps(self.record, indent=1), encoding="utf-8")


class DeviceMemory:
    """The memory of an accelerator, as far as torch tells it for devices of its kind."""

    def __init__(self, device: torch.device) -> None:
        self._module: Any = None if device.type == "cpu" else torch.get_device_module(device)

    def forget_peak(self) -> None:
        """The peak is that from now on."""
        with suppress(AttributeError):
            self._module.reset_peak_memory_stats()

    def peak(self) -> int:
        """Bytes that tensors took at most; 0 where it is not told."""
        return int(getattr(self._module, "max_memory_allocated", lambda: 0)())

    def held(self) -> int:
        """Bytes that tensors take now; 0 where it is not told."""
        return int(getattr(self._module, "memory_allocated", lambda: 0)())

    def limited(self, n_bytes: float, work: Callable[[], str]) -> str:
        """What work says while it has so many more bytes, or the error that ends it."""
        if not hasattr(self._module, "set_per_process_memory_fraction"):
            return "torch cannot limit the memory of this device"
        self._module.empty_cache()
        total = self._module.mem_get_info()[1]
        allowed = self._module.memory_reserved() + n_bytes
        self._module.set_per_process_memory_fraction(min(1.0, allowed / total))
        try:
            return work()
        except InputError as error:
            return f"refused: {error}"
        except RuntimeError as error:
            return f"failed: {type(error).__name__}: {error}"
        finally:
            self._module.set_per_process_memory_fraction(1.0)


def ending_of(precision: str) -> str:
    """What the names of parts end in; nothing for the precision that each device chooses."""
    return "" if precision == "auto" else f"_{precision}"


def agreement(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, Any]:
    """How far two tables of the same images agree, and whether that is enough.

    Args:
        first: With the columns `name`, `class` and `score`.
        second: Likewise, in the same order.
    """
    assert list(first["name"]) == list(second["name"])
    counts = pd.crosstab(first["class"].to_numpy(), second["class"].to_numpy()).to_numpy()
    same = counts[linear_sum_assignment(counts, maximize=True)].sum() / len(first)
    difference = float(np.abs(first["score"].to_numpy() - second["score"].to_numpy()).max())
    return {
        "same_classes": round(float(same), 4),
        "score_difference": round(difference, 4),
        "agree": bool(same >= SAME_CLASSES and difference <= SCORE_DIFFERENCE),
    }


def circumstances(device: torch.device) -> dict[str, Any]:
    """The device, its driver, and the versions that figures depend on."""
    name = platform.processor() or platform.machine()
    if device.type != "cpu":
        name = getattr(torch.get_device_module(device), "get_device_name", lambda: device.type)()
    return {
        "accelerator": device.type != "cpu",
        "device": name,
        "device_type": device.type,
        "driver": driver(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu_threads": torch.get_num_threads(),
        "precision": {
            side: str(resolve_precision("auto", one)).removeprefix("torch.")
            for side, one in (("device", device), ("cpu", torch.device("cpu")))
        },
    }


def driver() -> str | None:
    """The version of the driver, where a program tells it."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    asked = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True)
        return told.stdout.splitlines()[0].strip()
    return None


if __name__ == "__main__":
    sys.exit(main())
