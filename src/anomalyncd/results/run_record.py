"""How a run came about, as `run.json` describes it."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any

from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.guidance import KINDS
from anomalyncd.results.model_file import FittedModel
from anomalyncd.runtime.measurement import Stages

_PACKAGES = ("anomalyncd", "torch", "numpy")


def describe_inputs(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Where each input came from, by its name: an absolute path, or "in memory".

    Numbers are left out, since what they led to is part of the model.
    """
    return {
        name: os.path.abspath(value) if isinstance(value, str | Path) else "in memory"  # noqa: PTH100
        for name, value in inputs.items()
        if value is not None and not isinstance(value, Integral)
    }


def describe_model(model: FittedModel) -> dict[str, Any]:
    """The levels, the origin and score range of the maps, precision and guidance, for JSON."""
    maps = "given" if model.score_range is not None else "marked"
    encoder = model.classifier.encoder
    precision = str(encoder.vit.patch_embed.proj.weight.dtype).removeprefix("torch.")
    return {
        "maps": maps if model.detector is None else model.detector.kind,
        "levels": asdict(model.levels) if model.levels else None,
        "score_range": asdict(model.score_range) if model.score_range else None,
        "precision": precision,
        "guidance_factor": _guidance_factor(encoder),
    }


def describe_circumstances(stages: Stages) -> dict[str, Any]:
    """Costs of each stage, versions and platform."""
    return {
        "stages": {
            name: {"seconds": seconds, "peak_memory_mb": stages.peak_memory_mb[name]}
            for name, seconds in stages.seconds.items()
        },
        "versions": {name: version(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
        "platform": platform.platform(),
    }


def _guidance_factor(encoder: RegionEncoder) -> dict[str, dict[str, float]] | None:
    """The region guidance factor before and after training; None where it is not learned."""
    if encoder.config.guidance != "learned":
        return None
    before = dict(zip(KINDS, encoder.config.guidance_factor, strict=True))
    return {"before": before, "after": encoder.guidance.learnt_factor}
