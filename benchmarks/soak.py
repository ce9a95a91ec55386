"""Whether a server and a watched folder stay as they are under load: memory, files and threads.

Starts `anomalyncd serve` and `anomalyncd watch` on the model of a finished run, sends the images of
a folder to both, one every few seconds, and notes once a minute the memory, the open files and the
threads of each. Prints a line a minute and writes all of them as JSON, with how much each rose from
the second tenth of the time to the last.

    python benchmarks/soak.py RUN IMAGES [--minutes 60] [--every 4] [--out runs/soak.json]
"""

import argparse
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import numpy as np

KINDS = ("serve", "watch")
QUANTITIES = ("memory_mb", "files", "threads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=float, default=4, help="seconds between two images")
    parser.add_argument("--out", type=Path, default=Path("runs/soak.json"))
    options = parser.parse_args()
    images = sorted(options.images.rglob("*.png"))
    with tempfile.TemporaryDirectory() as temporary:
        record = soak(options, images, Path(temporary))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1), encoding="utf-8")
    print(json.dumps({name: value for name, value in record.items() if name != "samples"}))


def soak(options: argparse.Namespace, images: list[Path], work: Path) -> dict[str, object]:
    """Runs both, and returns what was noted."""
    inbox = work / "inbox"
    inbox.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        start("serve", options.run, "--port", str(port), log=work / "serve.log"),
        start("watch", inbox, options.run, "--out", work / "watched", log=work / "watch.log"),
    ]
    answers: dict[str, int] = {}
    samples: list[dict[str, float]] = []
    n_sent = 0
    try:
        wait_for(port)
        begin = time.monotonic()
        for image in itertools.cycle(images):
            now = time.monotonic() - begin
            if now > 60 * len(samples):
                samples.append({"minute": len(samples)} | measured(started))
                print(json.dumps(samples[-1] | {"sent": n_sent, "answers": answers}), flush=True)
            if now > 60 * options.minutes:
                break
            answer = ask(port, image)
            answers[answer] = answers.get(answer, 0) + 1
            # Renamed, as a line that does it well.
            shutil.copyfile(image, inbox / "copy.part")
            (inbox / "copy.part").rename(inbox / f"{n_sent:06}.png")
            n_sent += 1
            time.sleep(max(0.0, n_sent * options.every - (time.monotonic() - begin)))
        time.sleep(30)
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(60) for process in started]
    rows = (work / "watched" / "results.csv").read_text(encoding="utf-8").splitlines()
    return {
        "minutes": options.minutes,
        "n_sent": n_sent,
        "answers": answers,
        "n_watched": len(rows) - 1,
        "exit_codes": dict(zip(KINDS, codes, strict=True)),
        "rises": rises(samples),
        "samples": samples,
    }


def start(*arguments: str | Path, log: Path) -> subprocess.Popen[bytes]:
    """Starts a command of the product."""
    code = "from anomalyncd.cli.main import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = os.environ | {"ANOMALYNCD_TOKEN": ""}
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, env=environment)


def wait_for(port: int) -> None:
    """Waits until the server predicts."""
    for _ in range(600):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5)
            return
        time.sleep(0.5)
    raise SystemExit("the server did not start")


def ask(port: int, image: Path) -> str:
    """Sends an image, and returns the status of the answer, or what prevented it."""
    boundary = uuid.uuid4().hex
    head = (
        f'--{boundary}\r\ncontent-disposition: form-data; name="images"; filename="{image.name}"'
        "\r\ncontent-type: image/png\r\n\r\n"
    )
    body = head.encode() + image.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/images:classify",
        body,
        {"content-type": f"multipart/form-data; boundary={boundary}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            answer.read()
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError as error:
        return type(error).__name__


def measured(processes: list[subprocess.Popen[bytes]]) -> dict[str, float]:
    """Memory in megabytes, open files and threads of each process, from /proc."""
    found = {}
    for kind, process in zip(KINDS, processes, strict=True):
        proc = Path("/proc", str(process.pid))
        status = dict(
            line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line
        )
        found[f"{kind}_memory_mb"] = int(status["VmRSS"].split()[0]) / 1000
        found[f"{kind}_files"] = len(list((proc / "fd").iterdir()))
        found[f"{kind}_threads"] = int(status["Threads"])
    return found


def rises(samples: list[dict[str, float]]) -> dict[str, float]:
    """Median of the last tenth minus median of the second tenth; the first is the start."""
    tenth = max(1, len(samples) // 10)
    early, late = samples[tenth : 2 * tenth], samples[-tenth:]
    risen = {}
    for name in (f"{kind}_{quantity}" for kind in KINDS for quantity in QUANTITIES):
        before, after = (np.median([one[name] for one in some]) for some in (early, late))
        risen[name] = float(after - before)
    return risen


if __name__ == "__main__":
    main()
