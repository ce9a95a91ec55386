"""How a command ends early: one line on standard error, and an exit code."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from anomalyncd.cli.console import complain
from anomalyncd.errors import InputError

# Of click, or of the copy of it that typer brings along.
_UsageError: Any = typer.BadParameter.__bases__[0]


class Commands(TyperGroup):
    """Turns the ways in which a command ends early into one line each; the class of the app."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _one_line():
            return super().invoke(ctx)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        _refuse(str(error), error)
    except _UsageError as error:
        said = error.format_message()
        if "\n" in said:  # the help of a command that was given nothing
            raise
        command = error.ctx.command_path if error.ctx else "anomalyncd"
        _refuse(f"{said.rstrip('.')}; see '{command} --help'", error)
    except OSError as error:
        if error.errno == errno.EPIPE or error.filename is None:
            raise
        _refuse(
            f"'{error.filename}' cannot be read or written ({error.strerror}); check the path, "
            "its permissions and the space on the disk",
            error,
        )
    except KeyboardInterrupt as interrupt:
        complain("interrupted; run the same command again to go on")
        raise typer.Exit(130) from interrupt


def _refuse(said: str, error: Exception) -> NoReturn:
    complain(f"error: {said}")
    raise typer.Exit(2) from error
