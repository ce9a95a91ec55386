"""How a command ends early: one line on standard error, and an exit code."""

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from anomalyncd.cli.console import complain
from anomalyncd.errors import InputError
from anomalyncd.runtime.resources import lacks_memory

# Of click, or of the copy of it that typer contains.
_UsageError: Any = typer.BadParameter.__bases__[0]


class _EndsInOneLine:
    """Turns the ways in which a command ends early into one line each."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _one_line(ctx):
            arguments: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
            return arguments

    def invoke(self, ctx: Any) -> Any:
        with _one_line(ctx):
            return super().invoke(ctx)  # type: ignore[misc]


class Commands(_EndsInOneLine, TyperGroup):
    """The class of an app with several commands."""


class Command(_EndsInOneLine, TyperCommand):
    """The class of an app with one command."""


def name_options(text: str, context: Any) -> str:
    """Replaces the Python arguments that a message names by the options of the command line.

    The library names arguments in back-ticks: "give `normal_maps`" becomes "give --normal-maps".

    Args:
        text: The message.
        context: The context of any command of the app.
    """
    root = context.find_root()
    options = dict(_options(root.command))
    called = getattr(root.command, "commands", {}).get(root.invoked_subcommand)
    if called is not None:
        # `images` is an argument of most commands, but an option of report.
        own = _options(called).items()
        options |= {name: shown for name, shown in own if shown.startswith("--")}
    return re.sub(r"`(\w+)`", lambda match: options.get(match[1], match[0]), text)


def _options(command: Any) -> Mapping[str, str]:
    """The options of a command and of all commands below it, by the names of their arguments."""
    options: dict[str, str] = {}
    commands = getattr(command, "commands", {}).values()
    # Those of groups of commands first, so that the commands of the app itself prevail.
    for below in sorted(commands, key=lambda one: not hasattr(one, "commands")):
        options |= _options(below)
    for parameter in command.params:
        argument = parameter.param_type_name == "argument"
        shown = parameter.metavar or parameter.name.upper() if argument else parameter.opts[0]
        options[parameter.name] = shown
    return options


@contextmanager
def _one_line(context: Any) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        _refuse(name_options(str(error), context), error)
    except _UsageError as error:
        message = error.format_message()
        if "\n" in message:  # the help of a command that was called without arguments
            raise
        command = error.ctx.command_path if error.ctx else "anomalyncd"
        _refuse(f"{message.rstrip('.')}; see '{command} --help'", error)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        named = "a file" if error.filename is None else f"'{error.filename}'"
        _refuse(
            f"{named} cannot be read or written ({error.strerror or error}); check the path, "
            "its permissions and the space on the disk",
            error,
        )
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        _refuse(
            "there is too little memory; close other programs, give fewer images, or lower "
            "--detail, then run the command again",
            error,
        )
    except KeyboardInterrupt as interrupt:
        complain("interrupted; run the same command again to go on")
        raise typer.Exit(130) from interrupt


def _refuse(message: str, error: Exception) -> NoReturn:
    complain(f"error: {message}")
    raise typer.Exit(2) from error
