"""Commands on tiny images, each in a process that can be killed, and what they leave behind."""

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from PIL import Image
from safetensors.torch import load_file

from anomalyncd.cli.main import app
from anomalyncd.config import PRESETS
from anomalyncd.results.run_folder import read_run
from anomalyncd_bench import token_sharing
from anomalyncd_bench.baselines.reading import read_images
from anomalyncd_bench.cli import app as bench
from support.quick import UNTRAINED, call, damage, picture, use_tiny, write_tiny_weights

_TOLD_OF_TIME = {"run.json", "run.log", "report.html", "bench.html", "watch.lock"}
"""Files that two runs do not have in common."""
_TIMES = ("seconds", "memory", "time", "finished", "started", "mtime", "fits", "attempts")
"""Parts of the names of columns and entries that tell of the time."""
WRITES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "os.truncate"}
TABLE = """
sets: {plates: photos}
sources: [zero_shot]
seeds: 1
backbone: tiny
methods:
  - kmeans
  - {method: anomalyncd, config: {training.epochs: 0}}
"""


@dataclass(frozen=True)
class Scenario:
    """A command, and what has to be done before it."""

    name: str
    arguments: tuple[str, ...]
    """Paths in it are relative to the folder that it works in."""
    before: tuple[tuple[str, ...], ...] = ()
    """Commands that are run first."""
    results: str = "run"
    """What the command writes, relative to the same folder."""
    app: typer.Typer = app


TINY = ("--backbone", "tiny", "--weights", "tiny.safetensors")
DISCOVER = ("discover", "photos", "--classes", "3", "--out", "run", *TINY)
NAMED = ("labels", "edit", "run", "1", "--name", "stain")
WATCH = ("watch", "new", "run", "--out", "watched", "--once", "--steady", "0")
SCENARIOS = (
    Scenario("discover", DISCOVER),
    Scenario("predict", ("predict", "run", "new", "--out", "predicted"), (DISCOVER,), "predicted"),
    Scenario("correct", ("correct", "run"), (DISCOVER, NAMED)),
    Scenario("grow", ("grow", "run", "new"), (DISCOVER,)),
    Scenario("watch", (*WATCH, "--weights", "tiny.safetensors"), (DISCOVER,), "watched"),
    Scenario(
        "bench",
        ("table.yaml", "--out", "measured", "--weights", "tiny.safetensors"),
        results="measured",
        app=bench,
    ),
)


def prepare(folder: Path) -> None:
    """Writes the pictures, the table of a benchmark and the weights that all commands read."""
    torch.set_num_threads(1)
    for group, kind in enumerate(("good", "line", "spot")):
        for index in range(4):
            path = f"test/{kind}/{index}"
            save(folder / "photos" / f"{path}.png", picture(kind, 10 * group + index))
            if kind != "good":
                mask = folder / "photos" / "ground_truth" / kind / f"{index}_mask.png"
                save(mask, damage(kind, 10 * group + index))
    for index, kind in enumerate(("good", "line", "spot", "line")):
        save(folder / "new" / f"{kind}{index}.png", picture(kind, 60 + index))
    (folder / "table.yaml").write_text(TABLE, encoding="utf-8")
    write_tiny_weights(folder / "tiny.safetensors")
    patch = pytest.MonkeyPatch()
    use_tiny(patch, folder / "cache")
    patch.setitem(PRESETS, "default", UNTRAINED)
    os.environ.pop("ANOMALYNCD_DATA", None)
    token_sharing.read_images = partial(read_images, patch_blocks=(0, 1))


def warm_up(folder: Path) -> None:
    """Runs every command once in this process, so that its children find all modules imported."""
    prepare(folder)
    os.chdir(folder)
    for scenario in SCENARIOS:
        for arguments in (*scenario.before, scenario.arguments):
            if arguments != DISCOVER or not (folder / "run" / "run.json").is_file():
                chosen = scenario.app if arguments is scenario.arguments else app
                result = call(*arguments, app=chosen)
                if result.exit_code:
                    raise SystemExit(f"{arguments} failed: {result.output}")


def save(path: Path, pixels: np.ndarray) -> None:
    """Writes a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Exit code; -9 where it was killed."""
    seconds: float
    n_changes: int
    """How often it was about to change a file, as far as Python tells."""
    said: str

    @property
    def is_refused(self) -> bool:
        """Whether it ended with one line that says why."""
        n_errors = sum(line.startswith("error: ") for line in self.said.splitlines())
        return self.code == 2 and n_errors == 1 and "Traceback" not in self.said


def run(
    arguments: tuple[str, ...],
    folder: Path,
    app: typer.Typer = app,
    *,
    at_change: int | None = None,
    stop_at: str = "",
    after: float | None = None,
    before: Callable[[], object] = lambda: None,
    at_change_do: Callable[[], object] | None = None,
    log: str = "said",
) -> Ended:
    """Runs a command in a child of this process.

    Args:
        arguments: Of the command.
        folder: The working folder.
        app: Of the command.
        at_change: The child kills itself before it changes a file for this time.
        stop_at: The child kills itself once a file of which the path ends like this is there.
        after: It is killed after so many seconds.
        before: Called in the child first.
        at_change_do: What happens at that time, in place of a kill.
        log: Name of the file for what is said.
    """
    said_in, counted = folder / f"{log}.txt", folder / f"{log}-changes.txt"
    begin = time.perf_counter()
    child = os.fork()
    if child == 0:
        _work(arguments, app, _Stop(at_change, stop_at, at_change_do), (said_in, counted), before)
    if after is not None:
        time.sleep(after)
        os.kill(child, 9)
    _, status = os.waitpid(child, 0)
    changes = int(counted.read_text()) if counted.is_file() else 0
    said = said_in.read_text(encoding="utf-8", errors="replace") if said_in.is_file() else ""
    for path in (said_in, counted):
        path.unlink(missing_ok=True)
    return Ended(os.waitstatus_to_exitcode(status), time.perf_counter() - begin, changes, said)


@dataclass(frozen=True)
class _Stop:
    """When something happens to a command, and what; None kills it."""

    at_change: int | None
    file: str
    do: Callable[[], object] | None


def _work(
    arguments: tuple[str, ...],
    app: typer.Typer,
    stop: _Stop,
    files: tuple[Path, Path],
    before: Callable[[], object],
) -> None:
    code = 70
    try:
        folder = files[0].parent
        os.chdir(folder)
        os.environ["ANOMALYNCD_CACHE"] = str(folder / "cache")
        said = os.open(files[0], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        n_changes = 0

        def hook(event: str, details: tuple[Any, ...]) -> None:
            nonlocal n_changes
            if event not in WRITES:
                return
            if event == "open" and not (details[2] and details[2] & (os.O_WRONLY | os.O_RDWR)):
                return
            is_there = stop.file and next(Path.cwd().glob(f"*/{stop.file}"), None)
            if n_changes == stop.at_change or is_there:
                if stop.do is None:
                    os.kill(os.getpid(), 9)
                else:
                    n_changes += 1
                    stop.do()
            n_changes += 1

        before()
        sys.addaudithook(hook)
        try:
            typer.main.get_command(app)(args=list(arguments), prog_name="anomalyncd")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        files[1].write_text(str(n_changes))
    finally:
        os._exit(code)


def contents(folder: Path) -> dict[str, bytes]:
    """All visible files of a folder, but for what tells of the time."""
    return {
        path.relative_to(folder).as_posix(): _timeless(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in _TOLD_OF_TIME and not is_hidden(path, folder)
    }


def _timeless(path: Path) -> bytes:
    """The content of a file, without what tells of the time."""
    if path.suffix in (".tex", ".md"):
        return b""
    if path.suffix == ".json" and path.name != "model.json":
        return repr(_without_times(json.loads(path.read_text(encoding="utf-8")))).encode()
    if path.name == "results.csv":
        table = pd.read_csv(path)
        if "id" in table:  # The order in which a watch read the images.
            table = table.sort_values("id", ignore_index=True)
        return table[[one for one in table if not _tells_time(one)]].to_csv().encode()
    if path.suffix == ".sqlite":
        rows = []
        with closing(sqlite3.connect(path)) as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in names.fetchall():
                if name == "sqlite_sequence":
                    continue
                table = pd.read_sql_query(f"SELECT * FROM {name}", connection)
                if name == "log":  # Notes of the program do not matter.
                    said = table[~table["name"].isin(["corrected", "grown"])]
                    table = said.drop(columns="number").reset_index(drop=True)
                columns = [one for one in table if not _tells_time(one)]
                rows.append((name, table[columns].to_csv()))
        return repr(sorted(rows)).encode()
    return path.read_bytes()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(one) for key, one in value.items() if not _tells_time(key)}
    return [_without_times(one) for one in value] if isinstance(value, list) else value


def _tells_time(name: str) -> bool:
    return any(part in name for part in _TIMES)


def is_hidden(path: Path, folder: Path) -> bool:
    """Whether a file or a folder above it has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def torn(folder: Path) -> list[str]:
    """Visible files that are not whole, each with why."""
    bad = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or is_hidden(path, folder):
            continue
        try:
            _read(path)
        except Exception as error:
            bad.append(f"{path.relative_to(folder)}: {error!r}"[:200])
    if (folder / "run.json").is_file():
        try:
            read_run(folder)
        except Exception as error:
            bad.append(f"the run: {error!r}"[:200])
    return bad


def _read(path: Path) -> None:
    """Reads a file as a whole."""
    if path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".csv":
        if not path.read_bytes().endswith(b"\n"):
            raise ValueError("the last line has no end")
        pd.read_csv(path)
    elif path.suffix == ".npy":
        np.load(path)
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            for name in arrays:
                arrays[name]
    elif path.suffix == ".safetensors":
        load_file(path)
    elif path.suffix in (".png", ".jpg"):
        with Image.open(path) as image:
            image.load()
    elif path.suffix in (".sqlite", ".db"):
        with closing(sqlite3.connect(path)) as connection:
            said = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if said != "ok":
            raise ValueError(said)
    elif path.suffix == ".html" and "</html>" not in path.read_text(encoding="utf-8"):
        raise ValueError("no end")
