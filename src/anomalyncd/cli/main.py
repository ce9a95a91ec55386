"""The command line: one thin function for each command, which calls the same library as Python."""

import io
import logging
import os
import sys
import warnings
from typing import Annotated

import typer

from anomalyncd.cli.data import data
from anomalyncd.cli.discover import discover, estimate, evaluate, predict
from anomalyncd.cli.errors import Commands, name_options
from anomalyncd.cli.export import export
from anomalyncd.cli.grow import grow
from anomalyncd.cli.labels import correct, labels
from anomalyncd.cli.line import serve, watch
from anomalyncd.cli.maps import maps
from anomalyncd.cli.model import model
from anomalyncd.cli.review import review
from anomalyncd.cli.runs import add_normals, cache, compare, operate, report
from anomalyncd.cli.tools import demo, weights
from anomalyncd.runtime.logs import printed_log

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Discovers the kinds of defects in images of one product, without labels.",
)
app.add_typer(data, name="data")
app.add_typer(labels, name="labels")
app.add_typer(model, name="model")
for command in (discover, estimate, predict, grow, review, correct, add_normals, evaluate):
    app.command()(command)
for command in (report, operate, export, serve, watch, compare, maps, weights, cache, demo):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from anomalyncd import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    # A log that cannot be written would say so with a traceback for each of its lines.
    logging.raiseExceptions = False
    context.with_resource(printed_log(lambda line: name_options(line, context)))


def main() -> None:
    """Runs the command line."""
    prepare_terminal()
    typer.main.get_command(app)(prog_name="anomalyncd")


def prepare_terminal() -> None:
    """Lets any name of an image be printed, and keeps the warnings of libraries silent."""
    for stream in (sys.stdout, sys.stderr):
        # A pipe on Windows knows some 250 characters, and names of images may hold any.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Warnings of libraries about a damaged file would surround the one line of the error.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
