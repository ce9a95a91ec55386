"""Tables contain the numbers that the files of a benchmark contain."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anomalyncd.errors import InputError
from anomalyncd.evaluation.metrics import cluster_scores
from anomalyncd_bench.report.comparisons import differences, published_tables
from anomalyncd_bench.report.page import results_page, write_bench_page
from anomalyncd_bench.report.tables import map_table, mean_tables, measure_tables, score_tables
from anomalyncd_bench.report.writing import all_tables, latex, write_tables
from anomalyncd_bench.results import Job, MapsJob, Plan, Results, as_text, score_text, write_result

TRUE = np.arange(40) % 4
METHODS = {"ours": "anomalyncd", "baseline_1": "kmeans", "baseline_2": "gcd"}
WRONG = {"ours": 2, "baseline_1": 10, "baseline_2": 20}
SETS = ("bottle", "pill")


def predicted(method: str, seed: int, set_name: str) -> np.ndarray:
    """Classes with some mistakes, more for each further seed and for pill."""
    n_wrong = WRONG[method] + seed + 3 * (set_name == "pill")
    return np.where(np.arange(40) < n_wrong, (TRUE + 1) % 4, TRUE)


def scores(method: str, set_name: str) -> np.ndarray:
    """(seeds, 3)."""
    several = [cluster_scores(TRUE, predicted(method, seed, set_name)) for seed in (0, 1)]
    return np.array([[one.nmi, one.ari, one.f1] for one in several])


def spread(values: np.ndarray) -> str:
    return f"{score_text(values.mean())} ± {score_text(values.std())}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished benchmark, written by hand; `baseline_2` uses no maps."""
    source = {"ours": "zero_shot", "baseline_1": "zero_shot", "baseline_2": "no_maps"}
    jobs = [
        Job(name, source[method], method, seed, f"{name}{method}{seed}")
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
                "role": "ours" if name == "ours" else "baseline",
                "sources": ["zero_shot"],
            }
            for name, method in METHODS.items()
        ],
        (0, 1),
        "tiny",
        jobs,
        [maps],
    ).write(tmp_path)
    for job in jobs:
        classes = predicted(job.method, job.seed, job.set)
        one = cluster_scores(TRUE, classes)
        content = {"nmi": one.nmi, "ari": one.ari, "f1": one.f1, "n_classes_found": 4}
        content |= {"classes": as_text(classes), "true_classes": as_text(TRUE)}
        content |= {"seconds": 1.0 + job.seed, "seconds_reading": 0, "peak_memory_mb": 100}
        write_result(tmp_path, job, content)
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


def test_methods_that_are_shown_equal_are_equally_good(folder: Path) -> None:
    results = Results(folder)
    (best,) = [one for one in results.of("pill", "zero_shot", "ours") if one["seed"] == 0]
    for job in results.plan.results:
        if job.set == "pill" and job.method != "baseline_2":
            nmi = best["nmi"] + 1e-5 * (job.method == "ours")
            write_result(folder, job, dict(best) | {"nmi": nmi} | asdict(job))
    _, (*_, table) = score_tables(Results(folder))
    assert {(0, "NMI"), (1, "NMI")} <= table.best


def test_means_over_categories_are_taken_seed_by_seed(folder: Path) -> None:
    (table,) = mean_tables(Results(folder))
    for method, row in table.frame.set_index("method").iterrows():
        means = np.mean([scores(str(method), name) for name in SETS], axis=0)
        assert list(row) == [spread(one) for one in means.T]


def test_ours_is_compared_with_the_best_baseline(folder: Path) -> None:
    table = differences(Results(folder))
    assert table is not None
    for name, (_, row) in zip(SETS, table.frame.iterrows(), strict=True):
        gap = scores("ours", name).mean(0) - scores("baseline_1", name).mean(0)
        for column, expected in zip(("NMI", "ARI", "F1"), gap, strict=True):
            assert row[column].startswith(f"+{score_text(expected)} [+")
            assert row[column].endswith("(baseline_1)")


def change_methods(folder: Path, name: str, **fields: object) -> None:
    """Changes the record of one method in the plan."""
    plan = Plan.read(folder)
    methods = [one | fields if one["name"] == name else one for one in map(dict, plan.methods)]
    replace(plan, methods=methods).write(folder)


def test_references_are_shown_and_not_compared_with(folder: Path) -> None:
    change_methods(folder, "baseline_1", role="reference")
    results = Results(folder)
    table = differences(results)
    assert table is not None
    assert all(value.endswith("(baseline_2)") for value in table.frame["NMI"])
    (_, _, bottle), _ = score_tables(results)
    assert "baseline_1" in list(bottle.frame["method"])


def test_measures_have_tables_of_their_own(folder: Path) -> None:
    change_methods(folder, "baseline_1", role="measure", method="class_number")
    results = Results(folder)
    for job in results.plan.results:
        if job.method == "baseline_1":
            figures = {"true": 5, "estimate": 4, "low": 3, "high": 6 + job.seed}
            write_result(folder, job, figures | {"votes": {"silhouette": 4, "stability": 3}})
    (table,) = measure_tables(Results(folder))
    assert list(table.frame["estimate"]) == ["4 (3 to 6)", "4 (3 to 7)"] * 2
    assert set(table.frame["criteria"]) == {"silhouette 4, stability 3"}
    (_, _, bottle), _ = score_tables(Results(folder))
    assert "baseline_1" not in list(bottle.frame["method"])
    write_tables(Results(folder), folder)
    assert "4 (3 to 7)" in (folder / "tables.md").read_text(encoding="utf-8")


def test_published_scores_are_compared_with_unchanged_presets_alone(folder: Path) -> None:
    change_methods(folder, "ours", config={"training.epochs": 1})
    for table in published_tables(Results(folder)):
        musc = table.frame.set_index("method").loc["MuSc + AnomalyNCD"]
        assert musc["measured here NMI / ARI / F1"] == "-"


def test_published_scores_are_beside_ours(folder: Path) -> None:
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
    means = np.mean([scores("baseline_2", name) for name in SETS], axis=(0, 1))
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
        for value in table.frame.to_numpy().ravel():
            assert value in markdown
            assert value in page
            assert value.replace("_", r"\_").replace("±", r"$\pm$") in latex(table)
    assert "https://" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    rows = pd.read_csv(folder / "results.csv")
    assert len(rows) == 12
    one = rows[(rows["set"] == "pill") & (rows["method"] == "ours") & (rows["seed"] == 1)]
    assert one["nmi"].item() == pytest.approx(scores("ours", "pill")[1, 0])
    assert sorted(path.name for path in (folder / "plots").iterdir()) == [
        "bottle_zero_shot.svg",
        "pill_zero_shot.svg",
    ]


def test_missing_damaged_and_outdated_results_are_counted(folder: Path) -> None:
    first, second, third, *_ = Results(folder).plan.results
    (folder / first.path).unlink()
    (folder / second.path).write_text("{", encoding="utf-8")
    write_result(folder, replace(third, digest="another"), {})
    results = Results(folder)
    assert results.n_missing == 3
    assert "3 of 12 results are not measured yet" in results_page([folder])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"format": 2', '"format": 1', "is of another version; run it again"),
        ('"seeds"', '"grains"', "is damaged"),
        ("{", "", "is damaged"),
    ],
)
def test_plans_that_cannot_be_read(folder: Path, old: str, new: str, message: str) -> None:
    path = folder / "plan.json"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        Results(folder)


def test_digits_as_in_the_papers() -> None:
    values = (0.5, -0.0124, 1.0, 0.9999, None)
    assert [score_text(one) for one in values] == [".500", "-.012", "1.000", "1.000", "-"]
