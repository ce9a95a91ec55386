"""Maps of models that anomalib trains on synthetic images; run by `make test-anomalib`.

Weights are random, since tests download nothing.
"""

import importlib
import re
import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.image_set import ImageSet
from anomalyncd.inputs.anomaly_maps import AnomalyMaps
from anomalyncd.integrations.anomalib import write_maps
from anomalyncd.synthetic.generate import make_synthetic_images
from support.quick import succeed

if find_spec("anomalib") is None or find_spec("torchvision") is None:
    pytest.skip("anomalib is not installed; see `make test-anomalib`", allow_module_level=True)

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "anomalib.md"


@pytest.fixture(scope="session", autouse=True)
def torchvision_operators() -> Iterator[None]:
    """Declares two operators that torchvision lacks beside a torch build for the CPU.

    The tests do not call them, but torchvision cannot be imported without them.
    """
    library = None
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        importlib.import_module("torchvision")
    yield
    del library


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `photos`, and `training` and `normals` for normal images."""
    made = make_synthetic_images(
        tmp_path / "made", n_per_kind=1, n_normal=2, n_combined=0, n_train=14, size=(96, 128)
    )
    (made / "test").rename(tmp_path / "photos")
    (made / "train" / "good").rename(tmp_path / "training")
    (tmp_path / "normals").mkdir()
    for path in sorted((tmp_path / "training").iterdir())[:4]:
        path.rename(tmp_path / "normals" / path.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def engine(place: Path) -> Any:
    from anomalib.engine import Engine

    from anomalyncd.integrations.anomalib_callback import MapWriter

    return Engine(callbacks=[MapWriter("maps", "photos")], accelerator="cpu")


def fitted(engine: Any, **kwargs: Any) -> Any:
    """A small PatchCore of normal images."""
    from anomalib.data import Folder
    from anomalib.models import Patchcore

    torch.manual_seed(0)
    small = {"backbone": "resnet18", "layers": ["layer2"], "coreset_sampling_ratio": 0.01}
    model = Patchcore(pre_trained=False, visualizer=False, **small, **kwargs)
    engine.fit(model, datamodule=Folder("training", "training", num_workers=0, seed=0))
    return model


def photos() -> Any:
    from anomalib.data import PredictDataset

    return PredictDataset("photos")


def read(folder: str) -> np.ndarray:
    return np.stack(list(AnomalyMaps.from_folder(folder, ImageSet.from_folder("photos"))))


def test_callback_and_function_write_maps_for_discover(engine: Any, options: list[str]) -> None:
    model = fitted(engine, post_processor=False)
    predictions = engine.predict(model, dataset=photos())
    write_maps(predictions, "maps_afterwards", "photos")
    write_maps([batch.to_numpy() for batch in predictions], "maps_of_arrays", "photos")

    maps = read("maps")
    assert maps.shape == (8, 256, 256)
    assert (maps.std((1, 2)) > 0).all()
    np.testing.assert_array_equal(read("maps_afterwards"), maps)
    np.testing.assert_array_equal(read("maps_of_arrays"), maps)

    succeed("discover", "photos", "--maps", "maps", "--classes", 3, "--out", "run", *options)
    assert len(pd.read_csv("run/images.csv")) == 8


def test_callback_comes_before_the_post_processor(engine: Any) -> None:
    model = fitted(engine)
    write_maps(engine.predict(model, dataset=photos()), "maps_normalised", "photos")
    model.post_processor.enable_normalization = False
    raw = read("maps")
    write_maps(engine.predict(model, dataset=photos()), "maps_raw", "photos")

    np.testing.assert_array_equal(read("maps_raw"), raw)
    normalised = read("maps_normalised")
    assert not np.allclose(normalised, raw)
    assert normalised.min() >= 0
    assert normalised.max() <= 1


def test_callback_writes_tested_images(engine: Any) -> None:
    from anomalib.data import Folder

    model = fitted(engine, post_processor=False, evaluator=False)
    kinds = sorted(str(path) for path in Path("photos").iterdir() if path.name != "good")
    image_set = Folder(
        "photos",
        normal_dir="training",
        normal_test_dir="photos/good",
        abnormal_dir=kinds,
        num_workers=0,
        val_split_mode="same_as_test",
    )
    engine.test(model, datamodule=image_set)
    tested = read("maps")
    engine.predict(model, dataset=photos(), return_predictions=False)
    np.testing.assert_allclose(tested, read("maps"), rtol=1e-2, atol=1e-3)


def test_an_image_that_is_not_among_the_images_stops_the_engine(engine: Any) -> None:
    from anomalib.data import PredictDataset

    model = fitted(engine, post_processor=False)
    with pytest.raises(InputError, match="is not among the images under 'photos'"):
        engine.predict(model, dataset=PredictDataset("normals"))


@pytest.fixture
def stand_ins(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights and a picture of noise in place of downloads."""
    import timm
    from anomalib.models.image.efficient_ad import lightning_model as efficient_ad

    create = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda *args, **kw: create(*args, **{**kw, "pretrained": False})
    )
    weights = place / "weights" / "efficientad_pretrained_weights"
    weights.mkdir(parents=True)
    teacher = efficient_ad.EfficientAdModel(teacher_out_channels=384).teacher
    torch.save(teacher.state_dict(), weights / "pretrained_teacher_small.pth")
    monkeypatch.setattr(efficient_ad, "get_pretrained_weights_dir", lambda: place / "weights")
    (place / "imagenette" / "other").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(place / "imagenette" / "other" / "0.png")


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes anomalib train small models for two steps, in this process."""
    from anomalib import data, engine, models

    class Brief(engine.Engine):
        def __init__(self, **kwargs: Any) -> None:
            few = {"max_epochs": 1, "limit_train_batches": 2, "accelerator": "cpu"}
            super().__init__(**{**kwargs, **few})

    class InProcess(data.Folder):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs, num_workers=0)

    monkeypatch.setattr(engine, "Engine", Brief)
    monkeypatch.setattr(data, "Folder", InProcess)
    patchcore = partial(models.Patchcore, backbone="resnet18", coreset_sampling_ratio=0.01)
    monkeypatch.setattr(models, "Patchcore", patchcore)
    distillation = partial(models.ReverseDistillation, backbone="resnet18")
    monkeypatch.setattr(models, "ReverseDistillation", distillation)


def test_guide(place: Path, stand_ins: None, brief: None) -> None:
    page = PAGE.read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```py\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    for number, block in enumerate(blocks):
        exec(compile(block, PAGE.name, "exec"), names)
        folder, image_set = (
            ("normal_maps", "normals") if '"normals"' in block else ("maps", "photos")
        )
        written = AnomalyMaps.from_folder(folder, ImageSet.from_folder(image_set))
        assert all(scores.std() > 0 for scores in written)
        (place / folder).rename(place / f"{folder}_{number}")
    assert len(blocks) == 5
