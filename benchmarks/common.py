"""What the benchmarks share: data sets, backbone, built-in maps and what they were measured on."""

import os
import platform
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import torch
from anomalyncd.detection.fitting import fit_detector

from anomalyncd.backbone.catalogue import DEFAULT_BACKBONE
from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.backbone.weights import load_backbone
from anomalyncd.config import Config, DetectorConfig
from anomalyncd.detection.maps import write_anomaly_maps
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.io.cache import LIMIT_VARIABLE
from anomalyncd.runtime.device import resolve_precision
from anomalyncd.runtime.measurement import Stages

FOLDERS = {"mtd": "mtd", "bottle": "mvtec_ad/bottle", "pill": "mvtec_ad/pill"}
RESULTS = Path("benchmarks/results")


def real_data() -> Path:
    """The folder that holds all real sets."""
    data = os.environ.get("ANOMALYNCD_DATA")
    if not data:
        raise SystemExit("set ANOMALYNCD_DATA to the folder that holds mtd/ and mvtec_ad/")
    return Path(data)


def normal_folder(source: Path) -> Path:
    """The one folder of normal images in an MVTec AD layout."""
    return next(folder for folder in sorted((source / "train").iterdir()) if folder.is_dir())


def keep_no_tokens() -> None:
    """Switches the cache off, so that seconds are those of a first run, unless it is set."""
    os.environ.setdefault(LIMIT_VARIABLE, "0")


def precision() -> torch.dtype:
    """Of the frozen blocks, as the estimator chooses it on the processor."""
    return resolve_precision("auto", torch.device("cpu"))


def machine() -> dict[str, str | int]:
    """What the figures depend on besides the code and the data."""
    return {
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "n_processors": os.cpu_count() or 1,
        "n_threads": torch.get_num_threads(),
        "precision": str(precision()).removeprefix("torch."),
        "cache_gb": os.environ[LIMIT_VARIABLE],
    }


def new_encoder(config: Config, backbone: str = DEFAULT_BACKBONE) -> RegionEncoder:
    encoder = RegionEncoder(load_backbone(backbone), config.encoder)
    return encoder.set_trunk_precision(precision())


def detector_backbone(config: Config) -> VisionTransformer:
    """The backbone, as the estimator makes maps with it."""
    return new_encoder(config).vit.to(precision())


def built_in_maps(
    vit: VisionTransformer,
    inputs: Inputs,
    config: DetectorConfig,
    seed: int,
    work: Path,
    stage: Callable[[str], AbstractContextManager[None]],
) -> tuple[AnomalyMaps, AnomalyMaps | None]:
    """Maps of the images and of the normal images, in the stages `fit` and `score`."""
    with stage("fit"):
        detector = fit_detector(vit, inputs.images, inputs.normals, config, seed)
    with stage("score"):
        maps = write_anomaly_maps(vit, inputs.images, detector, config, work)
        if inputs.normals is None:
            return maps, None
        apart = work.with_name(f"{work.name}_normals")
        return maps, write_anomaly_maps(vit, inputs.normals, detector, config, apart)


def with_built_in_maps(inputs: Inputs, config: Config, folder: Path) -> Inputs:
    """Inputs with the maps of seed 0, and those of normal images; they are kept in `folder`."""
    vit = detector_backbone(config)
    maps, normal_maps = built_in_maps(vit, inputs, config.detector, 0, folder, Stages())
    return replace(inputs, maps=maps, normal_maps=normal_maps)
