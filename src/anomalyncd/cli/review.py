"""The command that opens a run in the browser, where a person names and corrects its classes."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from anomalyncd.cli.console import say
from anomalyncd.cli.options import MovedImages, RunFolder
from anomalyncd.errors import InputError


def review(
    run: RunFolder,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port on this machine; a page that is open finds the same port again.",
            show_default="a free one",
            min=1,
            max=65535,
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the link and open no browser.")
    ] = False,
    images: MovedImages = None,
) -> None:
    """Open a RUN in the browser: name, correct, merge and split its classes; ctrl-c ends it.

    What you say is saved at once in the RUN, and only this machine can open the page. When
    the review ends, the results, the report and the model follow it.
    """
    try:
        from anomalyncd.review.serving import open_browser, review_run
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "starlette", "uvicorn"):
            raise
        raise InputError(
            f"the review needs {error.name}, which is not installed; "
            "pip install 'anomalyncd[review]'"
        ) from error

    def started(link: str) -> None:
        say(f"review at {link}")
        if not no_browser and sys.stdout.isatty():
            open_browser(link)

    review_run(run, images, port, started)
    _apply(run, images)


def _apply(run: Path, images: Path | None) -> None:
    """Refits the run to what was said in the review, so that predict and the report follow it."""
    from anomalyncd.report.report import write_report
    from anomalyncd.results.run_folder import read_run
    from anomalyncd.revision import correct_run

    reviewed = read_run(run)
    if reviewed.has_labels and reviewed.labels.n_pending:
        say(str(correct_run(run)))
        say(f"predict uses the corrected classes; see {write_report(run, images)}")
