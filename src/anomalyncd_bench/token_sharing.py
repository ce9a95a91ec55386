"""Tokens that several methods share, read once."""

import copy
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from anomalyncd.steps import (
    RunContext,
    find_and_read,
    fit_objects,
    score_parts,
)
from numpy.typing import NDArray

from anomalyncd.backbone.vit import VisionTransformer
from anomalyncd.config import Config, EncoderConfig
from anomalyncd.discovery.discover import discover_classes
from anomalyncd.embedding.base_regions import BaseRegions, read_base
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.token_store import TokenStore
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.regions.table import Regions
from anomalyncd.results.predictions import aggregate
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
    return encoder.set_trunk_precision(resolve_precision("auto", device))


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
        return read_views(self._vit, inputs.images, inputs.base, VIEWS, 0, work)

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


@dataclass(frozen=True, eq=False)
class RegionTokens:
    """Regions and their tokens, for methods that differ in what comes after them."""

    inputs: Inputs
    encoder: RegionEncoder
    regions: Regions
    cache: TokenStore
    base: BaseRegions | None

    @classmethod
    def read(
        cls, vit: VisionTransformer, inputs: Inputs, config: Config, seed: int, work: Path
    ) -> "RegionTokens":
        """Finds the regions of maps or masks that are there, and reads them.

        Args:
            vit: On its device, float32; a copy of it is used.
            inputs: ImageSet with maps or masks.
            config: As they hold.
            seed: Of the views.
            work: Where tokens are laid down that are too many for memory.
        """
        work.mkdir(parents=True, exist_ok=True)
        encoder = new_encoder(vit, config.encoder)
        context = RunContext(encoder, config, seed, work, Stages())
        foreground = fit_objects(context, inputs).masks
        regions, cache = find_and_read(context, inputs, score_parts(context, inputs), foreground)
        base = None
        if inputs.base is not None:
            base = read_base(inputs.base, encoder, config, seed, work / "base")
        return cls(inputs, encoder, regions, cache, base)

    def discover(self, config: Config, n_classes: int, seed: int) -> NDArray[np.int64]:
        """Class of each image, (N,)."""
        encoder = copy.deepcopy(self.encoder)
        regions, inputs = self.regions, self.inputs
        classes = discover_classes(
            encoder,
            self.cache,
            regions.score,
            n_classes,
            self.base,
            config,
            seed,
            regions.max_normal_score,
            regions.found,
        )
        tables = aggregate(
            inputs.images,
            inputs.sizes,
            regions,
            classes.features,
            classes.probabilities,
            rule=config.aggregation.rule,
        )
        return np.asarray(tables.images["class"], np.int64)


def tokens_key(config: Config) -> Any:
    """Tells methods apart that cannot share tokens."""
    plain = Config()
    stages = asdict(replace(config, training=plain.training, aggregation=plain.aggregation))
    return repr(sorted(stages.items()))
