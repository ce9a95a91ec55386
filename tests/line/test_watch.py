"""A watched folder: each complete file once, broken ones with a reason, and no file lost."""

import csv
import errno
import http.client
import json
import multiprocessing
import os
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.line import sinks
from anomalyncd.line.arrivals import Arrivals
from anomalyncd.line.sinks import WebhookSink
from anomalyncd.line.verdict import Verdict
from anomalyncd.line.watch import Summary, Watch, WatchSettings
from anomalyncd.line.watch_state import Arrival, Finished, WatchState, only_watcher
from support.line import FakePredictor, picture, verdict_of, watch_until_killed

QUICK = WatchSettings(steady=0.05, poll=True, every=0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="") as table:
        return list(csv.DictReader(table))


def once(folder: Path, out: Path, settings: WatchSettings = QUICK) -> Summary:
    return Watch(folder, out, FakePredictor(), settings).run(once=True)


@contextmanager
def watching(folder: Path, out: Path, settings: WatchSettings) -> Iterator[list[Finished]]:
    """Watches in a thread, and yields the results as they come."""
    results: list[Finished] = []
    watch = Watch(folder, out, FakePredictor(), settings, results.append)
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        yield results
    finally:
        watch.stop()
        thread.join()


def wait_for(results: list[Finished], count: int, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while len(results) < count and time.monotonic() < end:
        time.sleep(0.01)
    assert len(results) == count


def test_each_file_is_read_once(folder: Path, out: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "1.png").write_bytes(picture(50))
    (folder / "2.png").write_bytes(picture(100))
    (folder / ".hidden.png").write_bytes(picture())
    (folder / "notes.txt").write_text("no image")
    assert once(folder, out) == Summary(n_ok=1, n_defective=1)
    assert once(folder, out) == Summary()
    (folder / "3.png").write_bytes(picture(50))
    assert once(folder, out) == Summary(n_ok=1)
    assert [one["path"] for one in rows(out)] == ["a/1.png", "2.png", "3.png"]
    assert [one["ok"] for one in rows(out)] == ["True", "False", "True"]


def test_file_that_is_replaced_is_new(folder: Path, out: Path) -> None:
    (folder / "1.png").write_bytes(picture(50))
    once(folder, out)
    (folder / "1.png").write_bytes(picture(100))
    os.utime(folder / "1.png", (1, 1))
    once(folder, out)
    assert [one["decision"] for one in rows(out)] == ["normal", "class"]


@pytest.mark.parametrize("poll", [False, True])
def test_files_that_are_being_written_are_waited_for(folder: Path, out: Path, poll: bool) -> None:
    data = picture(100, (400, 300), "BMP")
    settings = WatchSettings(steady=0.4, poll=poll, every=0.05)
    with watching(folder, out, settings) as results:
        with (folder / "1.bmp").open("wb") as slow:
            for start in range(0, len(data), len(data) // 8):
                slow.write(data[start : start + len(data) // 8])
                slow.flush()
                time.sleep(0.1)
            assert results == []
        wait_for(results, 1)
    assert results[0].verdict is not None
    assert results[0].verdict.decision == "class"


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_writer_that_pauses_is_waited_for(folder: Path, out: Path, kind: str) -> None:
    data = picture(100, (64, 64), kind)
    path = folder / f"1.{kind.lower()}"
    with watching(folder, out, WatchSettings(steady=0.1, poll=True, every=0.05)) as results:
        path.write_bytes(data[:-5] if kind == "JPEG" else data[:50])
        time.sleep(0.25)
        assert results == []
        path.write_bytes(data)
        wait_for(results, 1)
    assert results[0].verdict is not None


def test_events_tell_of_files_that_are_moved_in(folder: Path, out: Path, tmp_path: Path) -> None:
    with watching(folder, out, WatchSettings(steady=0.05)) as results:
        time.sleep(0.5)
        (folder / "new").mkdir()
        (tmp_path / "1.part").write_bytes(picture())
        (tmp_path / "1.part").rename(folder / "1.png")
        wait_for(results, 1)
        (folder / "new" / "2.png").write_bytes(picture())
        wait_for(results, 2)


def test_broken_files_have_a_reason_and_hold_up_nothing(folder: Path, out: Path) -> None:
    (folder / "1.png").write_bytes(b"")
    (folder / "2.png").write_bytes(b"no image" * 100)
    (folder / "3.png").write_bytes(picture()[:45])
    (folder / "4.png").write_bytes(picture(255))
    (folder / "5\n.png").write_bytes(picture())
    (folder / "6.png").write_bytes(picture(50))
    summary = once(folder, out)
    assert summary == Summary(n_ok=1, n_broken=5)
    assert summary.exit_code == 2
    reasons = [one["reason"] for one in rows(out)]
    assert len(reasons) == 6
    for text in ("is empty", "damaged", "cannot be read", "a fault of a library", "control"):
        assert any(text in reason for reason in reasons), text


def test_file_that_ends_the_program_is_given_up(folder: Path, out: Path) -> None:
    (folder / "1.png").write_bytes(picture())
    found = (folder / "1.png").stat()
    state = WatchState(out)
    for _ in range(5):
        state.start(Arrival("1.png", found.st_size, found.st_mtime_ns))
    state.close()
    assert once(folder, out) == Summary(n_broken=1)
    assert "ended 5 times" in rows(out)[0]["reason"]


class Faulty(FakePredictor):
    """Fails as a graphics card that is gone, from some image on."""

    n_good = 0

    def predict(self, image: bytes, name: str | None = None) -> Verdict:
        verdict = super().predict(image, name)
        if len(self.names) > self.n_good:
            raise RuntimeError("CUDA error")
        return verdict


@pytest.mark.parametrize(("n_files", "n_good"), [(1, 0), (2, 1), (6, 0), (6, 2)])
def test_files_are_read_again_after_a_failure_of_the_model(
    folder: Path, out: Path, n_files: int, n_good: int
) -> None:
    for name in range(n_files):
        (folder / f"{name}.png").write_bytes(picture(50))
    for _ in range(6):  # More often than one file may fail.
        predictor = Faulty()
        predictor.n_good = n_good if not out.exists() else 0
        with pytest.raises(InputError, match=r"CUDA error.*the model does not work any more"):
            Watch(folder, out, predictor, QUICK).run(once=True)
    assert once(folder, out) == Summary(n_ok=n_files - n_good)
    assert [row["reason"] for row in rows(out)] == [""] * n_files


def test_files_that_no_library_can_stand_hold_up_nothing(folder: Path, out: Path) -> None:
    for index in range(4):
        (folder / f"{index}.png").write_bytes(picture(255))
    (folder / "good.png").write_bytes(picture(50))
    predictor = FakePredictor()
    assert Watch(folder, out, predictor, QUICK).run(once=True) == Summary(n_ok=1, n_broken=4)
    assert [predictor.names.count(str(index)) for index in range(4)] == [5] * 4
    assert once(folder, out) == Summary()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_files_are_as_large_as_for_predict(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "1.bmp").write_bytes(picture(50, (12_000, 9_000), "BMP"))
    assert once(folder, out) == Summary(n_ok=1)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    (folder / "2.png").write_bytes(picture(50))
    assert once(folder, out) == Summary(n_broken=1)
    assert rows(out)[-1]["reason"] == "image '2' has too many pixels; cut it into tiles"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such name")
def test_name_that_is_no_text_is_passed_over(
    folder: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / os.fsdecode(b"Pr\xfcfung.png")).write_bytes(picture())
    with watching(folder, out, QUICK) as results:
        (folder / "1.png").write_bytes(picture(50))
        wait_for(results, 1)
        time.sleep(0.2)
    assert caplog.text.count("is passed over: its name is not in UTF-8; rename it") == 1
    summary = once(folder, out)
    assert summary == Summary(n_passed_over=1)
    assert summary.exit_code == 2
    assert "1 passed over" in str(summary)


def test_folder_that_cannot_be_listed_hides_no_other(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "lost+found", "z"):
        (folder / name).mkdir()
        (folder / name / "1.png").write_bytes(picture(50))
    scandir, number = os.scandir, errno.EACCES

    def failing(path: Any) -> Any:
        if Path(path).name == "lost+found":
            raise OSError(number, os.strerror(number), str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing)
        assert once(folder, out) == Summary(n_ok=2, n_passed_over=1)
        assert f"'{folder / 'lost+found'}' is passed over: Permission denied" in caplog.text
        number = errno.EIO
        with pytest.raises(InputError, match=r"lost\+found' cannot be listed"):
            once(folder, out)
    assert once(folder, out) == Summary(n_ok=1)


@pytest.mark.parametrize(("n_files", "interrupted"), [(1, False), (2, True)])
def test_watch_that_was_stopped_says_so(
    folder: Path, out: Path, n_files: int, interrupted: bool
) -> None:
    for index in range(n_files):
        (folder / f"{index}.png").write_bytes(picture(50))
    watch = Watch(folder, out, FakePredictor(), QUICK, lambda _: watch.stop())
    summary = watch.run(once=True)
    assert summary == Summary(n_ok=1, interrupted=interrupted)
    assert summary.exit_code == (130 if interrupted else 0)
    assert ("run the same command again" in str(summary)) is interrupted


def test_gate() -> None:
    assert Summary(n_ok=3).exit_code == 0
    assert Summary(n_ok=3, n_defective=1).exit_code == 1
    assert Summary(n_ok=3, n_defective=1, n_broken=1).exit_code == 2
    unjudged = Finished(1, Arrival("1", 1, 1), "", verdict_of("1", "class"), "")
    object.__setattr__(unjudged.verdict, "ok", None)
    assert Summary().counting(unjudged).exit_code == 1


def test_results_are_not_watched_and_one_watch_writes_them(folder: Path, out: Path) -> None:
    with pytest.raises(InputError, match="lies in the watched folder"):
        Watch(folder, folder / "out", FakePredictor())
    with watching(folder, out, QUICK) as results:
        (folder / "1.png").write_bytes(picture())
        wait_for(results, 1)
        with pytest.raises(InputError, match="used by another watch"):
            once(folder, out)
    assert once(folder, out) == Summary()


def test_images_to_look_at_are_copied(folder: Path, out: Path) -> None:
    for level in (50, 100, 150, 200):
        (folder / f"{level}.png").write_bytes(picture(level))
    once(folder, out)
    copies = {path.name[7:]: path.read_bytes() for path in (out / "review").iterdir()}
    assert copies == {"150.png": picture(150), "200.png": picture(200)}


def test_folder_gets_image_picture_and_verdict(folder: Path, out: Path, tmp_path: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "1.png").write_bytes(picture(100))
    (folder / "2.png").write_bytes(b"")
    once(folder, out, WatchSettings(steady=0.05, folder=tmp_path / "sorted"))
    (found,) = (tmp_path / "sorted" / "scratch").glob("*_a_1.png")
    assert found.read_bytes() == picture(100)
    assert found.with_name(found.stem + ".regions.png").stat().st_size > 0
    stored = json.loads(found.with_suffix(".json").read_text())
    assert stored["verdict"]["decision"] == "class"
    assert stored["path"] == "a/1.png"
    (broken,) = (tmp_path / "sorted" / "broken").glob("*.json")
    assert json.loads(broken.read_text())["verdict"] is None


def test_watches_share_a_folder_and_long_names_fit(
    folder: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    settings = WatchSettings(steady=0.05, folder=Path("~/sorted"))
    long = "検" * 70
    for level, line in ((50, "a"), (100, "b")):
        (tmp_path / line / long).mkdir(parents=True)
        (tmp_path / line / long / f"{long}.png").write_bytes(picture(level))
        for results in ("x", "y"):
            watched = once(tmp_path / line, tmp_path / results / line, settings)
            assert watched.n_undelivered == 0
    found = [path.parent.name for path in (tmp_path / "sorted").rglob("00*検.png")]
    assert found == ["scratch"] * 4


def test_row_that_was_cut_is_written_again_and_no_row_twice(folder: Path, out: Path) -> None:
    for name in "12":
        (folder / f"{name}.png").write_bytes(picture())
    once(folder, out)
    whole = (out / "results.csv").read_text()
    cut = whole[:-9]
    (out / "results.csv").write_text(cut)
    with sqlite3.connect(out / "results.sqlite") as connection:
        connection.execute("INSERT INTO deliveries (file, sink) VALUES (1, 'csv'), (2, 'csv')")
    once(folder, out)
    assert (out / "results.csv").read_text() == whole


class Hook:
    """A program that gets results, and fails at first."""

    def __init__(self, statuses: list[int]) -> None:
        self.got: list[tuple[dict[str, Any], dict[str, str]]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status = statuses.pop(0) if statuses else 200
                if status == 200:
                    hook.got.append((body, dict(self.headers)))
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/results"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_webhook_is_tried_until_it_answers(folder: Path, out: Path) -> None:
    hook = Hook([500, 503])
    for name in "123":
        (folder / f"{name}.png").write_bytes(picture())
    settings = WatchSettings(steady=0.05, webhook=hook.address, webhook_token="secret")
    assert once(folder, out, settings) == Summary(n_defective=3)
    assert sorted(body["path"] for body, _ in hook.got) == ["1.png", "2.png", "3.png"]
    headers = [headers for _, headers in hook.got]
    assert {one["Authorization"] for one in headers} == {"Bearer secret"}
    assert len({one["Idempotency-Key"] for one in headers}) == 3
    hook.server.shutdown()
    hook.server.server_close()


def test_webhook_that_redirects_is_not_followed(
    folder: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hook = Hook([302])
    (folder / "1.png").write_bytes(picture())
    settings = WatchSettings(steady=0.05, webhook=hook.address, webhook_token="secret")
    assert once(folder, out, settings) == Summary(n_defective=1)
    assert [body["path"] for body, _ in hook.got] == ["1.png"]
    assert f"redirects to '{hook.address.replace('results', 'elsewhere')}'" in caplog.text
    hook.server.shutdown()
    hook.server.server_close()


@pytest.mark.parametrize("error", [http.client.BadStatusLine("what"), KeyError("a fault")])
def test_deliveries_go_on_after_an_answer_that_makes_no_sense(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for name in "12":
        (folder / f"{name}.png").write_bytes(picture())
    errors, sent = [error], []

    def send(request: Any, timeout: float) -> None:
        if errors:
            raise errors.pop()
        sent.append(request)

    monkeypatch.setattr(
        "anomalyncd.line.watch.WebhookSink", lambda *of: WebhookSink(*of, send=send)
    )
    settings = WatchSettings(steady=0.05, webhook="http://127.0.0.1:9/")
    assert once(folder, out, settings).n_undelivered == 0
    assert len(sent) == 2


def test_deliveries_go_on_after_a_failure_of_the_database(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, due = Hook([]), WatchState.due
    failures = [InputError("results.sqlite cannot be used")]

    def failing(self: WatchState, sink: str, most: int = 100) -> list[Finished]:
        if sink == "webhook" and failures:
            raise failures.pop()
        return due(self, sink, most)

    monkeypatch.setattr(WatchState, "due", failing)
    settings = WatchSettings(steady=0.05, poll=True, every=0.05, webhook=hook.address)
    with watching(folder, out, settings) as results:
        (folder / "1.png").write_bytes(picture())
        wait_for(results, 1)
        time.sleep(0.8)
        assert not failures
        assert len(hook.got) == 1
    hook.server.shutdown()
    hook.server.server_close()


def test_webhook_that_is_gone_holds_up_nothing(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomalyncd.line.delivery._LAST_SECONDS", 0.1)
    (folder / "1.png").write_bytes(picture())
    settings = WatchSettings(steady=0.05, webhook="http://127.0.0.1:9/")
    assert once(folder, out, settings) == Summary(n_defective=1, n_undelivered=1)
    assert len(rows(out)) == 1
    with pytest.raises(InputError, match="no address"):
        WebhookSink("file:///etc/passwd")


def test_a_delivery_does_not_wait_for_a_clock_that_was_set_back(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = WatchState(out)
    number, _ = state.start(Arrival("1.png", 1, 1))
    state.finish(number, None, "broken", ["webhook"])
    now = time.time()
    state.failed(number, "webhook", "refused")
    assert not state.due("webhook")
    monkeypatch.setattr(time, "time", lambda: now - 24 * 3600)
    assert [one.id for one in state.due("webhook")] == [number]
    state.close()


def test_webhook_waits_longer_and_longer(out: Path) -> None:
    state = WatchState(out)
    number, _ = state.start(Arrival("1.png", 1, 1))
    state.finish(number, None, "broken", ["webhook"])
    waits = [state.failed(number, "webhook", "refused") for _ in range(12)]
    state.close()
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == 300


def test_lost_folder_is_waited_for(folder: Path) -> None:
    clock = iter(range(100))
    arrivals = Arrivals(folder, 1.0, (), lambda: float(next(clock)))
    (folder / "1.png").write_bytes(picture())
    assert arrivals.scan()
    folder.rename(folder.with_name("away"))
    assert not arrivals.scan()
    arrivals.ready()
    folder.with_name("away").rename(folder)
    assert [one.path for one in arrivals.ready()] == ["1.png"]
    (folder / "1.png").unlink()
    assert arrivals.ready() == []


def test_a_watch_that_ends_does_not_wait_for_a_folder_that_is_gone(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "1.png").write_bytes(picture())
    away = folder.with_name("away")

    def predict(self: FakePredictor, data: bytes, name: str) -> Verdict:
        folder.rename(away)
        return verdict_of(name, "normal")

    (folder / "2.png").write_bytes(picture())
    with monkeypatch.context() as patch:
        patch.setattr(FakePredictor, "predict", predict)
        with pytest.raises(InputError, match=r"in' cannot be listed; .*its drive, then run"):
            once(folder, out)
    away.rename(folder)
    once(folder, out)
    assert sorted(row["path"] for row in rows(out)) == ["1.png", "2.png"]


@pytest.mark.parametrize("number", [errno.ETIMEDOUT, errno.ESTALE, errno.EIO])
def test_file_of_a_drive_that_does_not_answer_is_read_later(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    for name in ("1.png", "2.png"):
        (folder / name).write_bytes(picture())
    read = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path.name == "1.png":
            raise OSError(number, os.strerror(number), str(path))
        return read(path)

    settings = WatchSettings(steady=0.0, poll=True, every=0.05)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        with pytest.raises(InputError, match=r"1.png' cannot be read .*its drive, then run"):
            once(folder, out, settings)
        assert [row["path"] for row in rows(out)] == ["2.png"]
        with watching(folder, out, settings) as results:
            time.sleep(0.3)
            patch.undo()
            wait_for(results, 1)
    assert [row["path"] for row in rows(out)] == ["2.png", "1.png"]
    assert all(row["reason"] == "" for row in rows(out))


def test_file_is_not_gone_because_its_drive_does_not_answer(
    folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "1.png").write_bytes(picture())
    stat = Path.stat

    def failing(path: Path, **options: bool) -> os.stat_result:
        if path.name == "1.png":
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))
        return stat(path, **options)

    found = folder.stat()
    finished = Finished(1, Arrival("1.png", found.st_size, found.st_mtime_ns), "", None, "")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", failing)
        with pytest.raises(InputError, match=r"in' cannot be listed; .*its drive, then run"):
            once(folder, out)
        with pytest.raises(OSError, match="Stale"):
            finished.source(folder)
    once(folder, out)
    assert [row["path"] for row in rows(out)] == ["1.png"]


def test_results_that_are_gone_end_the_watch(folder: Path, out: Path) -> None:
    (folder / "1.png").write_bytes(picture())
    once(folder, out)
    state = WatchState(out)
    out.rename(out.with_name("away"))
    with pytest.raises(InputError, match=r"results.sqlite' cannot be used .*moved or deleted"):
        state.start(Arrival("2.png", 1, 1))
    state.close()
    alone = only_watcher(out)
    alone.__enter__()
    out.rename(out.with_name("once more away"))
    with pytest.raises(InputError, match=r"out' cannot be used .*moved or deleted"):
        alone.__exit__(None, None, None)


def test_cells_are_no_formulas() -> None:
    finished = Finished(1, Arrival("=1+1.png", 1, 1), "", None, "two\nlines")
    cells = sinks._cells(finished)
    assert not cells[1].startswith("=")
    assert cells[-1] == "two lines"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot fork quickly")
def test_no_file_is_lost_or_read_twice_when_the_watch_is_killed(
    folder: Path, out: Path, tmp_path: Path
) -> None:
    rng = random.Random(0)
    n_files, n_kills = 200, 12
    settings = WatchSettings(steady=0.02, poll=True, every=0.05, folder=tmp_path / "sorted")
    names = [f"{number:03d}.png" for number in range(n_files)]
    # A process that computed with several threads must not be forked; this server has not.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["anomalyncd.line.watch", "support.line"])
    warm = context.Process(target=time.sleep, args=(0,))
    warm.start()
    warm.join()
    for kill in range(n_kills):
        process = context.Process(target=watch_until_killed, args=(folder, out, settings))
        process.start()
        for name in names[kill::n_kills]:
            (folder / name).write_bytes(picture(rng.choice([50, 100, 150])))
        # On a busy machine the first one takes long to start; it is killed at its work.
        late = time.monotonic() + 30
        while not (out / "results.csv").is_file() and time.monotonic() < late:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.3, 1.0))
        process.kill()
        process.join()
    before = len(rows(out))
    summary = once(folder, out, settings)
    found = rows(out)
    assert 0 < before < n_files
    assert summary.n_broken == summary.n_undelivered == 0
    assert sorted(one["path"] for one in found) == names
    assert len({one["id"] for one in found}) == n_files
    with sqlite3.connect(out / "results.sqlite") as connection:
        stored = connection.execute("SELECT path FROM files WHERE state = 'done'").fetchall()
    assert sorted(path for (path,) in stored) == names
    copies = [path for path in (tmp_path / "sorted").rglob("*.json") if path.name[0] != "."]
    assert len(copies) == n_files
