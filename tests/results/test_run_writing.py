"""Results on disk: they are replaced completely or not at all, and scores are compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anomalyncd import ImageSet, InputError, Predictions
from anomalyncd.inputs.inputs import Inputs
from anomalyncd.inputs.mask_files import encode_mask
from anomalyncd.regions.table import CodedMasks
from anomalyncd.results import run_writing
from anomalyncd.results.predictions import RegionClasses, aggregate
from anomalyncd.results.run_folder import RECORD
from anomalyncd.results.run_writing import prepare_run, replace_results, write_prediction
from support.quick import scored_regions


def predictions(scores: list[float]) -> Predictions:
    """Predictions over images with one region each, of these scores."""
    count = len(scores)
    masks = CodedMasks((encode_mask(np.ones((64, 64), bool)),) * count)
    regions = replace(
        scored_regions(np.array(scores)), masks=masks, counts=np.zeros((count, 0), np.int64)
    )
    images = ImageSet.from_list([np.zeros((64, 64), np.uint8)] * count)
    units = np.eye(count, dtype=np.float32)
    return aggregate(Inputs(images, np.full((count, 2), 64)), regions, RegionClasses(units, units))


def test_an_image_at_the_threshold_is_ok(tmp_path: Path) -> None:
    write_prediction(predictions([0.25, 0.5, 0.75]), tmp_path, threshold=0.5)
    assert pd.read_csv(tmp_path / "images.csv")["ok"].tolist() == [True, True, False]


def test_a_folder_whose_results_are_replaced_is_no_finished_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / RECORD).write_text("{}", encoding="utf-8")

    def full_disk(source: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(run_writing, "move", full_disk)
    with pytest.raises(InputError, match="no space"), replace_results(tmp_path) as new:
        (new / RECORD).write_text("{}", encoding="utf-8")
    assert not (tmp_path / RECORD).exists()


def test_results_stay_where_writing_new_ones_fails(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="broken"), replace_results(tmp_path):
        raise ValueError("broken")
    assert [path.name for path in tmp_path.iterdir()] == [RECORD]


def test_a_run_that_was_killed_at_its_very_end_is_cleared_up(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "tokens.bin").touch()
    (tmp_path / RECORD).touch()
    with pytest.raises(InputError, match="holds a finished run"):
        prepare_run(tmp_path, [np.zeros((4, 4), np.uint8)], overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == [RECORD]
