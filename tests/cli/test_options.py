"""The options that commands share: declared once, the same everywhere, refused at once."""

import os
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.testing import CliRunner

from anomalyncd.cli.main import app
from anomalyncd.cli.options import EstimatorOptions, SyntheticProduct
from anomalyncd.errors import InputError
from anomalyncd.inputs.sources import InputSources
from anomalyncd.results.run_folder import RECORD
from anomalyncd.synthetic.products import PRODUCTS

ROOT = typer.main.get_command(app)
INPUTS = {one.name for one in fields(InputSources)}
ESTIMATOR = {one.name for one in fields(EstimatorOptions)}
MAPS = ESTIMATOR - {"method"}
READING = {"white_level", "black_level", "skip_damaged"}
TAKEN: dict[str, tuple[set[str], set[str]]] = {
    "discover": (INPUTS, ESTIMATOR),
    "estimate": (INPUTS, ESTIMATOR),
    "predict": (INPUTS - {"base", "normals", "normal_maps"}, {"weights"}),
    "maps": ({"images", "maps", "normals", "normal_maps", "ignore"} | READING, MAPS),
    "data check": (INPUTS, set()),
    "demo": (set(), {"seed", "detail"}),
}
"""For each command the inputs and the options of an estimator that it takes."""
RUN_MAIN = "import sys; from anomalyncd.cli.main import main; main()"
HEAVY = ("torch", "sklearn", "pandas", "cv2", "scipy", "numpy")


def parameters(command: str) -> dict[str, Any]:
    """The parameters of a command by name."""
    found: Any = ROOT
    for word in command.split():
        found = found.commands[word]
    return {parameter.name: parameter for parameter in found.params}


def commands(group: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """All commands by their full names."""
    named = []
    for name, command in group.commands.items():
        below = getattr(command, "commands", None)
        full = f"{prefix}{name}"
        named += commands(command, f"{full} ") if below else [(full, command)]
    return named


@pytest.mark.parametrize("command", TAKEN)
def test_a_command_takes_the_shared_options(command: str) -> None:
    inputs, options = TAKEN[command]
    taken = parameters(command)
    assert inputs | options <= set(taken)
    assert not (INPUTS - inputs) & set(taken)


@pytest.mark.parametrize("name", sorted(INPUTS | ESTIMATOR))
def test_an_option_is_the_same_in_all_commands(name: str) -> None:
    group = 0 if name in INPUTS else 1
    found = [parameters(command)[name] for command, taken in TAKEN.items() if name in taken[group]]
    assert found
    for parameter in found:
        assert parameter.help == found[0].help
        assert parameter.opts == found[0].opts
        assert parameter.default == found[0].default


def test_every_option_has_one_plain_sentence_as_help() -> None:
    for name, command in commands(ROOT):
        for parameter in command.params:
            if parameter.name == "help":
                continue
            text = f"{name} {parameter.name}: {parameter.help}"
            assert parameter.help, text
            assert parameter.help.endswith("."), text
            assert ". " not in parameter.help, text
            assert parameter.help[0].isupper(), text


def run(*arguments: object, folder: Path) -> tuple[subprocess.CompletedProcess[str], float]:
    """Runs a command in a process of its own; its outcome and the seconds that it takes."""
    started = time.perf_counter()
    outcome = subprocess.run(
        [sys.executable, "-c", RUN_MAIN, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    return outcome, time.perf_counter() - started


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("discover nowhere", "'nowhere', given as IMAGES, does not exist; check the path"),
        ("estimate . --normal-maps no", "'no', given as --normal-maps, does not exist"),
        ("predict nowhere .", "'nowhere', given as RUN, does not exist"),
        ("maps . --out o --weights no.st", "'no.st', given as --weights, does not exist"),
        ("data check . --maps . --masks .", "several of --maps, --masks and --boxes are given"),
        ("discover . --white-level 0", "--white-level 0 cannot be used; give a whole number"),
        ("predict . . --black-level x", "Invalid value for '--black-level'"),
        ("discover . --preset best", "preset 'best' is not known"),
        ("discover . --classes 1", "Invalid value for '--classes'"),
    ],
)
def test_what_is_wrong_is_refused_within_a_second(line: str, message: str, tmp_path: Path) -> None:
    # The best of three, so that other work on the machine does not decide.
    for _ in range(3):
        outcome, seconds = run(*line.split(), folder=tmp_path)
        if seconds < 1:
            break
    assert outcome.returncode == 2
    assert outcome.stderr.startswith("error: ")
    assert message in outcome.stderr
    assert seconds < 1
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_every_synthetic_product_can_be_chosen() -> None:
    assert get_args(get_args(SyntheticProduct)[0]) == tuple(PRODUCTS)


def test_modules_of_the_command_line_import_nothing_slow() -> None:
    modules = (Path(__file__).parents[2] / "src/anomalyncd/cli").glob("*.py")
    names = [f"anomalyncd.cli.{path.stem}" for path in modules]
    code = f"import sys, {', '.join(names)}; print(*{set(HEAVY)} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_file_that_marks_a_finished_run_is_the_one_that_commands_look_for(
    tmp_path: Path,
) -> None:
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert f"holds no {RECORD};" in result.stderr


def test_every_command_refuses_a_folder_that_is_no_run(tmp_path: Path) -> None:
    refused = []
    for name, command in commands(ROOT):
        given = [one for one in command.params if one.param_type_name == "argument"]
        if any(one.metavar == "RUN" for one in given):
            with pytest.raises(InputError, match="give the folder of a finished run"):
                command.make_context(name, [str(tmp_path)] * len(given))
            refused.append(name)
    assert {"compare", "evaluate", "operate", "predict", "report"} <= set(refused)
