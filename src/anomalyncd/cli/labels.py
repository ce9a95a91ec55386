"""The commands about what a person says of a run: its label book, and refitting to it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from anomalyncd.cli.console import print_frame, say, warn
from anomalyncd.cli.options import MovedImages, RunFolder, existing
from anomalyncd.errors import InputError
from anomalyncd.runtime.wording import counted

labels = typer.Typer(
    no_args_is_help=True, help="Name, merge, import and export the classes of a run."
)
ClassId = Annotated[int, typer.Argument(metavar="CLASS", help="Id of the class.")]


@labels.command()
def show(run: RunFolder) -> None:
    """Show the classes of a RUN with their ids, and how many regions a person confirmed."""
    import numpy as np
    import pandas as pd

    from anomalyncd.results.run_folder import read_run

    book = read_run(run).labels
    said = book.said()
    rows = [
        (one.id, one.name, one.kind, one.severity or "-", int(np.count_nonzero(said == one.id)))
        for one in book.state.in_use
    ]
    columns = ["id", "class", "kind", "severity", "regions said"]
    print_frame(pd.DataFrame(rows, columns=columns), "Label book")
    say(f"to correct them by eye: anomalyncd review {run}")


@labels.command()
def edit(
    run: RunFolder,
    class_id: ClassId,
    name: Annotated[str | None, typer.Option(help="Its name.")] = None,
    description: Annotated[
        str | None, typer.Option(help="What belongs to it and what does not.")
    ] = None,
    kind: Annotated[
        Literal["defect", "not a defect", "ignored"] | None,
        typer.Option(help="Whether it is a defect; ignored regions do not count at all."),
    ] = None,
    severity: Annotated[
        Literal["minor", "major", "critical"] | None, typer.Option(help="How grave it is.")
    ] = None,
    escape_cost: Annotated[
        float | None, typer.Option(help="Cost of one such defect that passes.")
    ] = None,
    colour: Annotated[str | None, typer.Option(help="Its colour, #rrggbb.")] = None,
) -> None:
    """Name or describe a CLASS of a RUN."""
    from anomalyncd.results.run_folder import read_run

    book = read_run(run).labels
    book.edit(
        class_id,
        name=name,
        description=description,
        kind=kind,
        severity=severity,
        escape_cost=escape_cost,
        colour=colour,
    )
    say(f"class {class_id} is {book.state.classes[class_id].name}; {_how_to_apply(run)}")


@labels.command()
def merge(
    run: RunFolder,
    into: Annotated[int, typer.Argument(metavar="INTO", help="Id of the class that stays.")],
    classes: Annotated[list[int], typer.Argument(metavar="CLASS...", help="Ids of the others.")],
) -> None:
    """Merge classes of a RUN; merging INTO 0 makes the others count as normal."""
    from anomalyncd.results.run_folder import read_run

    book = read_run(run).labels
    book.merge(into, classes)
    merged = counted(len(classes), "class was", "classes were")
    say(f"{merged} merged into {book.state.classes[into].name}; {_how_to_apply(run)}")


@labels.command()
def accept(
    run: RunFolder,
    number: Annotated[
        int,
        typer.Argument(
            metavar="PROPOSAL",
            help="Number of the proposal, as grow prints it, also after others were accepted.",
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the class.", show_default="as proposed")
    ] = None,
) -> None:
    """Make a class of a PROPOSAL for regions of a RUN that belong to no known class."""
    from anomalyncd.growth.proposals import accept_proposal
    from anomalyncd.results.run_folder import read_run

    opened = read_run(run)
    class_id, n_regions = accept_proposal(opened, opened.labels, number, name)
    say(f"class {class_id} has {counted(n_regions, 'region')}; {_how_to_apply(run)}")


@labels.command("import")
def bring_in(
    run: RunFolder,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="Table of regions or images and their classes, annotations (COCO, Label Studio, "
            "CVAT, YOLO, Pascal VOC, FiftyOne, labelme), or a folder with a folder a class.",
            callback=existing,
        ),
    ],
) -> None:
    """Add LABELS from elsewhere to a RUN; classes are found by name, or made."""
    from anomalyncd.exchange.run_labels import import_labels
    from anomalyncd.results.run_folder import read_run

    imported = import_labels(read_run(run), path)
    (say if imported.unmatched.empty else warn)(imported.summary)
    say(_how_to_apply(run))


@labels.command()
def export(
    run: RunFolder,
    label_format: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="One of csv, coco, yolo, voc, cvat, label-studio, fiftyone and folders (crops of "
            "each class in a folder).",
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="A new or empty folder.")],
    normal: Annotated[
        bool, typer.Option("--normal", help="Write regions that are no defect as well.")
    ] = False,
    images: MovedImages = None,
) -> None:
    """Write the labelled regions of a RUN for other programs."""
    from anomalyncd.exchange.run_labels import export_labels
    from anomalyncd.images.image_set import as_image_set
    from anomalyncd.results.run_folder import read_run

    opened = read_run(run)
    opened = opened if images is None else opened.with_images(as_image_set(images))
    export_labels(opened, label_format, target, normal=normal)
    say(f"see {target}")


@labels.command()
def history(run: RunFolder) -> None:
    """Show what was done to the classes of a RUN, oldest first."""
    from anomalyncd.labels.history import lines
    from anomalyncd.results.run_folder import read_run

    book = read_run(run).labels
    for line in lines(book.history, book.state):
        say(f"{line.action.time[:19].replace('T', ' ')} {line.action.author}: {line.text}")


@labels.command()
def undo(run: RunFolder) -> None:
    """Take back the last action on the classes of a RUN; redo does it again."""
    _take("undo", run)


@labels.command()
def redo(run: RunFolder) -> None:
    """Do again what was taken back last."""
    _take("redo", run)


def correct(run: RunFolder, images: MovedImages = None) -> None:
    """Refit the classes of a RUN to what was said in its label book.

    The command predict uses them from then on.

    What was said holds, and all other regions follow from it. With nothing said, the classes are
    those of the discovery.
    """
    from anomalyncd.report.report import write_report
    from anomalyncd.revision import correct_run

    say(str(correct_run(run)))
    say(f"see {write_report(run, images)}")


def _take(which: Literal["undo", "redo"], run: Path) -> None:
    from anomalyncd.labels.history import sentence
    from anomalyncd.results.run_folder import read_run

    book = read_run(run).labels
    action = book.undo() if which == "undo" else book.redo()
    if action is None:
        raise InputError(f"there is nothing to {which} in run '{run}'")
    say(f"{which}: {sentence(action, book.state)}; {_how_to_apply(run)}")


def _how_to_apply(run: Path) -> str:
    return f"apply it with: anomalyncd correct {run}"
