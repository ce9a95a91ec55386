"""The commands that need no data: the weights of a backbone, and a demonstration."""

import os
from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import (
    print_detection,
    print_frame,
    print_scores,
    say,
)
from anomalyncd.cli.options import (
    Detail,
    SyntheticProduct,
    with_detail,
)
from anomalyncd.errors import InputError


def weights(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="timm's name.")] = None,
) -> None:
    """Fetch and check the weights of a backbone and say where they lie."""
    from anomalyncd.backbone.weights import (
        DEFAULT_BACKBONE,
        load_backbone,
        locate_weights,
    )

    chosen = name or DEFAULT_BACKBONE
    load_backbone(chosen)
    path = locate_weights(chosen)
    say(f"{chosen}: {path} ({_source(path)})")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the images and the run.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Seed of the discovery; the images stay.")] = 0,
    product: SyntheticProduct = "plates",
    detail: Detail = None,
) -> None:
    """Make photographs of plates or bolts with six kinds of defects, and discover them."""
    from anomalyncd.backbone.weights import load_backbone
    from anomalyncd.estimator import AnomalyNCD
    from anomalyncd.evaluation.evaluate import evaluate_classes, evaluate_run
    from anomalyncd.evaluation.ground_truth import labels_from_names
    from anomalyncd.inputs.image_set import ImageSet
    from anomalyncd.report.report import write_report
    from anomalyncd.synthetic.generate import make_synthetic_images
    from anomalyncd.synthetic.products import PRODUCTS
    from anomalyncd.workflows import discover_run
    from anomalyncd_bench.baselines.clustering import KMeansOnCls
    from anomalyncd_bench.baselines.inputs import BaselineInputs
    from anomalyncd_bench.baselines.reading import read_images

    config = with_detail("default", detail, AnomalyNCD.presets)
    folder, run, kinds = out / "images", out / "run", PRODUCTS[product].kinds
    n_classes = len(kinds) + 1
    if not (folder / "images.csv").is_file():
        try:
            make_synthetic_images(folder, product=product)
        except FileExistsError as error:
            raise InputError(str(error)) from error
    if not (folder / "test" / kinds[0]).is_dir():
        raise InputError(f"'{folder}' holds another product than {product}; name another --out")
    estimator = AnomalyNCD(n_classes, preset=config, random_state=seed)
    discover_run(estimator, folder, run, overwrite=True)
    page = write_report(run)
    evaluation = evaluate_run(run)
    images = ImageSet.from_folder(folder)
    inputs = BaselineInputs(n_classes, seed, read_images(load_backbone(), images))
    plain = KMeansOnCls().fit_predict(inputs)
    baseline = evaluate_classes(labels_from_names(images.names), plain)
    print_frame(evaluation.confusion.reset_index(), "ImageSet of each true class")
    scores = {"AnomalyNCD": evaluation, "k-means on whole images": baseline}
    print_scores(scores)
    print_detection(evaluation.detection)
    seconds = sum(estimator.stages_.seconds.values())
    say(f"{len(images)} images in {seconds:.0f} s; see {page}")


def _source(path: Path) -> str:
    from anomalyncd.backbone.weights import WEIGHTS_VARIABLE
    from anomalyncd.io.cache import cache_folder

    if os.environ.get(WEIGHTS_VARIABLE):
        return f"named by {WEIGHTS_VARIABLE}"
    return "in the cache" if path.is_relative_to(cache_folder()) else "from the Hugging Face hub"
