"""The order of all stages, from images to predictions; no other file chains stages."""

import copy
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyncd.config import Config
from anomalyncd.detection.detector import (
    Detector,
    detector_warnings,
    fit_detector,
    tile_side_of,
)
from anomalyncd.detection.maps import write_anomaly_maps
from anomalyncd.detection.tiles import chosen_tile_side, tiled
from anomalyncd.discovery.class_number import ClassNumber, estimate_n_classes
from anomalyncd.discovery.discover import (
    Discovery,
    classify,
    describe_start,
    discover_classes,
)
from anomalyncd.discovery.reliability import Reliability, ReliabilityModel, fit_reliability
from anomalyncd.discovery.sampling import sample_of_images
from anomalyncd.embedding.base_regions import BaseRegions, read_base
from anomalyncd.embedding.checkpoint import Checkpoint
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.region_store import (
    BATCH,
    BatchReader,
    RegionStore,
    fill_store,
    join_batches,
)
from anomalyncd.foreground.foreground import Foreground, fit_foreground
from anomalyncd.foreground.masks import FOLDER as FOREGROUND
from anomalyncd.foreground.masks import write_foreground_masks
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.inputs.fixed_masks import FixedMasks
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.masks import Masks
from anomalyncd.io.key import key_of_version
from anomalyncd.regions.crops import Overlays, read_crops
from anomalyncd.regions.finding import regions_of_inputs
from anomalyncd.regions.inspection import inspect_regions
from anomalyncd.regions.map_warnings import map_warnings, refuse_constant_maps
from anomalyncd.regions.score_range import ScoreRange, rescale
from anomalyncd.regions.table import Regions
from anomalyncd.regions.windows import (
    fit_score_range_of,
    with_looked_at_side,
)
from anomalyncd.results.class_warnings import class_warnings
from anomalyncd.results.fit_counts import FitCounts
from anomalyncd.results.model_file import FittedModel
from anomalyncd.results.predictions import Predictions, RegionClasses, aggregate
from anomalyncd.runtime.engine import ThisProcess
from anomalyncd.runtime.logs import LOG
from anomalyncd.stages import Stage, amount

MAPS = "maps"
"""Folder of the anomaly maps in a run folder."""


class Pipeline:
    """A discovery, stage by stage: asking for a result runs that stage and all stages above it.

    Examples:
        >>> maps = Pipeline(context, inputs).maps  # doctest: +SKIP
        >>> predictions = Pipeline(context, inputs, n_classes=4).predictions  # doctest: +SKIP

    Args:
        context: Encoder, config, seed and folder.
        inputs: Images and everything else that was given.
        n_classes: Number of classes, the normal class included; None estimates it.
        maps_folder: Where the anomaly maps are written; None takes `maps/` in the context's folder.
    """

    def __init__(
        self,
        context: RunContext,
        inputs: Inputs,
        n_classes: int | None = None,
        maps_folder: Path | None = None,
    ) -> None:
        self.context = context
        self.inputs = inputs
        self.n_classes = n_classes
        self.maps_folder = maps_folder or context.within(MAPS)

    @property
    def results(self) -> dict[str, Any]:
        """Results of the stages that have run, by name; they are looked up here first."""
        return self.__dict__

    def run_before(self, stage: str) -> None:
        """Runs all stages above one of them that have not run yet."""
        for name in STAGES[: STAGES.index(stage)]:
            getattr(self, name)

    def reuse(self, config: Config, seed: int, n_classes: int | None) -> "Pipeline":
        """A pipeline that discovers anew from the regions and tokens of this one.

        Args:
            config: May differ in the stages from `training` on.
            seed: Seed of the discovery.
            n_classes: As for the constructor.
        """
        self.run_before("class_number")
        encoder = copy.deepcopy(self.context.encoder)
        context = replace(self.context, encoder=encoder, config=config, seed=seed)
        pipeline = Pipeline(context, self.inputs, n_classes, self.maps_folder)
        shared = STAGES[: STAGES.index("class_number")]
        pipeline.results.update({name: self.results[name] for name in shared})
        return pipeline

    @Stage
    def foreground(self) -> Foreground | None:
        """Learns to separate the foreground from the background; None if that is not asked for."""
        config = self.context.config
        if self.inputs.foreground is not None:
            return Foreground("given", "masks were given")
        if config.foreground.source == "none":
            return None
        vit = self.context.encoder.vit
        return fit_foreground(vit, self.inputs.images, config, self.context.seed)

    @Stage
    def foreground_masks(self) -> Masks | None:
        """Finds the foreground of each image; None takes whole images for foreground."""
        return _foreground_masks(self.context, self.inputs, self.foreground)

    @Stage
    def detector(self) -> Detector | None:
        """Fits the built-in detector; None where maps or masks were given."""
        inputs, config, seed = self.inputs, self.context.config.detector, self.context.seed
        if inputs.masks is not None or inputs.maps is not None:
            return None
        vit = self.context.encoder.vit
        side = tile_side_of(vit, inputs.images, inputs.sizes, config)
        if side is not None:
            LOG.info("the images are looked at in tiles of %d pixels", side)
        normals = None if inputs.normals is None else tiled(inputs.normals, side)
        detector = fit_detector(vit, tiled(inputs.images, side), normals, config, seed)
        _logged(detector_warnings(detector))
        return detector

    @Stage
    def maps(self) -> AnomalyMaps | None:
        """Makes the anomaly map of each image, unless maps or masks were given."""
        return _maps(self.context, self.inputs, self.detector, self.maps_folder)

    @Stage
    def normal_maps(self) -> AnomalyMaps | None:
        """Makes the anomaly maps of the normal images, where there are some.

        A single one has none, since it is never compared with itself, unless it is cut into tiles.
        """
        inputs, detector = self.inputs, self.detector
        if detector is None or inputs.normals is None:
            return inputs.normal_maps
        if len(inputs.normals) == 1 and detector.extractor.tile_side is None:
            return None
        folder = self.context.within("normals", MAPS)
        maps = _make_maps(self.context, detector, inputs.normals, folder)
        return replace(maps, ignored=inputs.ignored_on_normals)

    @Stage
    def score_range(self) -> ScoreRange | None:
        """Fits the range of the scores of all maps."""
        if self.maps is None:
            return None
        config = _looked_at(self.context, self.inputs, self.detector)
        score_range = fit_score_range_of(self.maps, self.inputs.sizes, config, self.normal_maps)
        if score_range.calibration is not None and self.inputs.maps is None:
            LOG.info(
                "a few scores are far above the others; above %.4g they count by their logarithm",
                score_range.calibration.level,
            )
        return score_range

    @Stage
    def regions(self) -> Regions:
        """Finds the regions of all images."""
        if self._resumed is not None:
            LOG.info("regions and tokens of an interrupted run are used")
            return self._resumed[0]
        config = _looked_at(self.context, self.inputs, self.detector)
        return regions_of_inputs(self.inputs, self.maps, self.score_range, config)

    @Stage
    def inspection(self) -> tuple[str, ...]:
        """Looks for what is wrong with maps that were given, by the regions found in them."""
        if self.inputs.maps is None or self.score_range is None:
            return ()
        mebin = self.context.config.mebin
        alone = replace(self.inputs, warnings=())
        inspection = inspect_regions(alone, mebin, self.score_range, self.regions)
        refuse_constant_maps(inspection)
        return _logged(map_warnings(inspection))

    @Stage
    def tokens(self) -> RegionStore:
        """Reads all regions: tokens where the config trains, means over rotations where not."""
        if self._resumed is not None:
            return self._resumed[1]
        overlays = _overlays(self.context, self.foreground_masks, self.maps, self.score_range)
        tokens = _read_regions(self.context, self.inputs.images, self.regions, overlays)
        if self._checkpoint is not None:
            self._checkpoint.save(self.regions, tokens)
        return tokens

    @Stage
    def base(self) -> BaseRegions | None:
        """Reads the labelled regions of the base set; None without one."""
        if self.inputs.base is None:
            return None
        return read_base(self.inputs.base, replace(self.context, folder=self.base_folder))

    @Stage
    def class_number(self) -> ClassNumber | None:
        """Estimates the number of classes; None where it was given."""
        if self.n_classes is not None:
            return None
        config, seed = self.context.config.class_number, self.context.seed
        rows = sample_of_images(self.regions.image, seed)
        features, known = describe_start(self.context, self.regions, self.tokens, self.base, rows)
        estimated = estimate_n_classes(features, self.regions.select(rows), known, config, seed)
        LOG.info("%s", estimated)
        return estimated

    @Stage
    def discovery(self) -> Discovery:
        """Finds the classes of all regions."""
        n_classes = self.n_classes
        if n_classes is None:
            assert self.class_number is not None
            n_classes = self.class_number.estimate
        return discover_classes(self.context, self.regions, self.tokens, self.base, n_classes)

    @Stage
    def attention(self) -> NDArray[np.float16] | None:
        """Attention of the CLS token on each region; None where it is not guided."""
        return self.tokens.attend(self.context.encoder)

    @Stage
    def reliability(self) -> tuple[ReliabilityModel, Reliability]:
        """Learns how far a class can be relied on, and which new regions are unseen."""
        config, seed = self.context.config.reliability, self.context.seed
        return fit_reliability(self.discovery, self.regions, config, seed)

    @Stage
    def predictions(self) -> Predictions:
        """Aggregates the classes of regions into those of images."""
        found = self.discovery
        classes = RegionClasses(found.features, found.probabilities, self.reliability[1])
        rule = self.context.config.aggregation.rule
        predictions = aggregate(self.inputs, self.regions, classes, rule)
        of_classes = _logged(class_warnings(predictions, self.inputs, self.score_range))
        of_detector = detector_warnings(self.detector)
        warnings = (*predictions.warnings, *self.inspection, *of_detector, *of_classes)
        return replace(predictions, warnings=warnings)

    def model(self) -> FittedModel:
        """The components that were fitted."""
        return FittedModel(
            self.inputs.images.levels,
            FixedMasks.of(self.inputs),
            self.foreground,
            self.detector,
            self.score_range,
            self.discovery.classifier,
            self.discovery.normality,
            self.reliability[0],
            fit_counts=FitCounts.of_images(self.predictions.images, self.predictions.classes),
        )

    def normal_scores(self) -> NDArray[np.float32]:
        """Highest score of each normal image, (M,), 0..1 within the score range."""
        score_range = self.score_range
        if score_range is None:
            return np.zeros(0, np.float32)
        peaks = [rescale(scores, score_range).max() for scores in self.normal_maps or ()]
        return np.array(peaks, np.float32)

    @property
    def base_folder(self) -> Path | None:
        """Where tokens of the base set are written that are too large for memory."""
        return self.context.within("base")

    @cached_property
    def _checkpoint(self) -> Checkpoint | None:
        """Where regions and tokens are saved, if the folder outlives the run."""
        context = self.context
        if not context.resumable or context.folder is None:
            return None
        scores = (self.maps, self.score_range, self.foreground_masks)
        made_from = key_of_version(
            self.inputs, *scores, context.config, context.encoder.vit, context.seed
        )
        return Checkpoint(context.folder, made_from)

    @cached_property
    def _resumed(self) -> tuple[Regions, RegionStore] | None:
        """Regions and tokens of an interrupted run; None where there are none of these inputs."""
        if self._checkpoint is None:
            return None
        resumed = self._checkpoint.load()
        if resumed is None:
            self._checkpoint.clear()
        return resumed


STAGES = tuple(name for name, value in vars(Pipeline).items() if isinstance(value, Stage))
"""Names of the stages, in the order in which they run."""


def apply(context: RunContext, model: FittedModel, inputs: Inputs) -> Predictions:
    """Predicts the classes of new images.

    Args:
        context: The encoder of the model; the config without augmented views. Without a folder
            nothing is written.
        model: What a pipeline fitted.
        inputs: The new images. The fixed masks of the model hold for them, too, unless they come
            with others.
    """
    if model.fixed_masks is not None:
        inputs = model.fixed_masks.complete(inputs)
    with context.stages("foreground_masks") as done:
        foreground_masks = _foreground_masks(context, inputs, model.foreground)
        done += amount(foreground_masks)
    with context.stages("maps") as done:
        maps = _maps(context, inputs, model.detector, context.within(MAPS))
        done += amount(maps)
    with context.stages("regions") as done:
        config = _looked_at(context, inputs, model.detector)
        regions = regions_of_inputs(inputs, maps, model.score_range, config)
        done += amount(regions)
    with context.stages("tokens") as done:
        overlays = _overlays(context, foreground_masks, maps, model.score_range)
        tokens = _read_regions(context, inputs.images, regions, overlays)
        done += amount(tokens)
    features, probabilities = classify(model.classifier, model.normality, tokens, regions)
    corrected, class_list = probabilities, None
    if model.corrections is not None:
        class_list, correction = model.corrections.class_list, model.corrections.correction
        corrected = correction.apply(features, regions.score, probabilities)
    reliability = model.reliability.apply(features, regions, corrected, config.reliability)
    classes = RegionClasses(features, corrected, reliability, class_list)
    predictions = aggregate(inputs, regions, classes, config.aggregation.rule).of_new_images()
    attention = tokens.attend(context.encoder)
    return replace(predictions, probabilities=probabilities, attention=attention)


def _logged(warnings: list[str]) -> tuple[str, ...]:
    for warning in warnings:
        LOG.warning("%s", warning)
    return tuple(warnings)


def _foreground_masks(
    context: RunContext, inputs: Inputs, foreground: Foreground | None
) -> Masks | None:
    if foreground is None:
        return None
    return write_foreground_masks(
        context.encoder.vit, inputs, foreground, context.config, context.within(FOREGROUND)
    )


def _maps(
    context: RunContext, inputs: Inputs, detector: Detector | None, folder: Path | None
) -> AnomalyMaps | None:
    if detector is None or inputs.masks is not None or inputs.maps is not None:
        return inputs.maps
    maps = _make_maps(context, detector, inputs.images, folder)
    return replace(maps, ignored=inputs.ignored)


def _make_maps(
    context: RunContext, detector: Detector, images: ImageSet, folder: Path | None
) -> AnomalyMaps:
    vit, config = context.encoder.vit, context.config.detector
    return write_anomaly_maps(vit, images, detector, config, folder, context.engine)


def _looked_at(context: RunContext, inputs: Inputs, detector: Detector | None) -> Config:
    """The config whose regions are relative to what is looked at: tiles or whole images."""
    if detector is not None:
        return with_looked_at_side(context.config, detector.extractor.tile_side)
    return with_looked_at_side(
        context.config, chosen_tile_side(inputs.sizes, context.config.detector)
    )


def _overlays(
    context: RunContext,
    foreground: Masks | None,
    maps: AnomalyMaps | None,
    score_range: ScoreRange | None,
) -> Overlays:
    """What is cut out along with each region: the foreground, and the map that guides attention."""
    scores = None
    if context.config.encoder.guided_by == "map" and maps is not None and score_range is not None:
        scores = partial(_rescaled, maps, score_range)
    return Overlays(foreground, context.encoder.vit.config.patch_size, scores)


def _rescaled(maps: AnomalyMaps, score_range: ScoreRange, index: int) -> NDArray[np.float32]:
    return rescale(maps[index], score_range)


def _read_regions(
    context: RunContext, images: ImageSet, regions: Regions, overlays: Overlays
) -> RegionStore:
    config, count = context.config, len(regions)
    if isinstance(context.engine, ThisProcess) or config.crops.n_views:
        return fill_store(context, read_crops(images, regions, config, overlays), count)
    make = partial(BatchReader, context.encoder, images, regions, config, overlays)
    parts = context.engine.map(make, range(0, count, BATCH))
    return join_batches(context, parts, count)
