"""The steps of a discovery, in the order of the data; each takes what the one before it made."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.data.inputs import Inputs
from anomalyncd.data.maps import Maps
from anomalyncd.data.masks import Masks
from anomalyncd.data.parts import Parts
from anomalyncd.detect.anomaly_maps import write_anomaly_maps
from anomalyncd.detect.detector import Detector
from anomalyncd.detect.fitting import fit_detector
from anomalyncd.detect.object_masks import (
    FOLDER,
    ObjectSummary,
    summarise,
    write_object_masks,
)
from anomalyncd.detect.object_prior import ObjectPrior, fit_object_prior
from anomalyncd.logs import LOG
from anomalyncd.model.region_encoder import RegionEncoder
from anomalyncd.regions.finding import Found, regions_of_maps, regions_of_masks
from anomalyncd.regions.reading import read_crops
from anomalyncd.regions.score_range import ScoreRange, rescale, score_range
from anomalyncd.runtime import Stages
from anomalyncd.settings import MebinSettings, Settings
from anomalyncd.training.checkpoint import Checkpoint, made_from
from anomalyncd.training.trunk_cache import TrunkCache, fill_cache


@dataclass(frozen=True, eq=False)
class Workplace:
    """What every step needs."""

    encoder: RegionEncoder
    """On its device and in its precision."""
    settings: Settings
    """As they hold for this run."""
    seed: int
    """Of everything random."""
    folder: Path
    """Where maps, and what is too large for memory, are laid down."""
    stages: Stages
    """What takes how long."""
    keep: bool = False
    """Whether the folder outlives the run, so that another can go on from it."""


@dataclass(frozen=True, eq=False)
class Scored:
    """How anomalous each place of each part is."""

    maps: Maps | None
    """One a part; None where masks were given."""
    bounds: ScoreRange | None
    """The range of their scores."""
    detector: Detector | None
    """What made the maps; None where they were given."""
    normal_scores: NDArray[np.float32]
    """(M,): highest score of each normal image, 0..1 within the range."""


@dataclass(frozen=True, eq=False)
class Objects:
    """Where the product is on each part; all None where that was not asked."""

    prior: ObjectPrior | None = None
    """How it was found."""
    masks: Masks | None = None
    """One a part; None takes whole pictures for product."""
    summary: ObjectSummary | None = None
    """What came of it."""


def fit_objects(place: Workplace, inputs: Inputs) -> Objects:
    """Learns to tell the product from the background, and finds it on each part."""
    prior, vit, settings = None, place.encoder.vit, place.settings
    if inputs.objects is None and settings.objects.source == "none":
        return Objects()
    with place.stages("objects"):
        if inputs.objects is None:
            prior = fit_object_prior(vit, inputs.parts, settings, place.seed)
        return find_objects(place, inputs, prior)


def find_objects(place: Workplace, inputs: Inputs, prior: ObjectPrior | None) -> Objects:
    """The product on each part, in `place.folder / "objects"`; masks that are given go first."""
    if inputs.objects is not None:
        prior = ObjectPrior("given", "masks were given")
    if prior is None:
        return Objects()
    vit, folder = place.encoder.vit, place.folder / FOLDER
    masks = write_object_masks(vit, inputs.parts, prior, inputs.objects, place.settings, folder)
    summary = summarise(prior, masks)
    LOG.info("product: %s", summary)
    return Objects(prior, masks, summary)


def score_parts(place: Workplace, inputs: Inputs) -> Scored:
    """Makes the anomaly maps that were not given, and finds the range of their scores."""
    if inputs.masks is not None:
        return Scored(None, None, None, np.zeros(0, np.float32))
    maps, normal_maps, detector = inputs.maps, inputs.normal_maps, None
    if maps is None:
        with place.stages("maps"):
            detector = fit_detector(
                place.encoder.vit, inputs.parts, inputs.normals, place.settings.detector, place.seed
            )
            maps = make_maps(place, detector, inputs.parts, inputs.ignored)
            if inputs.normals is not None:
                apart = replace(place, folder=place.folder / "normals")
                normal_maps = make_maps(apart, detector, inputs.normals, inputs.ignored_on_normals)
    with place.stages("range"):
        return bound_scores(maps, normal_maps, place.settings.mebin, detector)


def bound_scores(
    maps: Maps, normal_maps: Maps | None, settings: MebinSettings, detector: Detector | None = None
) -> Scored:
    """Finds the range of the scores of maps that are there.

    Args:
        maps: One a part.
        normal_maps: Those of normal images, which set the floor; None without any.
        settings: Rules and floor.
        detector: What made the maps; None where they were given.
    """
    bounds = score_range(maps, settings, normal_maps)
    if bounds.calibration is not None:
        LOG.info(
            "a few scores dwarf the others; above %.4g they count by their logarithm",
            bounds.calibration.level,
        )
    peaks = [rescale(scores, bounds).max() for scores in normal_maps or ()]
    return Scored(maps, bounds, detector, np.array(peaks, np.float32))


def make_maps(place: Workplace, detector: Detector, parts: Parts, ignored: Masks | None) -> Maps:
    """Anomaly maps by a built-in detector, in `place.folder / "maps"`."""
    maps = write_anomaly_maps(
        place.encoder.vit, parts, detector, place.settings.detector, place.folder / "maps"
    )
    return replace(maps, ignored=ignored)


def find_regions(
    place: Workplace, inputs: Inputs, maps: Maps | None, bounds: ScoreRange | None
) -> Found:
    """Regions from masks, or from maps whose scores lie within a range."""
    settings = place.settings
    if inputs.masks is not None:
        return regions_of_masks(inputs.masks, inputs.sizes, settings.regions)
    assert maps is not None
    assert bounds is not None
    return regions_of_maps(maps, inputs.sizes, bounds, settings.mebin, settings.regions)


def read_regions(
    place: Workplace,
    parts: Parts,
    found: Found,
    objects: Masks | None = None,
    maps: Maps | None = None,
    bounds: ScoreRange | None = None,
) -> TrunkCache:
    """What the frozen blocks say of each region.

    Args:
        place: Encoder and settings.
        parts: The images.
        found: Their regions.
        objects: Where the product is on each part; None takes whole pictures for product.
        maps: One a part, which lead attention if the settings say so; None leaves that to masks.
        bounds: The range of their scores.
    """
    settings, scores = place.settings, None
    if settings.encoder.guided_by == "map" and maps is not None and bounds is not None:
        scores = partial(_rescaled, maps, bounds)
    reach = place.encoder.vit.config.patch_size
    crops = read_crops(
        parts, found, settings.views.load_size, settings.regions.rules, objects, reach, scores
    )
    return fill_cache(
        place.encoder, crops, len(found.regions), settings.views, place.seed, place.folder
    )


def _rescaled(maps: Maps, bounds: ScoreRange, index: int) -> NDArray[np.float32]:
    return rescale(maps[index], bounds)


def find_and_read(
    place: Workplace, inputs: Inputs, scored: Scored, objects: Masks | None = None
) -> tuple[Found, TrunkCache]:
    """Regions and their tokens; those of an interrupted run where there is one."""
    checkpoint = None
    if place.keep:
        key = made_from(
            inputs, scored.maps, scored.bounds, objects, place.encoder, place.settings, place.seed
        )
        checkpoint = Checkpoint(place.folder, key)
        kept = checkpoint.load()
        if kept is not None:
            LOG.info("regions and tokens of an interrupted run are used")
            return kept
        checkpoint.forget()
    with place.stages("regions"):
        found = find_regions(place, inputs, scored.maps, scored.bounds)
    with place.stages("read"):
        cache = read_regions(place, inputs.parts, found, objects, scored.maps, scored.bounds)
        if checkpoint is not None:
            checkpoint.save(found, cache)
    return found, cache
