"""The commands that need no data: the weights of a backbone, and a demonstration."""

import os
from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli_options import Detail, MadeProduct, with_detail
from anomalyncd.console import print_detection, print_frame, print_scores, say
from anomalyncd.errors import InputError


def weights(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="timm's name.")] = None,
) -> None:
    """Fetch and check the weights of a backbone and say where they lie."""
    from anomalyncd.model.weights import DEFAULT_BACKBONE, load_backbone, locate_weights

    chosen = name or DEFAULT_BACKBONE
    load_backbone(chosen)
    path = locate_weights(chosen)
    say(f"{chosen}: {path} ({_source(path)})")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the parts and the run.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the discovery; the parts stay.")] = 0,
    product: MadeProduct = "plates",
    detail: Detail = None,
) -> None:
    """Make photographs of plates or bolts with six kinds of defects, and discover them."""
    from anomalyncd.data.made_parts import make_parts
    from anomalyncd.data.made_products import PRODUCTS
    from anomalyncd.data.parts import Parts
    from anomalyncd.discovery import AnomalyNCD
    from anomalyncd.evaluation.evaluate import evaluate_classes, evaluate_run
    from anomalyncd.evaluation.labels import labels_from_names
    from anomalyncd.evaluation.rivals.clustering import KMeansOnCls
    from anomalyncd.evaluation.rivals.inputs import RivalInputs
    from anomalyncd.evaluation.rivals.reading import read_images
    from anomalyncd.model.weights import load_backbone
    from anomalyncd.report.report import write_report
    from anomalyncd.runs import discover_run

    settings = with_detail("default", detail, AnomalyNCD.presets)
    folder, run, kinds = out / "parts", out / "run", PRODUCTS[product].kinds
    n_classes = len(kinds) + 1
    if not (folder / "parts.csv").is_file():
        make_parts(folder, product=product)
    if not (folder / "test" / kinds[0]).is_dir():
        raise InputError(f"'{folder}' holds another product than {product}; name another --out")
    estimator = AnomalyNCD(n_classes, preset=settings, random_state=seed)
    discover_run(estimator, folder, run, overwrite=True)
    page = write_report(run)
    evaluation = evaluate_run(run)
    parts = Parts.from_folder(folder)
    inputs = RivalInputs(n_classes, seed, read_images(load_backbone(), parts))
    plain = KMeansOnCls().fit_predict(inputs)
    baseline = evaluate_classes(labels_from_names(parts.names), plain)
    print_frame(evaluation.confusion.reset_index(), "Parts of each true class")
    scores = {"AnomalyNCD": evaluation, "k-means on whole images": baseline}
    print_scores(scores)
    print_detection(evaluation.detection)
    seconds = sum(estimator.stages_.seconds.values())
    say(f"{len(parts)} parts in {seconds:.0f} s; see {page}")


def _source(path: Path) -> str:
    from anomalyncd.cache import cache_folder
    from anomalyncd.model.weights import WEIGHTS_VARIABLE

    if os.environ.get(WEIGHTS_VARIABLE):
        return f"named by {WEIGHTS_VARIABLE}"
    return "in the cache" if path.is_relative_to(cache_folder()) else "from the Hugging Face hub"
