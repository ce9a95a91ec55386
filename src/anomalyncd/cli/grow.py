"""The command that adds new images to a run."""

from typing import Annotated

import typer

from anomalyncd.cli.console import print_classes, print_proposals, say
from anomalyncd.cli.options import (
    READING,
    Only,
    RunFolder,
    WeightsFile,
    known_device,
    with_groups,
)
from anomalyncd.inputs.sources import InputSources


@with_groups
def grow(
    run: RunFolder,
    sources: Annotated[
        InputSources, Only("images", "maps", "masks", "boxes", "ignore", "foreground", *READING)
    ],
    *,
    weights: WeightsFile = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Device to compute on, see discover.",
            show_default="as for the run",
            callback=known_device,
        ),
    ] = None,
) -> None:
    """Add new IMAGES to a RUN, and propose classes for what is new in them.

    Names and corrections stay. Images that are in the RUN already are left out.
    """
    from anomalyncd.growth.proposals import proposals
    from anomalyncd.results.run_folder import read_run
    from anomalyncd.revision import grow_run

    growth = grow_run(run, sources.images, weights=weights, device=device, **sources.further())
    grown = read_run(run)
    print_classes(grown.classes)
    say(str(growth))
    proposed = proposals(grown, grown.labels)
    print_proposals(proposed, grown.regions["name"])
    if proposed:
        say(
            f"accept one with 'anomalyncd labels accept {run} 1 --name NAME', or look at them with "
            f"'anomalyncd review {run}'"
        )
