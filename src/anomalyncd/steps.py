"""The steps of a discovery, in the order of the data; each takes what the one before it made."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import Config, MebinConfig
from anomalyncd.detection.detector import Detector
from anomalyncd.detection.fitting import fit_detector
from anomalyncd.detection.maps import write_anomaly_maps
from anomalyncd.embedding.checkpoint import Checkpoint, made_from
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.embedding.token_store import TokenStore, fill_token_store
from anomalyncd.foreground.foreground import Foreground, fit_foreground
from anomalyncd.foreground.masks import (
    FOLDER,
    ForegroundSummary,
    summarise,
    write_foreground_masks,
)
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.image_set import ImageSet
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.masks import Masks
from anomalyncd.regions.crops import read_crops
from anomalyncd.regions.finding import (
    regions_of_maps,
    regions_of_masks,
)
from anomalyncd.regions.score_range import (
    ScoreRange,
    fit_score_range,
    rescale,
)
from anomalyncd.regions.table import Regions
from anomalyncd.runtime.device import Stages
from anomalyncd.runtime.logs import LOG


@dataclass(frozen=True, eq=False)
class RunContext:
    """What every step needs."""

    encoder: RegionEncoder
    """On its device and in its precision."""
    config: Config
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
    """How anomalous each place of each image is."""

    maps: AnomalyMaps | None
    """One a image; None where masks were given."""
    score_range: ScoreRange | None
    """The range of their scores."""
    detector: Detector | None
    """What made the maps; None where they were given."""
    normal_scores: NDArray[np.float32]
    """(M,): highest score of each normal image, 0..1 within the range."""


@dataclass(frozen=True, eq=False)
class Objects:
    """Where the product is on each image; all None where that was not asked."""

    prior: Foreground | None = None
    """How it was found."""
    masks: Masks | None = None
    """One a image; None takes whole pictures for product."""
    summary: ForegroundSummary | None = None
    """What came of it."""


def fit_objects(context: RunContext, inputs: Inputs) -> Objects:
    """Learns to tell the product from the background, and finds it on each image."""
    prior, vit, config = None, context.encoder.vit, context.config
    if inputs.foreground is None and config.foreground.source == "none":
        return Objects()
    with context.stages("foreground"):
        if inputs.foreground is None:
            prior = fit_foreground(vit, inputs.images, config, context.seed)
        return find_objects(context, inputs, prior)


def find_objects(context: RunContext, inputs: Inputs, prior: Foreground | None) -> Objects:
    """The product on each image, in `place.folder / "foreground"`; masks that are given go first."""
    if inputs.foreground is not None:
        prior = Foreground("given", "masks were given")
    if prior is None:
        return Objects()
    vit, folder = context.encoder.vit, context.folder / FOLDER
    masks = write_foreground_masks(
        vit, inputs.images, prior, inputs.foreground, context.config, folder
    )
    summary = summarise(prior, masks)
    LOG.info("product: %s", summary)
    return Objects(prior, masks, summary)


def score_parts(context: RunContext, inputs: Inputs) -> Scored:
    """Makes the anomaly maps that were not given, and finds the range of their scores."""
    if inputs.masks is not None:
        return Scored(None, None, None, np.zeros(0, np.float32))
    maps, normal_maps, detector = inputs.maps, inputs.normal_maps, None
    if maps is None:
        with context.stages("maps"):
            detector = fit_detector(
                context.encoder.vit,
                inputs.images,
                inputs.normals,
                context.config.detector,
                context.seed,
            )
            maps = make_maps(context, detector, inputs.images, inputs.ignored)
            if inputs.normals is not None:
                apart = replace(context, folder=context.folder / "normals")
                normal_maps = make_maps(apart, detector, inputs.normals, inputs.ignored_on_normals)
    with context.stages("range"):
        return bound_scores(maps, normal_maps, context.config.mebin, detector)


def bound_scores(
    maps: AnomalyMaps,
    normal_maps: AnomalyMaps | None,
    config: MebinConfig,
    detector: Detector | None = None,
) -> Scored:
    """Finds the range of the scores of maps that are there.

    Args:
        maps: One a image.
        normal_maps: Those of normal images, which set the floor; None without any.
        config: Rules and floor.
        detector: What made the maps; None where they were given.
    """
    score_range = fit_score_range(maps, config, normal_maps)
    if score_range.calibration is not None:
        LOG.info(
            "a few scores dwarf the others; above %.4g they count by their logarithm",
            score_range.calibration.level,
        )
    peaks = [rescale(scores, score_range).max() for scores in normal_maps or ()]
    return Scored(maps, score_range, detector, np.array(peaks, np.float32))


def make_maps(
    context: RunContext, detector: Detector, images: ImageSet, ignored: Masks | None
) -> AnomalyMaps:
    """Anomaly maps by a built-in detector, in `place.folder / "maps"`."""
    maps = write_anomaly_maps(
        context.encoder.vit, images, detector, context.config.detector, context.folder / "maps"
    )
    return replace(maps, ignored=ignored)


def find_regions(
    context: RunContext, inputs: Inputs, maps: AnomalyMaps | None, score_range: ScoreRange | None
) -> Regions:
    """Regions from masks, or from maps whose scores lie within a range."""
    config = context.config
    if inputs.masks is not None:
        return regions_of_masks(inputs.masks, inputs.sizes, config.regions)
    assert maps is not None
    assert score_range is not None
    return regions_of_maps(maps, inputs.sizes, score_range, config.mebin, config.regions)


def read_regions(
    context: RunContext,
    images: ImageSet,
    regions: Regions,
    foreground: Masks | None = None,
    maps: AnomalyMaps | None = None,
    score_range: ScoreRange | None = None,
) -> TokenStore:
    """What the frozen blocks say of each region.

    Args:
        context: Encoder and settings.
        images: The images.
        regions: Their regions.
        foreground: Where the product is on each image; None takes whole pictures for product.
        maps: One a image, which lead attention if the settings say so; None leaves that to masks.
        score_range: The range of their scores.
    """
    config, scores = context.config, None
    if config.encoder.guided_by == "map" and maps is not None and score_range is not None:
        scores = partial(_rescaled, maps, score_range)
    reach = context.encoder.vit.config.patch_size
    crops = read_crops(
        images, regions, config.crops.load_size, config.regions.rules, foreground, reach, scores
    )
    return fill_token_store(
        context.encoder, crops, len(regions), config.crops, context.seed, context.folder
    )


def _rescaled(maps: AnomalyMaps, score_range: ScoreRange, index: int) -> NDArray[np.float32]:
    return rescale(maps[index], score_range)


def find_and_read(
    context: RunContext, inputs: Inputs, scored: Scored, foreground: Masks | None = None
) -> tuple[Regions, TokenStore]:
    """Regions and their tokens; those of an interrupted run where there is one."""
    checkpoint = None
    if context.keep:
        key = made_from(
            inputs,
            scored.maps,
            scored.score_range,
            foreground,
            context.encoder,
            context.config,
            context.seed,
        )
        checkpoint = Checkpoint(context.folder, key)
        kept = checkpoint.load()
        if kept is not None:
            LOG.info("regions and tokens of an interrupted run are used")
            return kept
        checkpoint.forget()
    with context.stages("regions"):
        regions = find_regions(context, inputs, scored.maps, scored.score_range)
    with context.stages("read"):
        cache = read_regions(
            context, inputs.images, regions, foreground, scored.maps, scored.score_range
        )
        if checkpoint is not None:
            checkpoint.save(regions, cache)
    return regions, cache
