"""What the pages say stands in the code, and the other way round."""

import re
from pathlib import Path

import pytest

import anomalyncd
from anomalyncd.config import Config
from anomalyncd_bench.writing import results_page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def test_reference_lists_every_public_name() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    foreground = re.findall(r"^::: (\S+)$", pages, re.MULTILINE)
    # What a page says of a whole module is no name that is imported from the package.
    listed = {path.rsplit(".", 1)[1] for path in foreground if ".baselines." not in path}
    assert listed == set(anomalyncd.__all__) - {"__version__"}


def test_navigation_holds_every_page() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    listed = re.findall(r"^ +- (?:.*: )?(\S+\.md)$", navigation, re.MULTILINE)
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in PAGES)


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "README.md"], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_pages_link_to_files_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_results_are_those_of_the_committed_benchmarks() -> None:
    folders = sorted(path.parent for path in ROOT.glob("benchmarks/results/bench/*/plan.json"))
    assert folders
    assert (DOCS / "results.md").read_text(encoding="utf-8") == results_page(folders)


def test_figures_are_small_and_used() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in [*PAGES, ROOT / "README.md"])
    for figure in (DOCS / "images").iterdir():
        assert figure.stat().st_size < 300_000
        assert figure.name in text


def test_licence_page_lists_every_dependency() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = project.split("\ndependencies = [")[1].split("]")[0]
    page = (DOCS / "licences.md").read_text(encoding="utf-8")
    for name in re.findall(r'"([a-z-]+)>=', required):
        assert f"| {name} |" in page


def test_numbers_in_the_concepts_are_the_defaults() -> None:
    chosen = Config()
    assert (chosen.detector.resolution, chosen.detector.roi) == (None, "foreground")
    assert chosen.detector.layers == (5, 8)
    assert chosen.detector.neighbourhoods == (1,)
    assert (chosen.detector.common, chosen.detector.smoothing) == (2.0, 0.5)
    assert (chosen.detector.n_references, chosen.detector.closest) == (40, (0.05, 0.2))
    assert chosen.detector.map_size == 256
    assert (chosen.mebin.erosion, chosen.mebin.n_thresholds) == (6, 64)
    assert chosen.mebin.min_interval_length == 4
    assert (chosen.regions.margin, chosen.regions.min_half_side) == (1.1, 0.1)
    assert chosen.regions.merge_gap == 0.01
    assert (chosen.encoder.guidance, chosen.encoder.readout) == ("soft", 10)
    assert (chosen.encoder.extra_cls, chosen.encoder.region_means) == ((8,), (5,))
    assert (chosen.training.epochs, chosen.training.epochs_with_base) == (0, 20)
    assert chosen.crops.n_views == 4
    assert chosen.crops.memory_limit_gb == 4
