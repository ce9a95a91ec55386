"""Messages of the library name arguments; the command line names its options."""

import pytest
import typer
from typer.testing import CliRunner

from anomalyncd.cli.errors import Commands, name_options
from anomalyncd.cli.main import app
from anomalyncd.errors import InputError


class Context:
    """The context of any command of the app, as far as it is needed here."""

    command = typer.main.get_command(app)
    invoked_subcommand: str | None = None

    def find_root(self) -> "Context":
        """The context of the app."""
        return self


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("give `normals` and `normal_maps`", "give --normals and --normal-maps"),
        ("name one of them as `category`", "name one of them as --category"),
        ("leave `split_list` out", "leave --split out"),
        ("give fewer `n_classes`", "give fewer --classes"),
        ("replace it with `overwrite`", "replace it with --overwrite"),
        ("'x', given as `images`", "'x', given as IMAGES"),
        ("of the `run`", "of the RUN"),
        ("call `fit` first, not `Config.mebin`", "call `fit` first, not `Config.mebin`"),
        ("no arguments", "no arguments"),
    ],
)
def test_arguments_become_options(message: str, shown: str) -> None:
    assert name_options(message, Context()) == shown


def test_the_options_of_the_command_that_was_called_come_first() -> None:
    context = Context()
    context.invoked_subcommand = "report"
    assert name_options("give `images`, `overwrite`", context) == "give --images, --overwrite"


def test_an_error_of_a_command_is_one_line_that_names_options() -> None:
    small = typer.Typer(cls=Commands)

    @small.command()
    def first(normal_maps: str = "") -> None:
        raise InputError(f"no {normal_maps or 'maps'};\nset `normal_maps`")

    @small.command()
    def second() -> None:
        raise KeyboardInterrupt

    result = CliRunner().invoke(small, ["first"])
    assert (result.exit_code, result.stderr) == (2, "error: no maps; set --normal-maps\n")
    result = CliRunner().invoke(small, ["second"])
    assert result.exit_code == 130
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")],
)
def test_too_little_memory_is_one_line_with_a_remedy(error: Exception) -> None:
    small = typer.Typer(cls=Commands)

    @small.command()
    def learn() -> None:
        raise error

    @small.command()
    def other() -> None:
        raise RuntimeError("of another kind")

    result = CliRunner().invoke(small, ["learn"])
    assert result.exit_code == 2
    assert "error: there is too little memory; close other programs" in result.stderr
    assert isinstance(CliRunner().invoke(small, ["other"]).exception, RuntimeError)
