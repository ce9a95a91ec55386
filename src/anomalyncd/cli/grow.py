"""The command that adds new images to a run."""

from typing import TYPE_CHECKING, Annotated

import typer

from anomalyncd.cli.console import print_classes, print_frame, say
from anomalyncd.cli.options import (
    READING,
    Only,
    RunFolder,
    WeightsFile,
    known_device,
    with_groups,
)
from anomalyncd.inputs.sources import InputSources

if TYPE_CHECKING:
    import pandas as pd

    from anomalyncd.growth.proposals import Proposal


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
    if not proposed:
        say("no new class is proposed")
        return
    _print_proposals(proposed, grown.regions["name"])
    say(
        f"accept one with 'anomalyncd labels accept {run} {proposed[0].key} --name NAME', or look "
        f"at them with 'anomalyncd review {run}'"
    )


def _print_proposals(proposed: "list[Proposal]", image_names: "pd.Series") -> None:
    """Prints the classes that are proposed, with the names of typical images."""
    import pandas as pd

    rows = [
        (one.key, one.name, one.n_images, len(one.rows), ", ".join(image_names.iloc[one.typical]))
        for one in proposed
    ]
    columns = ["proposal", "name", "images", "regions", "typical images"]
    print_frame(pd.DataFrame(rows, columns=columns), "Proposed classes")
