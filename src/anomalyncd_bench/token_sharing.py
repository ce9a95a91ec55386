"""Tokens that several methods share, read once."""

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
from anomalyncd_bench.baselines.reading import (
    UNGUIDED,
    read_base_images,
    read_images,
    read_views,
)
from anomalyncd_bench.map_sources import MasksAsMaps
from anomalyncd_bench.methods import VIEWS, Method


def new_encoder(vit: VisionTransformer, config: EncoderConfig) -> RegionEncoder:
    """An encoder around a copy of a backbone, its frozen blocks in the faster precision."""
    device = vit.cls_token.device
    encoder = RegionEncoder(copy.deepcopy(vit), config).to(device)
    return encoder.set_frozen_precision(resolve_precision("auto", device))


class WholeImages:
    """What rivals read of the whole images of one set.

    Args:
        vit: On its device, float32; a copy of it is used.
        inputs: ImageSet, normal images and base set.
        work: Where tokens are laid down that are too many for memory.
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

    def inputs_of(self, method: Method, with_maps: Inputs, n_classes: int) -> BaselineInputs:
        """What a rival needs, for seed 0; whatever was not read yet is read now."""
        given, needs = with_maps, method.needs
        maps = MasksAsMaps(given.masks) if given.masks is not None else given.maps
        return BaselineInputs(
            n_classes,
            0,
            self._images,
            maps,
            self._normals if "normals" in needs else None,
            self._base,
            self._views if "views" in needs else None,
        )


class RegionTokens:
    """Regions and their tokens, for methods that differ in what comes after them.

    Args:
        vit: The backbone on its device, float32; a copy of it is used.
        inputs: Images with maps or masks.
        config: As it holds for the method.
        seed: Seed of the views.
        work: Where tokens are written that are too large for memory.
    """

    def __init__(
        self, vit: VisionTransformer, inputs: Inputs, config: Config, seed: int, work: Path
    ) -> None:
        work.mkdir(parents=True, exist_ok=True)
        encoder = new_encoder(vit, config.encoder)
        context = RunContext(encoder, config, seed, work, Stages())
        self._pipeline = Pipeline(context, inputs)
        self._pipeline.run_before("class_number")

    def discover(self, config: Config, n_classes: int, seed: int) -> NDArray[np.int64]:
        """Class of each image, (N,)."""
        pipeline = self._pipeline.reuse(config, seed, n_classes)
        found, rule = pipeline.discovery, config.aggregation.rule
        classes = RegionClasses(found.features, found.probabilities)
        tables = aggregate(pipeline.inputs, pipeline.regions, classes, rule)
        return np.asarray(tables.images["class"], np.int64)


def tokens_key(config: Config) -> str:
    """Key of everything that the tokens of a method depend on."""
    plain = Config()
    return key(replace(config, training=plain.training, aggregation=plain.aggregation))
