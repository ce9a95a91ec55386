"""Tokens that several methods share, read once."""

import copy
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.inputs import Inputs
from anomalyncd.evaluation.bench.methods import VIEWS, Method
from anomalyncd.evaluation.bench.sources import MasksAsMaps
from anomalyncd.evaluation.rivals.inputs import (
    ImageTokens,
    LabelledTokens,
    RivalInputs,
    TrainingViews,
)
from anomalyncd.evaluation.rivals.reading import (
    UNGUIDED,
    read_base_images,
    read_images,
    read_views,
)
from anomalyncd.model.region_encoder import RegionEncoder
from anomalyncd.model.vit import VisionTransformer
from anomalyncd.regions.finding import Found
from anomalyncd.result import verdicts
from anomalyncd.runtime import Stages, resolve_precision
from anomalyncd.settings import EncoderSettings, Settings
from anomalyncd.steps import Workplace, find_and_read, fit_objects, score_parts
from anomalyncd.training.base_cache import read_base
from anomalyncd.training.discoverer import BaseRegions, discover_classes
from anomalyncd.training.trunk_cache import TrunkCache


def new_encoder(vit: VisionTransformer, settings: EncoderSettings) -> RegionEncoder:
    """An encoder around a copy of a backbone, its frozen blocks in the faster precision."""
    device = vit.cls_token.device
    encoder = RegionEncoder(copy.deepcopy(vit), settings).to(device)
    return encoder.set_trunk_precision(resolve_precision("auto", device))


class WholeImages:
    """What rivals read of the whole images of one set.

    Args:
        vit: On its device, float32; a copy of it is used.
        inputs: Parts, normal images and base set.
        work: Where tokens are laid down that are too many for memory.
    """

    def __init__(self, vit: VisionTransformer, inputs: Inputs, work: Path) -> None:
        self._vit = new_encoder(vit, UNGUIDED).vit
        self._inputs, self._work = inputs, work

    @cached_property
    def _images(self) -> ImageTokens:
        return read_images(self._vit, self._inputs.parts)

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
        return read_views(self._vit, inputs.parts, inputs.base, VIEWS, 0, work)

    def inputs_of(self, method: Method, with_maps: Inputs, n_classes: int) -> RivalInputs:
        """What a rival needs, for seed 0; whatever was not read yet is read now."""
        given, needs = with_maps, method.needs
        maps = MasksAsMaps(given.masks) if given.masks is not None else given.maps
        return RivalInputs(
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
    found: Found
    cache: TrunkCache
    base: BaseRegions | None

    @classmethod
    def read(
        cls, vit: VisionTransformer, inputs: Inputs, settings: Settings, seed: int, work: Path
    ) -> "RegionTokens":
        """Finds the regions of maps or masks that are there, and reads them.

        Args:
            vit: On its device, float32; a copy of it is used.
            inputs: Parts with maps or masks.
            settings: As they hold.
            seed: Of the views.
            work: Where tokens are laid down that are too many for memory.
        """
        work.mkdir(parents=True, exist_ok=True)
        encoder = new_encoder(vit, settings.encoder)
        place = Workplace(encoder, settings, seed, work, Stages())
        objects = fit_objects(place, inputs).masks
        found, cache = find_and_read(place, inputs, score_parts(place, inputs), objects)
        base = None
        if inputs.base is not None:
            base = read_base(inputs.base, encoder, settings, seed, work / "base")
        return cls(inputs, encoder, found, cache, base)

    def discover(self, settings: Settings, n_classes: int, seed: int) -> NDArray[np.int64]:
        """Class of each part, (N,)."""
        encoder = copy.deepcopy(self.encoder)
        found, inputs = self.found, self.inputs
        classes = discover_classes(
            encoder,
            self.cache,
            found.regions.score,
            n_classes,
            self.base,
            settings,
            seed,
            found.highest_split,
            found.regions.found,
        )
        tables = verdicts(
            inputs.parts,
            inputs.sizes,
            found,
            classes.features,
            classes.probabilities,
            rule=settings.merging.rule,
        )
        return np.asarray(tables.images["class"], np.int64)


def tokens_key(settings: Settings) -> Any:
    """Tells methods apart that cannot share tokens."""
    plain = Settings()
    stages = asdict(replace(settings, training=plain.training, merging=plain.merging))
    return repr(sorted(stages.items()))
