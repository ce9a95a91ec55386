"""The commands that need no data: the weights of a backbone, and a demonstration."""

import os
from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import print_detection, print_frame, print_scores, say
from anomalyncd.cli.options import EstimatorOptions, Only, SyntheticProduct, with_groups
from anomalyncd.errors import InputError
from anomalyncd.runtime.wording import counted


def weights(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of the backbone in timm.")
    ] = None,
) -> None:
    """Download and check the weights of a backbone, and show where they are."""
    from anomalyncd.backbone.catalogue import DEFAULT_BACKBONE
    from anomalyncd.backbone.weights import load_backbone, locate_weights

    chosen = name or DEFAULT_BACKBONE
    load_backbone(chosen)
    path = locate_weights(chosen)
    say(f"{chosen}: {path} ({_origin(path)})")


@with_groups
def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the images and the run.")] = Path("demo"),
    product: SyntheticProduct = "plates",
    options: Annotated[EstimatorOptions, Only("seed", "detail")],
) -> None:
    """Make synthetic images of a product with two to six kinds of defects, and discover them."""
    from anomalyncd.evaluation.evaluate import evaluate_run
    from anomalyncd.inputs.sources import InputSources
    from anomalyncd.io.writing import refuse_unwritable, unwritable
    from anomalyncd.report.report import write_report
    from anomalyncd.synthetic.generate import make_synthetic_images
    from anomalyncd.synthetic.products import PRODUCTS
    from anomalyncd.workflows import discover_run

    refuse_unwritable(out)
    folder, run, kinds = out / "images", out / "run", PRODUCTS[product].kinds
    if not (folder / "images.csv").is_file():
        try:
            make_synthetic_images(folder, product=product)
        except FileExistsError as error:
            raise InputError(str(error)) from error
        except OSError as error:
            raise unwritable(folder, error) from error
    if not (folder / "test" / kinds[0]).is_dir():
        raise InputError(f"'{folder}' holds another product than {product}; give another `out`")
    estimator = options.estimator(len(kinds) + 1, InputSources(folder))
    discover_run(estimator, folder, run, overwrite=True)
    page = write_report(run)
    evaluation = evaluate_run(run)
    print_frame(evaluation.confusion.reset_index(), "Images of each true class in each class")
    print_scores({"AnomalyNCD": evaluation})
    print_detection(evaluation.detection)
    seconds = sum(estimator.stages_.seconds.values())
    say(f"{counted(len(estimator.labels_), 'image')} in {seconds:.0f} s; see {page}")
    say(f"name and correct the classes with: anomalyncd review {run}")


def _origin(path: Path) -> str:
    from anomalyncd.backbone.catalogue import WEIGHTS_VARIABLE
    from anomalyncd.io.cache import cache_folder

    if os.environ.get(WEIGHTS_VARIABLE):
        return f"named by {WEIGHTS_VARIABLE}"
    return "in the cache" if path.is_relative_to(cache_folder()) else "from the Hugging Face hub"
