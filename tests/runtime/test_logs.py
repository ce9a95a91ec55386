"""What a command prints of the log: plain lines, and warnings that are named as such."""

import logging

import pytest

from anomalyncd.runtime.logs import LOG, printed_log
from anomalyncd.runtime.measurement import Stages
from anomalyncd.runtime.wording import counted


def test_lines_are_printed_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with printed_log(lambda line: line.replace("`maps`", "--maps")):
        with Stages()("score_range") as done:
            done.append("45 images")
        LOG.info("maps: %d [bold]images[/bold]", 3)
        LOG.warning("give `maps`")
        LOG.error("stopped: the command prints this itself")
    LOG.info("after the command")
    printed = capsys.readouterr()
    assert printed.err == "maps: 3 [bold]images[/bold]\nWarning: give --maps\n"
    assert printed.out == ""


def test_a_stage_says_what_it_worked_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    times = iter([0.0, 12.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    with caplog.at_level(logging.INFO), Stages()("normal_maps") as done:
        done.append("45 images")
    assert caplog.messages == ["normal maps: 45 images, 12.0 s"]


def test_warnings_are_yellow_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with printed_log(str):
        LOG.warning("look")
    assert capsys.readouterr().err == "\x1b[33mWarning: look\x1b[0m\n"


def test_numbers_have_their_nouns() -> None:
    assert [counted(n, "image") for n in (0, 1, 1200)] == ["0 images", "1 image", "1,200 images"]
    assert [counted(n, "class") for n in (1, 2)] == ["1 class", "2 classes"]
    assert [counted(n, "box") for n in (1, 2)] == ["1 box", "2 boxes"]
    assert [counted(n, "image is", "images are") for n in (1, 2)] == ["1 image is", "2 images are"]
