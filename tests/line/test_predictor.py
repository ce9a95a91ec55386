"""The predictor: the verdicts of predict, the same bits alone and in a batch, nothing written."""

import json
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomalyncd import AnomalyNCD, ForegroundConfig, InputError
from anomalyncd.foreground import foreground as foreground_module
from anomalyncd.foreground.principal_component import PrincipalComponent
from anomalyncd.line.predictor import Predictor
from anomalyncd.line.verdict import Verdict
from anomalyncd.results.operating_point import OperatingPoint, write_point
from anomalyncd.results.run_folder import read_run
from anomalyncd.revision import correct_run, operate_run
from anomalyncd.workflows import discover_run, predict_run
from support.quick import QUICK, picture, use_tiny

KINDS = ("spot", "line", "good", "spot", "good", "line", "spot")


@pytest.fixture(scope="module")
def discovered(
    tiny_weights: Path, images_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run over the images of the three kinds; nobody writes into it."""
    folder = tmp_path_factory.mktemp("line")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny(patch, folder / "cache")
        estimator = AnomalyNCD(3, backbone="tiny", weights=tiny_weights, precision="fp32")
        discover_run(estimator, images_folder, folder / "run")
    return folder / "run"


@pytest.fixture
def run(discovered: Path, tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(discovered, tmp_path / "run"))


@pytest.fixture
def predictor(run: Path) -> Predictor:
    return Predictor(run)


@pytest.fixture
def new(tmp_path: Path) -> list[Path]:
    """Seven new images, of two sizes."""
    paths = []
    for index, kind in enumerate(KINDS):
        pixels = picture(kind, 50 + index)[: 64 if index % 2 else 72]
        paths.append(tmp_path / "new" / f"{index}.png")
        paths[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(paths[-1])
    return paths


def encoded(path: Path, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.open(path).save(buffer, kind)
    return buffer.getvalue()


def files_below(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_an_image_has_the_same_bits_alone_and_in_any_batch(
    predictor: Predictor, new: list[Path]
) -> None:
    alone = [predictor.predict(path) for path in new]
    assert predictor.predict_batch(new) == alone
    assert predictor.predict_batch(new[5:]) == alone[5:]
    assert predictor.predict_batch(new[::-1])[::-1] == alone
    assert len({verdict.decision for verdict in alone}) > 1


def test_predict_states_the_same(
    predictor: Predictor, run: Path, new: list[Path], tmp_path: Path
) -> None:
    for number, path in enumerate(new):
        verdict = predictor.predict(path)
        found = predict_run(run, [path], tmp_path / f"predicted {number}")
        image = found.images.iloc[0]
        assert verdict.name == image["name"]
        assert (verdict.height, verdict.width) == (image["height"], image["width"])
        assert verdict.score == image["score"]
        assert verdict.novelty == image["novelty"]
        assert verdict.class_id == image["class"]
        expected = {"unseen": "unseen", "unsure": "unsure"}.get(
            image["decision"], "normal" if image["normal"] else "class"
        )
        assert verdict.decision == expected
        assert {one.id: one.probability for one in verdict.classes} == {
            number: image[f"p_{number}"] for number in range(3)
        }
        regions = found.regions[found.regions["found"]]
        assert [one.score for one in verdict.regions] == regions["score"].tolist()
        assert [one.area for one in verdict.regions] == regions["area"].tolist()
        assert [one.area for one in verdict.regions] == sorted(regions["area"], reverse=True)


def test_masks_and_boxes_show_the_anomalous_pixels(predictor: Predictor, new: list[Path]) -> None:
    regions = [region for verdict in predictor.predict_batch(new) for region in verdict.regions]
    assert regions
    for region in regions:
        mask = region.mask.to_mask()
        rows, columns = mask.nonzero()
        assert region.area == len(rows) > 0
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert region.box == box


def test_an_image_counts_the_same_in_every_form(predictor: Predictor, new: list[Path]) -> None:
    path = new[0]
    expected = predictor.predict(path, "camera/1")
    pixels = np.asarray(Image.open(path))
    for form in (str(path), encoded(path), pixels, Image.open(path), encoded(path, "BMP")):
        assert predictor.predict(form, "camera/1") == expected
    assert predictor.predict(path).name == "0"
    assert predictor.predict(pixels).name == "image"


def test_levels_are_those_of_the_model(tiny: Path, tmp_path: Path, images_folder: Path) -> None:
    deep = [picture(kind, i).astype(np.uint16) * 16 for i, kind in enumerate(KINDS)]
    model = AnomalyNCD(2, backbone="tiny", weights=tiny, precision="fp32").fit(deep)
    model.save(tmp_path / "model")
    dark = picture("spot", 90).astype(np.uint16) * 4
    verdict = Predictor(tmp_path / "model").predict(dark, "dark")
    loaded = AnomalyNCD.load(tmp_path / "model")
    assert verdict.score == loaded.classify([dark]).images["score"].iloc[0]
    brighter = Predictor(tmp_path / "model").predict(dark * 4, "bright")
    assert brighter.score != verdict.score


def test_nothing_is_written(
    predictor: Predictor, new: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = files_below(tmp_path)
    predictor.predict_batch(new)
    assert files_below(tmp_path) == before


def test_a_foreground_is_found_in_memory(
    tiny: Path,
    tmp_path: Path,
    images_folder: Path,
    new: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def everywhere(pictures: list) -> PrincipalComponent:
        tokens = pictures[0].flatten(1).T.float()
        return PrincipalComponent(tokens.mean(0), tokens[0] / tokens[0].norm(), 0.0)

    monkeypatch.setattr(foreground_module, "fit_principal_component", everywhere)
    config = replace(QUICK, foreground=ForegroundConfig())
    model = AnomalyNCD(3, backbone="tiny", weights=tiny, preset=config, precision="fp32")
    model.fit(images_folder).save(tmp_path / "model")
    predictor, loaded = Predictor(tmp_path / "model"), AnomalyNCD.load(tmp_path / "model")
    assert loaded.model_.foreground is not None
    assert loaded.model_.foreground.source == "backbone"
    for path in new[:3]:
        image = loaded.classify([path], folder=tmp_path / path.stem).images.iloc[0]
        assert (tmp_path / path.stem / "foreground" / f"{path.stem}.png").is_file()
        verdict = predictor.predict(path)
        assert verdict.score == image["score"]
        assert {one.id: one.probability for one in verdict.classes} == {
            number: image[f"p_{number}"] for number in range(3)
        }


def test_threads_agree(predictor: Predictor, new: list[Path]) -> None:
    expected = predictor.predict_batch(new)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(predictor.predict, new * 3)) == expected * 3


def test_pickled_it_says_the_same(
    run: Path, new: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_point(OperatingPoint(-1.0, 0.1, None), run)  # As an older version left it.
    monkeypatch.chdir(run.parent)
    predictor = Predictor(run.name)
    pickled = pickle.dumps(predictor)
    monkeypatch.chdir(new[0].parent)
    again = pickle.loads(pickled)
    assert again.threshold == -1
    assert again.predict(new[0]) == predictor.predict(new[0])
    assert again.classes == predictor.classes


def test_a_model_folder_says_what_its_run_says(run: Path, new: list[Path], tmp_path: Path) -> None:
    book = read_run(run).labels
    book.edit(1, name="dent", severity="critical", escape_cost=50)
    book.edit(2, severity="minor")
    correct_run(run)
    score = np.median([one.score for one in Predictor(run).predict_batch(new)])
    operate_run(run, OperatingPoint(float(score), 0.1, None))
    model = Path(shutil.copytree(run / "model", tmp_path / "elsewhere"))
    of_run, of_model = Predictor(run), Predictor(model)
    verdicts = of_model.predict_batch(new)
    assert of_run.predict_batch(new) == verdicts
    assert of_run.classes == of_model.classes
    assert [(one["name"], one["severity"]) for one in of_model.classes] == [
        *(("normal", ""), ("dent", "critical"), ("class 2", "minor"))
    ]
    assert {one.ok for one in verdicts} == {True, False}
    assert all(one.ok == (one.score <= np.float32(score)) for one in verdicts)
    severities = {0: "", 1: "critical", 2: "minor"}
    for one in verdicts:
        assert one.severity == ("" if one.decision == "unseen" else severities[one.class_id])


def test_an_operating_point_learns_the_severities_of_an_uncorrected_run(run: Path) -> None:
    book = read_run(run).labels
    book.edit(2, severity="major")
    book.merge(2, [1])
    operate_run(run, OperatingPoint(0.5, 0.1, None))
    predictor = Predictor(run)
    assert predictor.threshold == 0.5
    assert [one["severity"] for one in predictor.classes] == ["", "major", "major"]


def test_the_point_of_an_older_run_is_found(run: Path, new: list[Path]) -> None:
    write_point(OperatingPoint(-1.0, 0.1, None), run)
    assert Predictor(run).predict(new[0]).ok is False
    assert Predictor(run / "model").predict(new[0]).ok is None


def test_normals_added_later_leave_the_operation(
    tiny: Path, images_folder: Path, tmp_path: Path
) -> None:
    model = AnomalyNCD(3, backbone="tiny", weights=tiny)
    discover_run(model, images_folder, tmp_path / "run", normals=images_folder / "good")
    operate_run(tmp_path / "run", OperatingPoint(0.25, 0.1, None))
    loaded = AnomalyNCD.load(tmp_path / "run" / "model")
    loaded.add_normals([picture("good", 70)]).save(tmp_path / "run" / "model")
    assert Predictor(tmp_path / "run" / "model").threshold == 0.25
    counts = [loaded.model_.fit_counts, Predictor(tmp_path / "run").fit_counts]
    correct_run(tmp_path / "run")
    counts.append(Predictor(tmp_path / "run").fit_counts)
    # New images score lower than those of the fit did.
    assert [one is not None and one.score_edges for one in counts] == [(), (), ()]


def test_a_model_counts_the_images_of_its_run_and_follows_corrections(run: Path) -> None:
    counts, images = Predictor(run).fit_counts, read_run(run).images
    assert counts is not None
    assert counts.n_images == sum(counts.n_of_class) == sum(counts.n_of_scores) == len(images)
    assert counts.class_names == ("normal", "class 1", "class 2")
    read_run(run).labels.edit(1, name="dent")
    correct_run(run)
    corrected = Predictor(run / "model").fit_counts
    assert corrected is not None
    assert "dent" in corrected.class_names
    assert corrected.score_edges == pytest.approx(counts.score_edges)


def test_a_model_of_an_earlier_version_has_no_counts(run: Path) -> None:
    description = run / "model" / "model.json"
    content = json.loads(description.read_text())
    del content["components"]["fit_counts"], content["digest"]
    description.write_text(json.dumps(content))
    assert Predictor(run).fit_counts is None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"no image"), "not in a known image format"),
        (lambda path: path.unlink(), "does not exist"),
    ],
)
def test_an_unreadable_image_is_named(
    predictor: Predictor, new: list[Path], spoil: Callable[[Path], None], message: str
) -> None:
    spoil(new[1])
    with pytest.raises(InputError, match=rf"1\.png.*{message}"):
        predictor.predict_batch(new)


def test_bytes_are_read_within_the_limits_of_files(
    predictor: Predictor, new: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for content, message in ((b"", "it is empty"), (b"no image", "not in a known image format")):
        with pytest.raises(InputError, match=rf"image 'camera/7' cannot be read \(.*{message}"):
            predictor.predict(content, "camera/7")
    content = encoded(new[0])
    with pytest.raises(InputError, match="camera/7"):
        predictor.predict(content[: len(content) // 2], "camera/7")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match="too many pixels"):
        predictor.predict(content, "camera/7")


def test_models_that_need_more_than_images_are_refused(
    tiny: Path, tmp_path: Path, images_folder: Path
) -> None:
    pictures = [picture(kind, i) for i, kind in enumerate(KINDS)]
    maps = [one.mean(-1) for one in pictures]
    AnomalyNCD(2, backbone="tiny", weights=tiny).fit(pictures, maps=maps).save(tmp_path / "model")
    with pytest.raises(InputError, match="was made from maps that were given"):
        Predictor(tmp_path / "model")


def test_what_is_no_model_is_refused(tmp_path: Path, run: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        Predictor(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"threads=0"):
        Predictor(run, threads=0)
    with pytest.raises(InputError, match="2 names for 1 images"):
        Predictor(run).predict_batch([picture("good", 1)], ["a", "b"])


def test_a_verdict_survives_json(predictor: Predictor, new: list[Path]) -> None:
    verdict = predictor.predict(new[0])
    assert Verdict.from_dict(verdict.to_dict()) == verdict


def test_a_verdict_of_an_earlier_version_has_no_novelty(
    predictor: Predictor, new: list[Path]
) -> None:
    fields = predictor.predict(new[0]).to_dict()
    del fields["novelty"]
    assert Verdict.from_dict(fields).novelty == 0.0
