"""What the commands say where Ray is missing, or where a place is given without it."""

import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from anomalyncd import InputError
from anomalyncd.images.image_set import as_image_set
from anomalyncd.io.json_files import write_json
from anomalyncd.io.lock import only_writer
from anomalyncd.scale import predicting
from anomalyncd.scale.cluster import import_ray
from anomalyncd.scale.rows import image_rows
from support.quick import call


def test_a_missing_ray_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"install 'anomalyncd\[ray\]'"):
        import_ray()


def test_commands_refuse_an_address_without_the_engine(images_folder: Path, tmp_path: Path) -> None:
    result = call("discover", images_folder, "--address", "auto", "--out", tmp_path / "run")
    assert result.exit_code != 0
    assert "--address is that of a cluster of Ray" in " ".join(result.output.split())


def test_a_command_gives_ray_what_it_was_given(
    images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.json").touch()
    given = {}

    def predict(*places: object, **options: object) -> int:
        given.update(options, places=places)
        return 7

    monkeypatch.setattr("anomalyncd.scale.predicting.predict_with_ray", predict)
    ray = ("--engine", "ray", "--address", "auto", "--skip-damaged")
    result = call("predict", tmp_path, "s3://bucket/monday", *ray)
    out = tmp_path / "predictions" / "monday-ray"
    assert given["places"] == (tmp_path, "s3://bucket/monday", out)
    assert (given["address"], given["skip_damaged"]) == ("auto", True)
    assert "7 images" in result.output
    result = call("predict", tmp_path, images_folder, "--engine", "ray", "--white-level", 4095)
    assert result.exit_code != 0
    assert "--white-level cannot be used" in " ".join(result.output.split())


def test_a_place_is_refused_without_the_engine() -> None:
    with pytest.raises(InputError, match="'s3://bucket' are on no disk of this system"):
        as_image_set("s3://bucket")


def test_a_manifest_with_maps_is_refused(images_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    image = str(images_folder / "good" / "000.png")
    pd.DataFrame({"image": [image], "anomaly_map": [image]}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match="names maps in its column 'anomaly_map'"):
        image_rows(tmp_path / "a.csv")


def test_an_error_keeps_its_sentence_where_others_add_to_it() -> None:
    error = InputError("image 'a' cannot be read\n (broken); save it again")
    error.args = (f"{error}\nTo change retry attempts, see the manual.",)
    passed_on = pickle.loads(pickle.dumps(error))
    assert passed_on.message == "image 'a' cannot be read (broken); save it again"


@pytest.mark.parametrize("name", ["class", "score", "ok", "p_0"])
def test_parquet_with_a_column_of_the_results_is_refused(tmp_path: Path, name: str) -> None:
    pytest.importorskip("fsspec")
    pytest.importorskip("pyarrow")
    table = pd.DataFrame({"name": ["1"], "path": ["1.png"], "image": [b"file"], "camera": ["a"]})
    table.to_parquet(tmp_path / "a.parquet")
    assert image_rows(tmp_path)["group"].tolist() == [0]
    table.assign(**{name: 1}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match=rf"b.parquet' has a column '{name}', .*'my_{name}'"):
        image_rows(tmp_path)


def test_a_command_that_is_refused_deletes_nothing(
    images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    model = SimpleNamespace(model=tmp_path, threshold=None)
    for place, value in (
        ("import_ray", lambda: None),
        ("Predictor", lambda *_, **__: model),
        ("_made_from", lambda _: "another model"),
        ("warn_of_pending_labels", lambda _: None),
    ):
        monkeypatch.setattr(predicting, place, value)
    parts = tmp_path / "out" / "images"
    parts.mkdir(parents=True)
    write_json(tmp_path / "out" / "made_from.json", {"key": "a model"})
    (parts / "written.parquet").write_bytes(b"being written")
    with (
        only_writer(tmp_path / "out"),
        pytest.raises(InputError, match="another program writes into"),
    ):
        predicting.predict_with_ray(tmp_path / "run", images_folder, tmp_path / "out")
    assert (parts / "written.parquet").is_file()
