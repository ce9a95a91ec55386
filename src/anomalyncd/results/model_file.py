"""A fitted model as two files, `model.safetensors` and `model.json`: nothing that executes."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from anomalyncd.config import Config, config_from_dict
from anomalyncd.detection.detector import DETECTORS, Detector
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.normality import Normality
from anomalyncd.discovery.reliability import ReliabilityModel
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.foreground.foreground import Foreground
from anomalyncd.images.levels import Levels
from anomalyncd.inputs.fixed_masks import FixedMasks
from anomalyncd.io.component import Component, State
from anomalyncd.io.json_files import read_json, write_json
from anomalyncd.io.writing import replace_folder
from anomalyncd.regions.score_range import ScoreRange
from anomalyncd.results.corrections import Corrections
from anomalyncd.results.fit_counts import FitCounts
from anomalyncd.results.operation import Operation

FORMAT = 1
"""Increases when what is written changes its meaning."""

TENSORS, DESCRIPTION = "model.safetensors", "model.json"
"""Names of the two files."""
_CLASSIFIER, _DETECTOR = "classifier", "detector"
_DIGEST = "digest"
"""Entry with a digest of all others; models of older versions have none."""
_ENTRIES = frozenset(
    {"format", "anomalyncd", "estimator", "parameters", "config", "components", "tensors", _DIGEST}
)
_MOST_CLASSES = 100_000
_PARAMETERS = frozenset({"weights", "backbone", "precision", "random_state", "preset"})
_DAMAGED = (
    *(KeyError, TypeError, AttributeError, ValueError, IndexError, RuntimeError),
    *(OverflowError, RecursionError),
)


@dataclass(frozen=True, eq=False)
class FittedModel:
    """The components that a fit learned, in the order of the pipeline."""

    levels: Levels | None
    """What is black and white in images of more than 8 bits; None where there were none."""
    fixed_masks: FixedMasks | None
    """Masks that hold for all images; None where there were none."""
    foreground: Foreground | None
    """Separates the foreground from the background; None where whole images are foreground."""
    detector: Detector | None
    """Makes the anomaly maps; None where maps or masks were given."""
    score_range: ScoreRange | None
    """Range of the scores of the maps; None where masks were given."""
    classifier: RegionClassifier
    """Descriptor and prototypes on top of the frozen blocks."""
    normality: Normality | None
    """Decides which regions are normal; None unless scores are smoothed over neighbours."""
    reliability: ReliabilityModel
    """Recognises unseen and unsure regions."""
    corrections: Corrections | None = None
    """What a person said; None for the classes as they were discovered."""
    operation: Operation | None = None
    """The operating point and the severities of classes; None where none was ever stated."""
    fit_counts: FitCounts | None = None
    """What a line is compared with; None in models of versions that did not count."""


_COMPONENTS: Mapping[str, type[Component]] = {
    "levels": Levels,
    "fixed_masks": FixedMasks,
    "foreground": Foreground,
    "score_range": ScoreRange,
    "normality": Normality,
    "reliability": ReliabilityModel,
    "corrections": Corrections,
    "operation": Operation,
    "fit_counts": FitCounts,
}


@dataclass(frozen=True, eq=False)
class StoredModel:
    """What a model folder holds; the frozen blocks come with the backbone."""

    estimator: str
    """Name of the estimator's class."""
    parameters: dict[str, Any]
    """Arguments of the estimator's constructor; the preset by its name, None without one."""
    config: Config
    """What the preset meant when the model was saved."""
    states: dict[str, State | None]
    """State of each component by name; None where the model has no such component."""

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self._classifier.values["n_classes"])

    @property
    def n_rotations(self) -> int:
        """Rotations in which a region is read: one after training, whatever the config says."""
        return int(self._classifier.values["n_rotations"])

    def component(self, name: str) -> Any:
        """Restores one component by its name in `FittedModel`; None where the model has none."""
        state = self.states.get(name)
        return None if state is None else _COMPONENTS[name].from_state(state)

    @property
    def _classifier(self) -> State:
        state = self.states[_CLASSIFIER]
        assert state is not None
        return state

    def restore(self, encoder: RegionEncoder) -> FittedModel:
        """Restores the components on top of a backbone.

        Raises:
            InputError: See `RegionClassifier.from_state`.
            KeyError, TypeError, ValueError: A state does not belong to its component.
        """
        detector = self.states[_DETECTOR]
        restored: dict[str, Any] = {name: self.component(name) for name in _COMPONENTS}
        fitted: Detector | None = None
        if detector is not None:
            fitted = DETECTORS[detector.values["kind"]].from_state(detector)
        return FittedModel(
            detector=fitted,
            classifier=RegionClassifier.from_state(encoder, self._classifier),
            **restored,
        )


def write_model(
    folder: Path, estimator: str, parameters: dict[str, Any], config: Config, model: FittedModel
) -> None:
    """Writes a model, completely or not at all.

    Args:
        folder: A new or empty folder, or one that holds a model, which is replaced.
        estimator: Name of the estimator's class.
        parameters: Arguments of the estimator's constructor.
        config: What its preset means.
        model: The components. The projection head, which only training needs, is left out.

    Raises:
        InputError: The folder holds something else.
    """
    _refuse_other_content(folder)
    preset = parameters["preset"]
    parameters = parameters | {"preset": preset if isinstance(preset, str) else None}
    with replace_folder(folder) as new:
        _write(new, StoredModel(estimator, parameters, config, _states(model)))


def write_changed(
    stored: StoredModel, changed: Mapping[str, Component | None], folder: Path
) -> None:
    """Writes a model that was read, with other components, into an empty folder.

    Args:
        stored: The model.
        changed: The components to replace by their names in `FittedModel`.
        folder: The folder.
    """
    states = {name: None if one is None else one.state() for name, one in changed.items()}
    _write(folder, replace(stored, states=stored.states | states))


def _write(folder: Path, model: StoredModel) -> None:
    tensors = {
        # Components share descriptors in memory; in the file each has its own.
        f"{name}.{field}": tensor.detach().cpu().contiguous().clone()
        for name, state in model.states.items()
        if state is not None
        for field, tensor in state.tensors.items()
    }
    content = save(tensors)
    # Not written by safetensors itself, whose files only their owner may read.
    (folder / TENSORS).write_bytes(content)
    states = model.states.items()
    description = {
        "format": FORMAT,
        "anomalyncd": version("anomalyncd"),
        "estimator": model.estimator,
        "parameters": model.parameters,
        "config": asdict(model.config),
        "components": {name: state and state.values for name, state in states},
        "tensors": hashlib.sha256(content).hexdigest(),
    }
    write_json(folder / DESCRIPTION, sealed(description))


def read_model(folder: Path) -> StoredModel:
    """Reads what `write_model` wrote.

    Raises:
        InputError: No such folder, a file is missing or damaged, or the format is another.
    """
    if not folder.is_dir():
        raise InputError(f"model folder '{folder}' does not exist; check the path")
    description = read_json(folder / DESCRIPTION, "model")
    found = description.get("format")
    if found != FORMAT:
        raise InputError(
            f"model '{folder}' has format {found}, this version reads {FORMAT}; use anomalyncd "
            f"{description.get('anomalyncd', 'of another version')}, or fit the model again"
        )
    _refuse_damaged(description, folder)
    tensors = _read_tensors(folder, description)
    try:
        _refuse_odd(description)
        return StoredModel(
            description["estimator"],
            description["parameters"],
            config_from_dict(description["config"]),
            {
                name: None if values is None else State(values, _starting_with(tensors, name))
                for name, values in description["components"].items()
            },
        )
    except InputError as error:
        raise InputError(
            f"model '{folder}' was saved by another version ({error}); fit the model again"
        ) from error
    except _DAMAGED as error:
        raise _damaged(folder, error) from error


@contextmanager
def restoring(folder: Path) -> Iterator[None]:
    """Names the folder of a model whose components cannot be restored.

    Raises:
        InputError: What is done within it raised what a damaged component raises.
    """
    try:
        yield
    except InputError:
        raise
    except _DAMAGED as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"model file '{folder / DESCRIPTION}' is damaged ({error!r}); fit the model again"
    )


def _refuse_odd(description: dict[str, Any]) -> None:
    """Raises where what every model states is missing or of another kind."""
    lacking = _PARAMETERS - description["parameters"].keys()
    if lacking:
        raise KeyError(min(lacking))
    if not isinstance(description["parameters"]["weights"], str | None):
        raise TypeError("the path of the weights is no text")
    components = description["components"]
    numbers = [components[_CLASSIFIER][name] for name in ("n_classes", "n_rotations")]
    if any(type(one) is not int or not 0 < one <= _MOST_CLASSES for one in numbers):
        raise ValueError(f"numbers of classes and rotations of {numbers}")
    lacking = {_DETECTOR, "score_range"} - components.keys()
    if lacking:
        raise KeyError(min(lacking))


def sealed(description: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of `model.json` with a digest of it, by which damage is recognised."""
    others = {name: value for name, value in description.items() if name != _DIGEST}

    def plain(value: Any) -> Any:
        return value.item() if isinstance(value, np.generic) else str(value)

    text = json.dumps(others, sort_keys=True, default=plain)
    return others | {_DIGEST: hashlib.sha256(text.encode()).hexdigest()}


def _refuse_damaged(description: dict[str, Any], folder: Path) -> None:
    known = sealed(description) == description or _DIGEST not in description
    if not known or not description.keys() <= _ENTRIES:
        raise InputError(
            f"model file '{folder / DESCRIPTION}' is damaged (not the one that was saved); copy "
            "the model again, or fit the model again"
        )


def _states(model: FittedModel) -> dict[str, State | None]:
    states: dict[str, State | None] = {}
    for name in _COMPONENTS:
        component: Component | None = getattr(model, name)
        states[name] = None if component is None else component.state()
    states[_DETECTOR] = None
    if model.detector is not None:
        state = model.detector.state()
        states[_DETECTOR] = State({"kind": model.detector.kind} | state.values, state.tensors)
    states[_CLASSIFIER] = model.classifier.state()
    return states


def _starting_with(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one component, by the names that it gave them."""
    prefix = f"{name}."
    return {
        full.removeprefix(prefix): tensor
        for full, tensor in tensors.items()
        if full.startswith(prefix)
    }


def _read_tensors(folder: Path, description: dict[str, Any]) -> dict[str, Tensor]:
    path = folder / TENSORS
    try:
        # Read at once, so that no file stays mapped and the folder can be replaced on Windows.
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != description.get("tensors"):
            raise ValueError("not the one that was saved")
        return load(content)
    except FileNotFoundError as error:
        raise InputError(
            f"model '{folder}' lacks the file {path.name}; copy it again with all its files"
        ) from error
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(
            f"model file '{path}' is damaged ({error}); copy the model again"
        ) from error


def _refuse_other_content(folder: Path) -> None:
    if folder.is_dir():
        strange = {entry.name for entry in folder.iterdir()} - {TENSORS, DESCRIPTION}
        if not strange:
            return
        raise InputError(f"'{folder}' holds '{min(strange)}'; save the model into a new folder")
    if folder.exists():
        raise InputError(f"'{folder}' is a file; save the model into a new folder")
