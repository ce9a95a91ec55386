"""Models of the tiny backbone, and what they are exported to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from anomalyncd import AnomalyNCD
from anomalyncd.config import Config
from support.quick import picture, use_tiny


@dataclass(frozen=True)
class Exported:
    """A model and its exported folder."""

    model: Path
    folder: Path


@pytest.fixture(scope="session")
def export_tiny(
    tiny_weights: Path, images_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Exported]:
    """Fits a model and exports it to onnx."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from anomalyncd.export.writing import export_model

    def fitted(config: Config | str, kind: str = "onnx", **inputs: Any) -> Exported:
        folder = tmp_path_factory.mktemp("exported")
        with pytest.MonkeyPatch.context() as patch:
            use_tiny(patch, folder / "cache")
            estimator = AnomalyNCD(
                3, preset=config, backbone="tiny", weights=tiny_weights, precision="fp32"
            )
            estimator.fit(images_folder, **inputs).save(folder / "model")
            export_model(folder / "model", kind, folder / "exported")
        return Exported(folder / "model", folder / "exported")

    return fitted


@pytest.fixture(scope="session")
def exported(export_tiny: Callable[..., Exported]) -> Exported:
    """The quick preset, with training, exported; nobody writes into it."""
    return export_tiny("default")


@pytest.fixture
def new(tmp_path: Path) -> list[Path]:
    """New images of three kinds and two sizes."""
    paths = []
    for index, kind in enumerate(("spot", "line", "good", "spot", "line")):
        paths.append(tmp_path / "new" / f"{index}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(picture(kind, 70 + index)[: 64 if index % 2 else 72]).save(paths[-1])
    return paths
