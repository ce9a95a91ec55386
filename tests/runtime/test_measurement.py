"""Time and memory of stages, the log of a run, and what these modules import."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from anomalyncd.errors import InputError
from anomalyncd.runtime.logs import LOG, logged_to
from anomalyncd.runtime.measurement import Stages


def test_a_stage_is_measured_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    times = iter([10.0, 12.5, 20.0, 20.001])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    stages = Stages()
    with caplog.at_level(logging.INFO):
        for name in ("regions", "nothing to do"):
            with stages(name):
                pass
    assert stages.seconds == {"regions": 2.5}
    assert list(stages.peak_memory_mb) == ["regions"]
    assert caplog.messages == ["regions: 2.5 s"]


def test_the_log_contains_lines_and_failures_but_no_input_errors(tmp_path: Path) -> None:
    path = tmp_path / "run" / "log.txt"
    with pytest.raises(InputError), logged_to(path):
        raise InputError("an invalid argument")
    assert not path.exists()
    with pytest.raises(RuntimeError), logged_to(path):  # noqa: PT012
        LOG.info("one line")
        raise RuntimeError("no memory")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "INFO one line",
        "ERROR stopped: RuntimeError no memory",
    ]
    path.unlink()
    LOG.warning("after the run")
    assert not path.exists()


@pytest.mark.parametrize(
    "module", ["runtime.progress", "runtime.logs", "io.files", "io.writing", "errors"]
)
def test_light_modules_do_not_import_heavy_libraries(module: str) -> None:
    heavy = ("torch", "pandas", "numpy", "cv2", "PIL")
    script = f"import sys, anomalyncd.{module}; print(sorted(set(sys.modules) & set({heavy})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
