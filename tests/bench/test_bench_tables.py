"""Tables hold the numbers that the files of a benchmark do."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anomalyncd.evaluation.metrics import cluster_scores
from anomalyncd_bench.differences import differences
from anomalyncd_bench.page import write_bench_page
from anomalyncd_bench.published import published_tables
from anomalyncd_bench.results import (
    Cell,
    MapsJob,
    Plan,
    as_text,
    write_result,
)
from anomalyncd_bench.tables import (
    Results,
    map_table,
    mean_tables,
    score_tables,
    score_text,
)
from anomalyncd_bench.writing import (
    all_tables,
    latex,
    results_page,
    write_tables,
)

TRUE = np.arange(40) % 4
METHODS = {"ours": "anomalyncd", "rival_1": "kmeans", "rival_2": "gcd"}
WRONG = {"ours": 2, "rival_1": 10, "rival_2": 20}
SETS = ("bottle", "pill")


def found(method: str, seed: int, set_name: str) -> np.ndarray:
    """Classes with some mistakes, more for each further seed and for pill."""
    n_wrong = WRONG[method] + seed + 3 * (set_name == "pill")
    return np.where(np.arange(40) < n_wrong, (TRUE + 1) % 4, TRUE)


def scores(method: str, set_name: str) -> np.ndarray:
    """(seeds, 3)."""
    several = [cluster_scores(TRUE, found(method, seed, set_name)) for seed in (0, 1)]
    return np.array([[one.nmi, one.ari, one.f1] for one in several])


def spread(values: np.ndarray) -> str:
    return f"{score_text(values.mean())} ± {score_text(values.std())}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished benchmark, written by hand; `rival_2` looks at no maps."""
    source = {"ours": "zero_shot", "rival_1": "zero_shot", "rival_2": "no_maps"}
    cells = [
        Cell(name, source[method], method, seed, f"{name}{method}{seed}")
        for name in SETS
        for method in METHODS
        for seed in (0, 1)
    ]
    maps = MapsJob("bottle", "zero_shot", 0, "m")
    Plan(
        "by hand",
        [
            {
                "name": name,
                "group": "MVTec AD",
                "category": name,
                "published": "MVTec AD",
                "combined": "unscored",
                "n_images": 41,
                "n_scored": 40,
                "n_normals": 0,
                "n_classes": 4,
            }
            for name in SETS
        ],
        [{"name": "zero_shot", "kind": "zero_shot", "with_normals": False}],
        [
            {
                "name": name,
                "method": method,
                "preset": "paper" if name == "ours" else None,
                "config": {},
                "ours": name == "ours",
                "sources": ["zero_shot"],
                "maps": name != "rival_2",
            }
            for name, method in METHODS.items()
        ],
        (0, 1),
        "tiny",
        cells,
        [maps],
    ).write(tmp_path)
    for cell in cells:
        classes = found(cell.method, cell.seed, cell.set)
        one = cluster_scores(TRUE, classes)
        content = {"nmi": one.nmi, "ari": one.ari, "f1": one.f1, "n_classes_found": 4}
        content |= {"classes": as_text(classes), "true_classes": as_text(TRUE)}
        content |= {"seconds": 1.0 + cell.seed, "seconds_reading": 0, "peak_memory_mb": 100}
        write_result(tmp_path, cell, content)
    write_result(tmp_path, maps, {"image_auroc": 0.75, "pixel_auroc": None, "aupro": 1.0})
    return tmp_path


def test_scores_are_means_over_seeds(folder: Path) -> None:
    (first, _, bottle), (second, _, pill) = score_tables(Results(folder))
    assert (first, second) == SETS
    for name, table in zip(SETS, (bottle, pill), strict=True):
        assert list(table.frame["method"]) == list(METHODS)
        for method, row in table.frame.set_index("method").iterrows():
            expected = [spread(one) for one in scores(str(method), name).T]
            assert list(row[["NMI", "ARI", "F1"]]) == expected
            assert (row["seconds"], row["MB"], row["seeds"]) == ("1.5", "100", "2")
        assert table.best == {(0, "NMI"), (0, "ARI"), (0, "F1")}


def test_means_over_categories_are_taken_seed_by_seed(folder: Path) -> None:
    (table,) = mean_tables(Results(folder))
    for method, row in table.frame.set_index("method").iterrows():
        means = np.mean([scores(str(method), name) for name in SETS], axis=0)
        assert list(row) == [spread(one) for one in means.T]


def test_ours_is_compared_with_the_best_rival(folder: Path) -> None:
    table = differences(Results(folder))
    assert table is not None
    for name, (_, row) in zip(SETS, table.frame.iterrows(), strict=True):
        gap = scores("ours", name).mean(0) - scores("rival_1", name).mean(0)
        for column, expected in zip(("NMI", "ARI", "F1"), gap, strict=True):
            assert row[column].startswith(f"+{score_text(expected)} [+")
            assert row[column].endswith("(rival_1)")


def test_published_scores_stand_apart(folder: Path) -> None:
    tables = {table.title.split(": ")[1]: table for table in published_tables(Results(folder))}
    assert list(tables) == ["bottle", "pill", "MVTec AD"]
    bottle = tables["bottle"].frame.set_index("method")
    musc = bottle.loc["MuSc + AnomalyNCD"]
    assert musc["published NMI / ARI / F1"] == ".613 / .583 / .819"
    mean = " / ".join(score_text(one) for one in scores("ours", "bottle").mean(0))
    assert musc["measured here NMI / ARI / F1"] == mean
    assert bottle.loc["CPR + AnomalyNCD", "measured here NMI / ARI / F1"] == "-"
    gcd = tables["MVTec AD"].frame.set_index("method").loc["GCD"]
    assert gcd["published NMI / ARI / F1"] == ".417 / .302 / .553"
    means = np.mean([scores("rival_2", name) for name in SETS], axis=(0, 1))
    assert gcd["measured here NMI / ARI / F1"] == " / ".join(score_text(one) for one in means)
    assert "15 categories; here: mean over bottle, pill" in tables["MVTec AD"].note


def test_map_scores(folder: Path) -> None:
    table = map_table(Results(folder))
    assert table is not None
    assert list(table.frame.iloc[0])[3:6] == [".750", "-", "1.000"]


def test_every_form_holds_the_same_numbers(folder: Path) -> None:
    results = Results(folder)
    write_tables(results, folder)
    page = write_bench_page(results, folder).read_text(encoding="utf-8")
    markdown = (folder / "tables.md").read_text(encoding="utf-8")
    for table in all_tables(results):
        assert table.title in markdown
        for cell in table.frame.to_numpy().ravel():
            assert cell in markdown
            assert cell in page
            assert cell.replace("_", r"\_").replace("±", r"$\pm$") in latex(table)
    assert "https://" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    cells = pd.read_csv(folder / "cells.csv")
    assert len(cells) == 12
    one = cells[(cells["set"] == "pill") & (cells["method"] == "ours") & (cells["seed"] == 1)]
    assert one["nmi"].item() == pytest.approx(scores("ours", "pill")[1, 0])
    assert sorted(path.name for path in (folder / "plots").iterdir()) == [
        "bottle_zero_shot.svg",
        "pill_zero_shot.svg",
    ]


def test_what_is_missing_is_said(folder: Path) -> None:
    cell = Results(folder).plan.cells[0]
    (folder / cell.path).unlink()
    results = Results(folder)
    assert results.n_missing == 1
    assert "1 of 12 results are not measured yet" in results_page([folder])


def test_digits_as_in_the_papers() -> None:
    values = (0.5, -0.0124, 1.0, 0.9999, None)
    assert [score_text(one) for one in values] == [".500", "-.012", "1.000", "1.000", "-"]
