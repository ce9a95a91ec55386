"""A model in memory that gives the verdict on one image at a time."""

from pathlib import Path
from typing import Any

import torch

from anomalyncd.embedding.context import RunContext
from anomalyncd.errors import InputError
from anomalyncd.estimator import AnomalyNCD
from anomalyncd.line.judge import Judge
from anomalyncd.line.pictures import Picture, read_picture
from anomalyncd.line.stating import state_verdict
from anomalyncd.line.verdict import Verdict
from anomalyncd.pipeline import apply
from anomalyncd.results.class_list import ClassList
from anomalyncd.results.fit_counts import FitCounts
from anomalyncd.results.model_file import FittedModel
from anomalyncd.results.model_folder import locate_model
from anomalyncd.results.operating_point import read_point
from anomalyncd.results.operation import Operation
from anomalyncd.results.predictions import Predictions
from anomalyncd.results.run_folder import RECORD, read_run
from anomalyncd.runtime.measurement import Stages


class Predictor(Judge):
    """Gives verdicts on images, one at a time, as `anomalyncd predict` would.

    Nothing is written to disk. Every image is looked at alone, so its verdict does not depend on
    the images beside it, and has the same bits in a batch as alone. After loading nothing changes,
    so one predictor serves several threads. Pickled, it is loaded from its folder again, in the
    same precision.

    Examples:
        >>> predictor = Predictor("runs/bottle")  # doctest: +SKIP
        >>> predictor.predict("camera/0815.png").decision  # doctest: +SKIP
        'class'

    Args:
        model: Folder of a finished run, or of a model.
        weights: File of the backbone's weights, where it is another than for the discovery.
        device: Where to predict, if not on the device of the discovery.
        threads: How many threads torch uses, in the whole process; None takes as many as
            processors are free.
        precision: Precision of the frozen blocks, if not that of the discovery, see `AnomalyNCD`.

    Attributes:
        model: Folder of the model.
        device: Device as it was named, for this predictor or for the discovery; may be "auto".

    Raises:
        InputError: The folder holds no usable model, or the model needs more than images: maps,
            masks, or the foreground of each image.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        weights: str | Path | None = None,
        device: str | None = None,
        threads: int | None = None,
        precision: str | None = None,
    ) -> None:
        # Absolute, because a process that unpickles the predictor may run in another folder.
        folder = Path(model).expanduser().absolute()
        carried = None if weights is None else Path(weights).expanduser().absolute()
        if threads is not None and threads < 1:
            raise InputError(f"threads={threads} cannot be used; give 1 or more, or None")
        self.model = locate_model(folder)
        estimator = AnomalyNCD.load(self.model, weights=carried, device=device, precision=precision)
        self.device = estimator.device
        if threads is not None:
            torch.set_num_threads(threads)
        self._fitted = estimator.model_
        # What "auto" means here may differ from what it means where this is unpickled.
        weight = self._fitted.classifier.encoder.vit.patch_embed.proj.weight
        chosen = "fp32" if weight.dtype == torch.float32 else "bf16"
        options = {"weights": carried, "device": device, "threads": threads, "precision": chosen}
        self._arguments = (folder, options)
        _refuse_further_inputs(self._fitted, self.model)
        self._config = estimator.config().central_views_only()
        self._seed = estimator.random_state
        self._operation = self._fitted.operation or operation_of(folder, self._fitted)
        self._class_list = _class_list(self._fitted, estimator.n_classes_)

    @property
    def fit_counts(self) -> FitCounts | None:
        """Counts of the images of the fit; None in models of versions that did not count."""
        return self._fitted.fit_counts

    def predict(self, image: Picture, name: str | None = None) -> Verdict:
        """Gives the verdict on one image, see `Judge.predict`."""
        return state_verdict(self.tables(image, name), self._operation)

    def tables(self, image: Picture, name: str | None = None) -> Predictions:
        """Predicts one image and returns the tables that `anomalyncd predict` would write of it.

        Args:
            image: As for `predict`.
            name: As for `predict`.

        Raises:
            InputError: The image cannot be read.
        """
        inputs = read_picture(image, name, self._fitted.levels)
        encoder = self._fitted.classifier.encoder
        context = RunContext(encoder, self._config, self._seed, None, Stages(logged=False))
        return apply(context, self._fitted, inputs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, self._arguments


def _load(model: Path, arguments: dict[str, Any]) -> Predictor:
    return Predictor(model, **arguments)


def operation_of(folder: Path, model: FittedModel) -> Operation:
    """The operation of a run whose model was written by a version that did not save it there."""
    if not (folder / RECORD).is_file():
        return Operation()
    corrected = model.corrections is not None
    return Operation.of_run(read_run(folder), read_point(folder), corrected)


def _class_list(model: FittedModel, n_classes: int) -> ClassList:
    if model.corrections is not None:
        return model.corrections.class_list
    return ClassList.discovered(n_classes)


def _refuse_further_inputs(model: FittedModel, folder: Path) -> None:
    needed = None
    if model.detector is None:
        needed = "masks" if model.score_range is None else "maps"
    elif (
        model.foreground is not None
        and model.foreground.source == "given"
        and (model.fixed_masks is None or model.fixed_masks.foreground is None)
    ):
        needed = "masks of the foreground"
    if needed is not None:
        raise InputError(
            f"model '{folder}' was made from {needed} that were given, and needs them of each new "
            "image; use anomalyncd predict, or discover with the images alone"
        )
