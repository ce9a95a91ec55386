"""Tokens that several methods share and that are read once."""

import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import Config, EncoderConfig
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.io.key import key
from anomalyncd.pipeline import Pipeline
from anomalyncd.results.predictions import RegionClasses, aggregate
from anomalyncd.runtime.device import resolve_precision
from anomalyncd.runtime.measurement import Stages
from anomalyncd_bench.baselines.inputs import (
    BaselineInputs,
    ImageTokens,
    LabelledTokens,
    TrainingViews,
)
from anomalyncd_bench.baselines.reading import UNGUIDED, read_base_images, read_images, read_views
from anomalyncd_bench.map_sources import MasksAsMaps
from anomalyncd_bench.methods import VIEWS, Method


def new_encoder(vit: VisionTransformer, config: EncoderConfig) -> RegionEncoder:
    """An encoder around a copy of a backbone, its frozen blocks in the faster precision."""
    device = vit.cls_token.device
    encoder = RegionEncoder(copy.deepcopy(vit), config).to(device)
    return encoder.set_frozen_precision(resolve_precision("auto", device))


class WholeImages:
    """What baselines read of the whole images of one set.

    Args:
        vit: On its device, float32; a copy of it is used.
        inputs: Images, normal images and base set.
        work: Where tokens are written that are too large for memory.
    """

    def __init__(self, vit: VisionTransformer, inputs: Inputs, work: Path) -> None:
        self._vit = new_encoder(vit, UNGUIDED).vit
        self._inputs, self._work = inputs, work

    @cached_property
    def _images(self) -> ImageTokens:
        return read_images(self._vit, self._inputs.images)

    @cached_property
    def _normals(self) -> ImageTokens | None:
        normals = self._inputs.normals
        return None if normals is None else read_images(self._vit, normals)

    @cached_property
    def _base(self) -> LabelledTokens | None:
        base = self._inputs.base
        return None if base is None else read_base_images(self._vit, base)

    @cached_property
    def _views(self) -> TrainingViews:
        inputs, work = self._inputs, self._work / "views"
        work.mkdir(parents=True, exist_ok=True)
        return read_views(self._vit, inputs.images, inputs.base, VIEWS, work)

    def inputs_of(self, method: Method, inputs: Inputs, n_classes: int) -> BaselineInputs:
        """The inputs of a baseline with seed 0; what has not been read yet is read now.

        Args:
            method: The baseline.
            inputs: With maps or masks.
            n_classes: Number of classes.
        """
        needs = method.needs
        maps = MasksAsMaps(inputs.masks) if inputs.masks is not None else inputs.maps
        normals = self._normals if "normals" in needs else None
        views = self._views if "views" in needs else None
        return BaselineInputs(n_classes, 0, self._images, maps, normals, self._base, views)


def read_regions(
    vit: VisionTransformer, inputs: Inputs, config: Config, seed: int, work: Path
) -> Pipeline:
    """A pipeline that has read the tokens of all regions.

    Args:
        vit: The backbone on its device, float32; a copy of it is used.
        inputs: Images with maps or masks.
        config: As it applies to the method.
        seed: Seed of the views.
        work: Where tokens are written that are too large for memory.
    """
    work.mkdir(parents=True, exist_ok=True)
    context = RunContext(new_encoder(vit, config.encoder), config, seed, work, Stages())
    pipeline = Pipeline(context, inputs)
    pipeline.run_before("class_number")
    return pipeline


def discover(shared: Pipeline, config: Config, n_classes: int, seed: int) -> NDArray[np.int64]:
    """Class of each image, (N,), by a discovery from tokens that were read before.

    Args:
        shared: See `read_regions`.
        config: With the same `tokens_key` as that of the pipeline.
        n_classes: Number of classes.
        seed: Seed of the discovery.
    """
    pipeline = shared.reuse(config, seed, n_classes)
    found = pipeline.discovery
    classes = RegionClasses(found.features, found.probabilities)
    tables = aggregate(pipeline.inputs, pipeline.regions, classes, config.aggregation.rule)
    return np.asarray(tables.images["class"], np.int64)


def tokens_key(config: Config) -> str:
    """Key of everything that the tokens of a method depend on."""
    plain = Config()
    return key(replace(config, training=plain.training, aggregation=plain.aggregation))
