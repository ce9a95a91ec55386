"""Predictions by Ray: those of one process to the last bit, also when a worker is killed."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from anomalyncd import AnomalyNCD, InputError
from anomalyncd.inputs.mask_files import decode_mask
from anomalyncd.line.predictor import Predictor
from anomalyncd.workflows import discover_run, predict_run
from support.quick import picture, use_tiny

pytest.importorskip("ray", reason="Ray is not installed; see `make test-ray`")

from anomalyncd.scale import predicting
from anomalyncd.scale.predicting import PredictRow, predict_with_ray, read_predictions
from anomalyncd.scale.rows import image_rows, read_place
from support.ray_workers import DyingRow, two_workers

KINDS = ("spot", "line", "good", "spot", "good", "line", "spot", "line", "spot", "good")


@pytest.fixture(scope="module")
def run(
    tiny_weights: Path, images_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A run whose model workers of a cluster can load."""
    folder = tmp_path_factory.mktemp("scale")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch, folder / "cache")
        estimator = AnomalyNCD(3, backbone="tiny", weights=tiny_weights, precision="fp32")
        discover_run(estimator, images_folder, folder / "run")
        with two_workers(folder / "cache"):
            yield folder / "run"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Ten new images, of two sizes."""
    folder = tmp_path / "new"
    folder.mkdir()
    for index, kind in enumerate(KINDS):
        pixels = picture(kind, 50 + index)[: 64 if index % 2 else 72]
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def one_process(run: Path, new: Path) -> Iterator[pd.DataFrame]:
    """The rows that one process with one thread gives."""
    before = torch.get_num_threads()
    predict = PredictRow(Predictor(run), frozenset(), skip_damaged=False)
    rows = [predict({"name": path.stem, "path": str(path)})[0] for path in sorted(new.iterdir())]
    yield pd.DataFrame(rows).sort_values("name", ignore_index=True)
    torch.set_num_threads(before)


def _refuse_any_difference(folder: Path, expected: pd.DataFrame, leaving: str = "") -> None:
    images, regions = read_predictions(folder)
    columns = [name for name in images.columns if name != leaving]
    rows = pd.DataFrame([row for rows in expected["regions"] for row in rows])
    exactly = {"check_exact": True, "check_dtype": False}  # Parquet holds float32 as float64.
    pd.testing.assert_frame_equal(images[columns], expected[columns], **exactly)
    pd.testing.assert_frame_equal(regions[rows.columns.tolist()], rows, **exactly)


def test_workers_give_the_bits_of_one_process_though_one_of_them_dies(
    run: Path,
    new: Path,
    one_process: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(predicting, "PredictRow", DyingRow)
    assert predict_with_ray(run, new, tmp_path / "out") == len(KINDS)
    assert (new / "5.died").is_file()
    _refuse_any_difference(tmp_path / "out", one_process)
    table = pd.read_parquet(tmp_path / "out" / "images")
    by_name = dict(zip(table["name"], table["mask"], strict=True))
    assert decode_mask(by_name["0"]).any()


def test_rows_are_those_of_predict_but_for_rounding(
    run: Path, new: Path, one_process: pd.DataFrame, tmp_path: Path
) -> None:
    images = predict_run(run, new, tmp_path / "together").images
    like = one_process[images.columns]
    pd.testing.assert_frame_equal(like, images, rtol=1e-5, check_dtype=False)


def test_the_same_call_goes_on_with_what_is_missing(
    run: Path, new: Path, one_process: pd.DataFrame, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    content = (new / "7.png").read_bytes()
    (new / "7.png").write_bytes(content[:200])
    assert predict_with_ray(run, new, out, skip_damaged=True) == len(KINDS) - 1
    written = {path: path.stat().st_mtime_ns for path in out.glob("images/*.parquet")}
    broken = out / "images" / "broken.parquet"
    broken.write_bytes(next(iter(written)).read_bytes()[:99])  # A machine stopped while it wrote.
    with pytest.raises(InputError, match=r"7\.png.*cannot be read") as raised:
        predict_with_ray(run, new, out)
    assert "\n" not in str(raised.value)
    assert not broken.exists()
    (new / "7.png").write_bytes(content)
    assert predict_with_ray(run, new, out) == len(KINDS)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    _refuse_any_difference(out, one_process)


def test_parquet_that_holds_images_is_predicted(
    run: Path, new: Path, one_process: pd.DataFrame, tmp_path: Path
) -> None:
    files = sorted(new.iterdir())
    held = pd.DataFrame(
        {"name": [path.stem for path in files], "image": [path.read_bytes() for path in files]}
    )
    (tmp_path / "held").mkdir()
    held[:6].to_parquet(tmp_path / "held" / "a.parquet")
    held[6:].to_parquet(tmp_path / "held" / "b.parquet", row_group_size=2)
    place = f"file://{tmp_path / 'held'}"
    assert predict_with_ray(run, place, tmp_path / "out") == len(KINDS)
    _refuse_any_difference(tmp_path / "out", one_process, leaving="path")


def test_a_manifest_passes_its_columns_on(run: Path, new: Path) -> None:
    table = pd.DataFrame({"image": ["0.png", "1.png"], "camera": ["left", "right"]})
    table.to_csv(new / "images.csv", index=False)
    predict = PredictRow(Predictor(run), frozenset({"0"}), skip_damaged=False)
    rows = [predict(row) for row in image_rows(new / "images.csv").to_dict("records")]
    assert rows[0] == []
    assert [row["camera"] for row in rows[1]] == ["right"]


def test_places_of_fsspec_are_listed_and_read(run: Path, new: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in new.iterdir():
        memory.pipe_file(f"/bucket/line/{path.name}", path.read_bytes())
    memory.pipe_file("/bucket/notes.txt", b"no image")
    rows = image_rows("memory://bucket")
    assert rows["name"].tolist() == [f"line/{index}" for index in range(len(KINDS))]
    pixels = np.asarray(Image.open(io.BytesIO(read_place(rows["path"][3]))))
    assert np.array_equal(pixels, np.asarray(Image.open(new / "3.png")))
    predict = PredictRow(Predictor(run, threads=1), frozenset(), skip_damaged=False)
    (row,) = predict(rows.iloc[3].to_dict())
    assert row["path"] == rows["path"][3]
    with pytest.raises(InputError, match=r"memory://bucket/gone.*check the path"):
        read_place("memory://bucket/gone.png")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("memory://empty", "no image at 'memory://empty'"),
        ("nowhere://bucket", "'nowhere://bucket' cannot be opened"),
    ],
)
def test_places_without_images_are_refused(place: str, said: str) -> None:
    import fsspec

    fsspec.filesystem("memory").makedirs("/empty", exist_ok=True)
    with pytest.raises(InputError, match=said):
        image_rows(place)


def test_parts_of_another_model_are_replaced_and_strange_tables_are_not(
    run: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "_run", lambda *_: None)
    out = tmp_path / "out"
    assert predict_with_ray(run, new, out) == 0
    part = out / "images" / "part.parquet"
    pd.DataFrame({"name": ["0"]}).to_parquet(part)
    assert predict_with_ray(run, new, out) == 1
    monkeypatch.setattr(predicting, "_made_from", lambda _: "another model")
    assert predict_with_ray(run, new, out) == 0
    assert not part.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sales.parquet").touch()
    with pytest.raises(InputError, match="was not made by this command"):
        predict_with_ray(run, new, tmp_path / "mine")
