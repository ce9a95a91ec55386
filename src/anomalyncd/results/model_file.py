"""A fitted model as two files, `model.safetensors` and `model.json`: nothing that executes."""

import hashlib
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from anomalyncd.backbone.weights import digest
from anomalyncd.config import Config
from anomalyncd.detection.detector import Detector
from anomalyncd.detection.state import (
    described,
    described_prior,
    restored,
    restored_prior,
    tensors_of,
    tensors_of_prior,
)
from anomalyncd.discovery.classifier import RegionClassifier
from anomalyncd.discovery.normality import Normality
from anomalyncd.discovery.novelty import NoveltyDetector
from anomalyncd.discovery.reliability import ReliabilityModel
from anomalyncd.embedding.encoder import RegionEncoder
from anomalyncd.errors import InputError
from anomalyncd.foreground.foreground import Foreground
from anomalyncd.io.files import replace_folder
from anomalyncd.io.json_files import read_json, write_json
from anomalyncd.regions.calibration import Calibration
from anomalyncd.regions.score_range import ScoreRange

FORMAT = 4
"""Grows when what is written changes its meaning."""

_TENSORS, _DESCRIPTION = "model.safetensors", "model.json"
_DETECTOR = "detector."
_NORMALITY = "normality."
_OBJECTS = "foreground."
_NORMALITY_PARTS = ("features", "scores", "centres")
_KNOWN = "known."


@dataclass(frozen=True, eq=False)
class StoredModel:
    """What a model's folder holds, but for the frozen blocks, which come with the backbone."""

    estimator: str
    """Name of its class."""
    parameters: dict[str, Any]
    """Of the estimator's constructor; the preset by the name that it had, None without one."""
    config: Config
    """What its preset meant when it was saved."""
    n_classes: int
    """Number of classes."""
    n_rotations: int
    """Poses in which a region is read: one where training took place, whatever the settings say."""
    tensors: dict[str, Tensor]
    """What was trained: read-out block, its guidance where that is learned, final LayerNorm,
    prototypes, descriptor centre."""
    backbone_digest: str
    """Of the frozen blocks."""
    fit_score_range: ScoreRange | None
    """Of the maps."""
    detector: Detector | None
    """What makes their maps."""
    normality: Normality | None
    """What makes new regions normal."""
    foreground: Foreground | None
    """What tells the product from the background."""
    reliability_model: ReliabilityModel
    """What makes new regions unseen or unsure."""

    def classifier(self, encoder: RegionEncoder) -> RegionClassifier:
        """Puts what was trained on top of a backbone.

        Raises:
            InputError: The backbone has other weights than the one the model was made with.
        """
        if _backbone_digest(encoder) != self.backbone_digest:
            raise InputError(
                "the weights of the backbone are not those that the model was made with; give "
                "the file it was made with as `weights`"
            )
        with torch.random.fork_rng(devices=[]):
            model = RegionClassifier(encoder, self.n_classes, n_heads=1)
        needed = _trained(model)
        if {k: v.shape for k, v in needed.items()} != {k: v.shape for k, v in self.tensors.items()}:
            raise InputError("the saved tensors do not fit the saved settings; fit the model again")
        model.load_state_dict(self.tensors, strict=False)
        return model.to(encoder.vit.cls_token.device).eval()


def write_model(
    folder: Path,
    estimator: str,
    parameters: dict[str, Any],
    config: Config,
    model: RegionClassifier,
    fit_score_range: ScoreRange | None,
    detector: Detector | None,
    normality: Normality | None,
    foreground: Foreground | None,
    reliability_model: ReliabilityModel,
) -> None:
    """Writes a model, whole or not at all.

    Args:
        folder: A new or empty folder, or one that holds a model, which is replaced.
        estimator: Name of its class.
        parameters: Of the estimator's constructor.
        config: What its preset means.
        model: Reduced to one set of prototypes; its projection, which serves training alone, is
            left out.
        score_range: Of the maps, if there were any.
        detector: What made the maps, if they were made here.
        normality: What makes new regions normal, if it was learnt.
        foreground: What tells the product from the background, if that was asked.
        reliability_model: What makes new regions unseen or unsure.

    Raises:
        InputError: The folder holds something else.
    """
    _refuse_other_content(folder)
    tensors = _trained(model)
    if detector is not None:
        tensors |= {f"{_DETECTOR}{name}": one for name, one in tensors_of(detector).items()}
    if normality is not None:
        for part in _NORMALITY_PARTS:
            tensors[f"{_NORMALITY}{part}"] = torch.from_numpy(getattr(normality, part))
    if foreground is not None:
        of_objects = tensors_of_prior(foreground)
        tensors |= {f"{_OBJECTS}{name}": one for name, one in of_objects.items()}
    if reliability_model.known is not None:
        for part, array in vars(reliability_model.known).items():
            tensors[f"{_KNOWN}{part}"] = torch.from_numpy(array)
    with replace_folder(folder) as new:
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        content = save(whole)
        # Not by safetensors itself, whose files only their owner may read.
        (new / _TENSORS).write_bytes(content)
        preset = parameters["preset"]
        description = {
            "format": FORMAT,
            "anomalyncd": version("anomalyncd"),
            "estimator": estimator,
            "parameters": parameters | {"preset": preset if isinstance(preset, str) else None},
            "config": asdict(config),
            "n_classes": model.prototypes.prototypes.shape[1],
            "n_rotations": model.encoder.config.n_rotations,
            "backbone": _backbone_digest(model.encoder),
            "score_range": asdict(fit_score_range) if fit_score_range else None,
            "detector": described(detector) if detector else None,
            "normality": {"threshold": normality.threshold} if normality else None,
            "foreground": described_prior(foreground) if foreground else None,
            "rejection": {"temperature": reliability_model.temperature},
            "tensors": hashlib.sha256(content).hexdigest(),
        }
        write_json(new / _DESCRIPTION, description)


def read_model(folder: Path) -> StoredModel:
    """Reads what `write_model` wrote.

    Raises:
        InputError: No such folder, a file is missing or damaged, or the format is another.
    """
    if not folder.is_dir():
        raise InputError(f"model folder '{folder}' does not exist; check the path")
    description = read_json(folder / _DESCRIPTION, "model")
    found = description.get("format")
    if found != FORMAT:
        raise InputError(
            f"model '{folder}' has format {found}, this version reads {FORMAT}; use anomalyncd "
            f"{description.get('anomalyncd', 'of another version')}, or fit the model again"
        )
    tensors = _read_tensors(folder, description)
    try:
        return _stored(description, tensors)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise InputError(
            f"model file '{folder / _DESCRIPTION}' is damaged ({error!r}); fit the model again"
        ) from error


def _stored(description: dict[str, Any], tensors: dict[str, Tensor]) -> StoredModel:
    score_range, detector = description["score_range"], description["detector"]
    foreground = description["foreground"]
    of_detector, of_objects = _taken(tensors, _DETECTOR), _taken(tensors, _OBJECTS)
    normality = None
    if description["normality"] is not None:
        normality = Normality(
            tensors.pop(f"{_NORMALITY}features").numpy(),
            tensors.pop(f"{_NORMALITY}scores").numpy(),
            tensors.pop(f"{_NORMALITY}centres").numpy(),
            float(description["normality"]["threshold"]),
        )
    parts = [one.name for one in fields(NoveltyDetector)]
    known = None
    if f"{_KNOWN}{parts[0]}" in tensors:
        known = NoveltyDetector(*(tensors.pop(f"{_KNOWN}{part}").numpy() for part in parts))
    reliability_model = ReliabilityModel(known, float(description["rejection"]["temperature"]))
    return StoredModel(
        description["estimator"],
        description["parameters"],
        _settings(description["config"]),
        description["n_classes"],
        int(description["n_rotations"]),
        tensors,
        description["backbone"],
        _score_range(**score_range) if score_range else None,
        restored(of_detector, detector) if detector else None,
        normality,
        restored_prior(of_objects, foreground) if foreground else None,
        reliability_model,
    )


def _taken(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Takes the tensors of a prefix out, without it."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}


def _score_range(
    low: float,
    high: float,
    eight_bits: tuple[float, float] | None = None,
    calibration: dict[str, float] | None = None,
    sound: float | None = None,
    anomalous: float | None = None,
) -> ScoreRange:
    bits = None if eight_bits is None else (float(eight_bits[0]), float(eight_bits[1]))
    bent = None if calibration is None else _calibration(**calibration)
    levels = (None if level is None else float(level) for level in (sound, anomalous))
    return ScoreRange(float(low), float(high), bits, bent, *levels)


def _calibration(level: float, scale: float) -> Calibration:
    return Calibration(float(level), float(scale))


def _settings(stages: dict[str, dict[str, Any]]) -> Config:
    default = Config()
    return Config(
        **{
            one.name: type(getattr(default, one.name))(**stages[one.name])
            for one in fields(default)
        }
    )


def _trained(model: RegionClassifier) -> dict[str, Tensor]:
    """What training changed and prediction needs, by name."""
    frozen = {f"encoder.vit.{name}" for name in _frozen(model.encoder)}
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name not in frozen and not name.startswith("projection.")
    }


def _frozen(encoder: RegionEncoder) -> dict[str, Tensor]:
    trained = (f"blocks.{encoder.readout}.", "norm.")
    state = encoder.vit.state_dict()
    return {name: tensor for name, tensor in state.items() if not name.startswith(trained)}


def _backbone_digest(encoder: RegionEncoder) -> str:
    # In bfloat16, so that a model may be loaded in another precision than it was made in.
    return digest({name: one.to(torch.bfloat16) for name, one in _frozen(encoder).items()})


def _read_tensors(folder: Path, description: dict[str, Any]) -> dict[str, Tensor]:
    path = folder / _TENSORS
    try:
        # Read at once, so that no file stays mapped and the folder can be replaced on Windows.
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != description.get("tensors"):
            raise ValueError("not the one that was saved")
        return load(content)
    except FileNotFoundError as error:
        raise InputError(f"model '{folder}' lacks the file {path.name}; copy both files") from error
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(
            f"model file '{path}' is damaged ({error}); copy the model again"
        ) from error


def _refuse_other_content(folder: Path) -> None:
    if folder.is_dir():
        strange = {entry.name for entry in folder.iterdir()} - {_TENSORS, _DESCRIPTION}
        if not strange:
            return
        raise InputError(f"'{folder}' holds '{min(strange)}'; save the model into a new folder")
    if folder.exists():
        raise InputError(f"'{folder}' is a file; save the model into a new folder")
