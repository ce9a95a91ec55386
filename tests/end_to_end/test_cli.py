"""Every command on tiny images, through the same library calls as the API."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import anomalyncd
from anomalyncd import (
    UNSEEN,
    UNSURE,
    AnomalyNCD,
    ProtoAnomalyNCD,
)
from anomalyncd.backbone.weights import load_backbone
from anomalyncd.results.run_folder import read_table
from anomalyncd.synthetic import generate as synthetic
from support.full_disk import no_room
from support.quick import QUICK, SIZE, call, damage, picture, succeed


def test_discover_predict_and_evaluate_as_the_api_does(
    options: list[str], tiny: Path, images_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    said = succeed("discover", images_folder, "--classes", 3, "--out", run, "--seed", 2, *options)
    assert "normal" in said
    assert str(run) in said
    model = AnomalyNCD(3, backbone="tiny", weights=tiny, random_state=2).fit(images_folder)
    assert np.array_equal(np.load(run / "probabilities.npy"), model.predictions_.probabilities)
    assert np.array_equal(read_table(run)["class"], model.labels_)

    Image.fromarray(picture("spot", 77)).save(tmp_path / "new.png")
    (tmp_path / "new").mkdir()
    (tmp_path / "new.png").rename(tmp_path / "new" / "spot 1.png")
    succeed("predict", run, tmp_path / "new")
    predicted = read_table(run / "predictions" / "new")
    assert list(predicted["name"]) == ["spot 1"]
    assert list(predicted["class"]) == list(model.classify(tmp_path / "new").images["class"])
    decided = model.predict(tmp_path / "new")[0]
    state = {UNSEEN: "unseen", UNSURE: "unsure"}.get(int(decided))
    assert [name for name in ("unseen", "unsure") if predicted[name][0]] == ([state] * bool(state))
    assert (run / "predictions" / "new" / "masks" / "spot 1.png").is_file()
    succeed("predict", run, tmp_path / "new", "--out", tmp_path / "elsewhere")
    succeed("predict", run, tmp_path / "new", "--out", tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "regions.csv").is_file()

    scores = json.loads(succeed("evaluate", run, "--json"))
    assert scores["images"]["n"] == 12
    assert f"{scores['images']['nmi']:.3f}" in succeed("evaluate", run)


def test_evaluate_scores_regions_of_images_without_labels(
    options: list[str], tmp_path: Path
) -> None:
    kinds = ("good", "line", "spot")
    for folder in ("photos", "masks"):
        (tmp_path / folder).mkdir()
    for seed, kind in enumerate(kinds * 4):
        Image.fromarray(picture(kind, seed)).save(tmp_path / "photos" / f"{seed}.png")
        values = damage(kind, seed) * np.uint8(kinds.index(kind))
        Image.fromarray(values).save(tmp_path / "masks" / f"{seed}.png")
    run, masks = tmp_path / "run", ("--masks", tmp_path / "masks")
    succeed("discover", tmp_path / "photos", "--classes", 3, "--out", run, *options)
    refused = call("evaluate", run)
    assert refused.exit_code == 2
    assert "has no class" in refused.output
    scores = json.loads(succeed("evaluate", run, *masks, "--json"))
    assert set(scores) == {"maps", "mebin", "regions", "kinds", "kinds_of_images"}
    found = read_table(run, "regions.csv")["found"].sum()
    regions = scores["regions"]
    assert regions["n"] + regions["false_alarms"] == found
    assert regions["n"] / found == scores["mebin"]["region_precision"]
    said = succeed("evaluate", run, *masks)
    assert said.startswith("images are not scored, since they have no labels")
    assert f"regions that touch a true defect: {regions['n']} of {found}" in said
    assert f"{scores['kinds']['2']['touched']} of {scores['kinds']['2']['defects']}" in said
    assert f"NMI {regions['nmi']:.3f}" in said
    assert f"F1 {scores['kinds_of_images']['f1']:.3f} over 12 images" in said


def test_method_names_the_estimator(
    options: list[str], tiny: Path, images_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    told = ("--classes", 3, "--out", run, "--method", "proto")
    succeed("discover", images_folder, *told, *options)
    assert json.loads((run / "run.json").read_text())["estimator"] == "ProtoAnomalyNCD"
    model = ProtoAnomalyNCD(3, backbone="tiny", weights=tiny).fit(images_folder)
    assert np.array_equal(np.load(run / "probabilities.npy"), model.predictions_.probabilities)
    succeed("predict", run, images_folder)
    predicted = read_table(run / "predictions" / images_folder.name)
    assert list(predicted["class"]) == list(model.predict(images_folder))


def test_maps_command_makes_the_maps_of_discover(
    options: list[str], images_folder: Path, tmp_path: Path
) -> None:
    succeed("maps", images_folder, "--out", tmp_path / "maps", *options)
    succeed("discover", images_folder, "--classes", 2, "--out", tmp_path / "run", *options)
    for path in (tmp_path / "maps").rglob("*.npy"):
        twin = tmp_path / "run" / "maps" / path.relative_to(tmp_path / "maps")
        assert np.array_equal(np.load(path), np.load(twin))
    given = ("--maps", tmp_path / "maps", "--out", tmp_path / "given")
    succeed("discover", images_folder, "--classes", 2, *given, *options)
    one, other = (tmp_path / name / "probabilities.npy" for name in ("run", "given"))
    assert np.array_equal(np.load(one), np.load(other))


def test_detail_is_the_resolution_of_the_detector(
    options: list[str], images_folder: Path, tmp_path: Path
) -> None:
    detail = ("--detail", 64, *options)
    succeed("maps", images_folder, "--out", tmp_path / "maps", *detail)
    run = tmp_path / "run"
    succeed("discover", images_folder, "--classes", 2, "--out", run, *detail)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["config"]["detector"]["resolution"] == 64
    # Nothing else of the preset changes.
    assert record["config"]["detector"]["map_size"] == QUICK.detector.map_size
    for path in (tmp_path / "maps").rglob("*.npy"):
        twin = run / "maps" / path.relative_to(tmp_path / "maps")
        assert np.array_equal(np.load(path), np.load(twin))


def test_maps_as_large_as_the_photographs(
    options: list[str], images_folder: Path, tmp_path: Path
) -> None:
    succeed("maps", images_folder, "--out", tmp_path, "--full-size", *options)
    written = [np.load(path) for path in tmp_path.rglob("*.npy")]
    assert [one.shape for one in written] == [SIZE] * 12
    assert {one.dtype for one in written} == {np.dtype(np.float16)}


def test_inspection_finds_the_regions_of_discover(
    options: list[str], images_folder: Path, tmp_path: Path
) -> None:
    normals = ("--normals", images_folder / "good")
    said = succeed(
        "maps", images_folder, *normals, "--out", tmp_path / "maps", "--inspect", *options
    )
    assert said.startswith(f"12 maps; see {tmp_path / 'maps'}")
    assert "median of the maxima of 4 normal images" in said
    run = tmp_path / "run"
    succeed("discover", images_folder, "--classes", 2, *normals, "--out", run, *options)
    n_without = int((read_table(run)["n_regions"] == 0).sum())
    assert f"{n_without} of 12 images" in said

    given = ("--maps", run / "maps", "--normal-maps", run / "normals" / "maps" / "normals")
    again = succeed(
        "maps", images_folder, *normals, *given, "--inspect", "--out", tmp_path / "look", *options
    )
    assert said.splitlines()[1:-1] == again.splitlines()[:-1]
    assert [path.name for path in (tmp_path / "look").iterdir()] == ["inspect.html"]
    assert (tmp_path / "maps" / "inspect.html").is_file()


@pytest.mark.parametrize("method", ["anomalyncd", "proto"])
def test_discover_goes_on_from_an_estimate(
    options: list[str], tmp_path: Path, forwards: list[int], method: str
) -> None:
    for seed in range(24):
        kind = ("line", "spot")[seed % 2]
        for folder, pixels in (("images", picture(kind, seed)), ("masks", damage(kind, seed))):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / f"{seed:03}.png")
    run = tmp_path / "run"
    given = (tmp_path / "images", "--masks", tmp_path / "masks", "--method", method, *options)
    alone = succeed("estimate", *given)
    said = succeed("estimate", *given, "--out", run)
    assert said.splitlines()[:-1] == alone.splitlines()
    counted = json.loads((run / "class_number.json").read_text())
    line = f"{counted['estimate']} classes (likely {counted['low']} to {counted['high']})"
    assert line in said
    assert line in (run / "class_number.html").read_text()

    forwards.clear()
    assert line in succeed("estimate", *given, "--out", run)
    said = succeed("discover", *given, "--out", run)
    assert len(forwards) < 24  # A few crops that time the machine, no region.
    assert line in said
    record = json.loads((run / "run.json").read_text())
    assert record["class_number"] == counted
    assert record["n_classes"] == counted["estimate"]
    assert line in (run / "report.html").read_text()
    refused = call("estimate", *given, "--out", run)
    assert "holds a finished run; name another folder" in refused.stderr


def test_masks_and_normals_are_taken(
    options: list[str], images_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "masks" / "spot").mkdir(parents=True)
    Image.fromarray(damage("spot", 20)).save(tmp_path / "masks" / "spot" / "000_mask.png")
    run = tmp_path / "run"
    masks = ("--masks", tmp_path / "masks")
    succeed("discover", images_folder, "--classes", 2, *masks, "--out", run, *options)
    assert read_table(run)["n_regions"].sum() == 1
    normals = ("--normals", images_folder / "good")
    succeed("discover", images_folder, "--classes", 2, *normals, "--out", tmp_path / "b", *options)
    assert (tmp_path / "b" / "normals").is_dir()


def test_default_run_folder_and_overwriting(
    options: list[str], images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("discover", images_folder, "--classes", 2, *options)
    succeed(*arguments)
    assert (tmp_path / "runs" / "plates" / "run.json").is_file()
    refused = call(*arguments)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    succeed(*arguments, "--overwrite")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["estimate", "nowhere"], "error: 'nowhere', given as IMAGES, does not exist"),
        (["discover", "nowhere", "--classes", "2"], "'nowhere', given as IMAGES, does not exist"),
        (["discover", "IMAGES", "--classes", "1"], "Invalid value for '--classes'"),
        (["discover", "IMAGES", "--seed", "-1"], "Invalid value for '--seed'"),
        (["discover", "IMAGES", "--classes", "99"], "12 images cannot be sorted into 99 classes"),
        (["discover", "IMAGES", "--classes", "2", "--preset", "x"], "preset 'x' is not known"),
        (
            ["maps", "IMAGES", "--out", "o", "--maps", "IMAGES"],
            "are for --inspect; give it as well",
        ),
        (["maps", "IMAGES", "--out", "o", "--inspect", "--full-size"], "leave --full-size out"),
        (["maps", "IMAGES", "--out", "o", "--detail", "20"], "resolution=20 cannot be used"),
        (["discover", "IMAGES", "--maps", "IMAGES", "--detail", "448"], "--detail is a setting"),
        (
            ["discover", "IMAGES", "--normal-maps", "IMAGES"],
            "give --normals, --maps and --normal-m",
        ),
        (["predict", "nowhere", "IMAGES"], "'nowhere', given as RUN, does not exist"),
        (["predict", "IMAGES", "IMAGES"], "holds no run.json; give the folder of a finished run"),
        (["evaluate", "nowhere"], "'nowhere', given as RUN, does not exist"),
        (["evaluate", "IMAGES"], "holds no images.csv; give the folder of a finished run"),
        (["operate", "IMAGES"], "holds no run.json; give the folder of a finished run"),
        (["weights", "resnet"], "backbone 'resnet' is not known"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    tiny: Path,
    images_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*(str(images_folder) if word == "IMAGES" else word for word in arguments))
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert not (tmp_path / "runs" / "plates" / "run.json").exists()


def test_an_interrupted_command_prints_how_to_continue(
    options: list[str], images_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    arguments = ("discover", images_folder, "--classes", 2, "--out", tmp_path / "run", *options)
    with monkeypatch.context() as patch:
        patch.setattr("anomalyncd.pipeline.discover_classes", interrupted)
        result = call(*arguments)
    assert result.exit_code == 130
    assert result.stderr.endswith("\ninterrupted; run the same command again to go on\n")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"checkpoint", "maps", "run.log"}
    succeed(*arguments)


def test_the_operating_point_reaches_predictions(
    options: list[str], images_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    succeed("discover", images_folder, "--classes", 3, "--out", run, *options)
    said = succeed("operate", run, "--escape-cost", 10, "--overkill-cost", 1)
    assert "% of good images" in said
    assert "images are NG" in succeed("predict", run, images_folder)
    predicted = read_table(run / "predictions" / images_folder.name)
    threshold = json.loads((run / "operating.json").read_text(encoding="utf-8"))["threshold"]
    assert list(predicted["ok"]) == list(predicted["score"] <= threshold)
    succeed("evaluate", run / "predictions" / images_folder.name)
    assert "0 of 12 images changed" in succeed("compare", run, run)
    both = json.loads(succeed("compare", run, run / "predictions" / images_folder.name, "--json"))
    assert both["n_shared"] == 12


def test_the_demo_scores_itself(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = synthetic.make_synthetic_images
    monkeypatch.setattr(
        synthetic,
        "make_synthetic_images",
        lambda folder, product: make(folder, 1, 2, 1, 0, (96, 128), product=product),
    )
    monkeypatch.setattr(
        "anomalyncd.estimator.load_backbone", lambda *_: load_backbone("tiny", tiny)
    )
    for detail in ((), ("--detail", 64)):
        said = succeed("demo", "--out", tmp_path / "demo", *detail)
        record = json.loads((tmp_path / "demo/run/run.json").read_text(encoding="utf-8"))
        assert record["config"]["detector"]["resolution"] == (64 if detail else 96)
    assert "AnomalyNCD" in said
    assert (tmp_path / "demo" / "images" / "images.csv").is_file()
    assert (tmp_path / "demo" / "run" / "run.json").is_file()
    refused = call("demo", "--out", tmp_path / "demo", "--product", "bolts")
    assert refused.exit_code == 2
    assert "holds another product than bolts; give another --out" in refused.stderr


def test_weights_prints_where_they_are(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANOMALYNCD_WEIGHTS", str(tiny))
    said = succeed("weights", "tiny")
    assert said == f"tiny: {tiny} (named by ANOMALYNCD_WEIGHTS)\n"


def test_version_and_public_names() -> None:
    assert succeed("--version").strip() == anomalyncd.__version__
    for name in anomalyncd.__all__:
        assert getattr(anomalyncd, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Anomaly'"):
        anomalyncd.Anomaly  # noqa: B018


def test_defects_are_one_less_than_classes(
    options: list[str], images_folder: Path, tmp_path: Path
) -> None:
    for told in (("--classes", 3), ("--defects", 2)):
        succeed("discover", images_folder, *told, "--out", tmp_path / told[0], *options)
    folders = (tmp_path / "--classes", tmp_path / "--defects")
    first, second = (np.load(folder / "probabilities.npy") for folder in folders)
    assert np.array_equal(first, second)
    both = ("discover", images_folder, "--classes", 3, "--defects", 2)
    result = call(*both, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: --classes and --defects are both given; give only one of them\n"
    )


def test_added_normals_count_in_later_predictions(
    options: list[str], images_folder: Path, tmp_path: Path
) -> None:
    run, odd = tmp_path / "run", tmp_path / "odd"
    odd.mkdir()
    Image.fromarray(picture("spot", 5)).save(odd / "new.png")
    given = ("--classes", 3, "--normals", images_folder / "good", "--out", run)
    succeed("discover", images_folder, *given, *options)
    results = {file: file.read_bytes() for file in run.glob("*.*") if file.name != "run.json"}
    record = json.loads((run / "run.json").read_text())
    succeed("predict", run, odd)
    assert read_table(run / "predictions" / "odd")["score"][0] > 0.3
    model = {file: file.read_bytes() for file in (run / "model").iterdir()}
    with no_room():
        result = call("add-normals", run, odd)
    assert result.exit_code == 2
    assert f"'{run / 'model'}" in result.stderr
    assert {file: file.read_bytes() for file in (run / "model").iterdir()} == model
    assert succeed("add-normals", run, odd).startswith("normal images given: 1;")
    succeed("predict", run, odd)
    assert read_table(run / "predictions" / "odd")["score"][0] == 0
    assert {file: file.read_bytes() for file in results} == results
    added = [{"normals": str(odd), "n_images": 1}]
    assert json.loads((run / "run.json").read_text()) == record | {"added_normals": added}


def test_normals_are_only_added_to_a_run_with_normals(
    options: list[str], images_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    succeed("discover", images_folder, "--classes", 3, "--out", run, *options)
    result = call("add-normals", run, images_folder / "good")
    assert result.exit_code == 2
    assert "no memory bank" in result.stderr
    assert "--normals" in result.stderr


@pytest.mark.parametrize("command", [["discover", "IMAGES"], ["maps", "IMAGES", "--out", "out"]])
def test_an_unknown_device_is_refused_without_torch(
    command: list[str], images_folder: Path, tmp_path: Path
) -> None:
    arguments = [str(images_folder) if one == "IMAGES" else one for one in command]
    code = (
        "import sys; from anomalyncd.cli.main import app\n"
        f"try: app({[*arguments, '--device', 'abacus']!r}, prog_name='anomalyncd')\n"
        "finally: assert 'torch' not in sys.modules"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("error: device 'abacus' cannot be used; use one of auto, cpu")


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="only Linux has such a folder")
@pytest.mark.parametrize(
    "line",
    [
        "discover IMAGES --classes 3 --out OUT",
        "estimate IMAGES --out OUT",
        "maps IMAGES --out OUT",
        "demo --out OUT",
        "data check IMAGES --sheet OUT/sheet.png",
        "data prepare folders IMAGES --out OUT/m.csv",
    ],
)
@pytest.mark.parametrize("out", ["/sys/kernel/results", "/proc/results"])
def test_a_folder_that_cannot_be_made_is_refused_before_images_are_read(
    line: str, out: str, images_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomalyncd.io.decoding.decode", lambda *_: pytest.fail("image was read"))
    words = [str(images_folder) if one == "IMAGES" else one for one in line.split()]
    result = call(*(word.replace("OUT", out) for word in words))
    assert result.exit_code == 2
    assert f"'{out}" in result.stderr
    assert "cannot be written" in result.stderr
    assert result.stderr.count("\n") == 1
