"""How a run came about, as `run.json` tells it."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from anomalyncd.embedding.guidance import KINDS
from anomalyncd.estimator import AnomalyNCD
from anomalyncd.results.run_folder import FORMAT


def record_of(estimator: AnomalyNCD, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that `run.json` holds, as JSON can say it.

    Args:
        estimator: Fitted.
        inputs: What it was fitted with, by name; None where something was not given.
    """
    packages = ("anomalyncd", "torch", "numpy")
    stages = estimator.stages_
    encoder = estimator.model_.encoder
    return {
        "format": FORMAT,
        "inputs": {
            name: os.path.abspath(given) if isinstance(given, str | Path) else "in memory"  # noqa: PTH100
            for name, given in inputs.items()
            if given is not None
        },
        "maps": _origin_of_maps(estimator),
        "foreground": asdict(estimator.foreground_summary_)
        if estimator.foreground_summary_
        else None,
        "score_range": asdict(estimator.score_range_) if estimator.score_range_ else None,
        "estimator": type(estimator).__name__,
        "parameters": estimator.get_params() | {"preset": _preset_name(estimator)},
        "precision": str(encoder.vit.patch_embed.proj.weight.dtype).removeprefix("torch."),
        "config": asdict(estimator.config()),
        "n_classes": estimator.n_classes_,
        "class_number": asdict(estimator.class_number_) if estimator.class_number_ else None,
        "guidance_factor": _learnt_factor(estimator),
        "n_images": len(estimator.predictions_.images),
        "n_regions": len(estimator.predictions_.regions),
        "stages": {
            name: {"seconds": seconds, "peak_memory_mb": stages.peak_memory_mb[name]}
            for name, seconds in stages.seconds.items()
        },
        "versions": {name: version(name) for name in packages}
        | {"python": platform.python_version()},
        "platform": platform.platform(),
    }


def _origin_of_maps(estimator: AnomalyNCD) -> str:
    if estimator.detector_ is not None:
        return estimator.detector_.kind
    return "given" if estimator.score_range_ is not None else "marked"


def _learnt_factor(estimator: AnomalyNCD) -> dict[str, dict[str, float]] | None:
    """The region guidance factor before and after training; None where it is not learned."""
    encoder = estimator.model_.encoder
    if encoder.config.guidance != "learned":
        return None
    before = dict(zip(KINDS, encoder.config.guidance_factor, strict=True))
    return {"before": before, "after": encoder.guidance.learnt_factor}


def _preset_name(estimator: AnomalyNCD) -> str | None:
    return estimator.preset if isinstance(estimator.preset, str) else None
