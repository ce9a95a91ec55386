"""Hostile input for every reader: mutated files and requests, and what they do that they must not.

A finding is an error that is not one clear sentence (`InputError`, or an answer below 500), an
input that takes more than ten seconds or two gigabytes, or a file written outside the folder. Each
kind of finding is written once, with its input, into the folder `--out`. With atheris the mutations
follow the branches that they reach; without it they are only random.

    python benchmarks/fuzz.py image [--minutes 5] [--out runs/fuzz] [--seed 0]
"""

import argparse
import json
import os
import random
import re
import resource
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import ModuleType

sys.path.append(str(Path(__file__).parents[1] / "tests"))

atheris: ModuleType | None
try:
    import atheris
except ImportError:
    atheris = None

MOST_SECONDS, MOST_BYTES, ADDRESSES = 10.0, 2_000_000_000, 12_000_000_000
HOSTILE = (
    *(b"0", b"-1", b"1", b"2", b"65536", b"2147483648", b"9223372036854775808", b"1" + b"0" * 400),
    *(b"1e308", b"-1e308", b"1e999", b"NaN", b"Infinity", b"0.5", b"1e9", b"100000", b"5" * 5000),
    *(b"null", b"true", b"[]", b"{}", b'""', b'"a"', b'"\\ud800"', b'"\\u0000"', b'"\\u202e"'),
    *(b'"../../../etc/passwd"', b"../x", b"/etc/passwd", b"=cmd|' /C calc'!A0", b"[" * 3000),
    *(b'{"a":1}', b"[1,2]", b"[null]", b'{"float":"inf"}', b"", b'"', b"\n", b",", b"\xff", b"\0"),
)
"""What takes the place of a word, a number or a text within a file of text."""
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+\w.]+|\[[^\[\]]*\]|\{[^{}]*\}')
_PNG = b"\x89PNG\r\n\x1a\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    # What is larger raises MemoryError, and does not bring the machine to a halt.
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    if atheris is None:
        from fuzz_targets import TARGETS
    else:
        os.environ["NUMBA_DISABLE_JIT"] = "1"  # It does not compile what atheris has changed.
        with atheris.instrument_imports(include=["anomalyncd"]):
            from fuzz_targets import TARGETS
    with tempfile.TemporaryDirectory() as temporary:
        target = TARGETS[options.target](Path(temporary) / "made")
        run = Run(target.read, Path(temporary) / "outer" / "place", options)
        if atheris is None:
            run.at_random(target.seeds)
        else:
            run.guided(target.seeds, Path(temporary) / "corpus")


class Run:
    """Gives inputs to a reader, and notes what it does with them."""

    def __init__(
        self, read: Callable[[str, bytes, Path], None], place: Path, options: argparse.Namespace
    ) -> None:
        self.read, self.place, self.options = read, place, options
        self.folder: Path = options.out / options.target
        self.folder.mkdir(parents=True, exist_ok=True)
        self.found: dict[str, int] = {}
        self.inputs, self.started = 0, time.monotonic()
        self.end = self.started + 60 * options.minutes
        self.peak = _peak()

    def at_random(self, seeds: list[bytes]) -> None:
        """Mutates the seeds until the time is over."""
        generator = random.Random(self.options.seed)
        pool = list(seeds)
        while time.monotonic() < self.end:
            self.one(mutated(generator.choice(pool), generator))
        self.report()

    def guided(self, seeds: list[bytes], corpus: Path) -> None:
        """Lets atheris choose what is mutated; it ends the process."""
        assert atheris is not None
        corpus.mkdir()
        for number, seed in enumerate(seeds):
            (corpus / str(number)).write_bytes(seed)
        seconds = max(1, int(self.end - time.monotonic()))

        def mutate(data: bytes, most: int, seed: int) -> bytes:
            return mutated(data, random.Random(seed))[:most]

        flags = [f"-max_total_time={seconds}", "-max_len=100000", "-rss_limit_mb=8000"]
        flags += ["-timeout=120", f"-seed={self.options.seed + 1}", "-verbosity=0"]
        flags += [f"-artifact_prefix={self.folder}/", str(corpus)]
        atheris.Setup([sys.argv[0], *flags], self.one, custom_mutator=mutate)
        # The process ends within libFuzzer, so the last word is written as it goes.
        atheris.Fuzz()

    def one(self, data: bytes) -> None:
        """Reads one input: the name of a file in its first line, and the content."""
        name, _, content = data.partition(b"\n")
        self.inputs += 1
        started = time.monotonic()
        self.place.mkdir(parents=True, exist_ok=True)
        try:
            self.read(name.decode("latin-1"), content, self.place)
        except Exception as error:
            self.note(data, _where(error), traceback.format_exc(limit=-12))
        if time.monotonic() - started > MOST_SECONDS:
            self.note(data, "slow", f"{time.monotonic() - started:.1f} s")
        risen, self.peak = _peak() - self.peak, _peak()
        if risen > MOST_BYTES:
            self.note(data, "memory", f"{risen:,} bytes more")
        if {one.name for one in self.place.parent.iterdir()} != {self.place.name}:
            self.note(data, "outside", "a file was written outside the folder")
        if self.inputs % 500 == 0:
            self.report()

    def note(self, data: bytes, kind: str, text: str) -> None:
        """Writes a finding, once for each kind."""
        self.found[kind] = self.found.get(kind, 0) + 1
        if self.found[kind] == 1:
            stem = re.sub(r"\W+", "-", kind)[:120]
            (self.folder / f"{stem}.bin").write_bytes(data)
            (self.folder / f"{stem}.txt").write_text(f"{kind}\n{text}", encoding="utf-8")
            self.report()

    def report(self) -> None:
        """Writes how many inputs were read and what was found."""
        record = {
            "target": self.options.target,
            "inputs": self.inputs,
            "seconds": round(time.monotonic() - self.started),
            "found": self.found,
        }
        (self.folder / "report.json").write_text(json.dumps(record, indent=1), encoding="utf-8")


def mutated(data: bytes, generator: random.Random) -> bytes:
    """Changes the content behind the first line, in a way that its format may survive."""
    name, _, content = data.partition(b"\n")
    for _ in range(generator.choice((1, 1, 1, 2, 3, 6))):
        content = _change(content, generator)
    return name + b"\n" + content


def _change(content: bytes, generator: random.Random) -> bytes:
    if content.startswith(b"PK") and generator.random() < 0.9:
        return _in_archive(content, generator)
    if content.startswith(_PNG):
        return _with_checksums(_bytes(content, generator))
    binary = content.translate(None, bytes(range(32, 127)) + b"\n\r\t")
    is_text = len(binary) <= len(content) // 20
    if (is_text and generator.random() < 0.85) or generator.random() < 0.2:
        tokens = list(_TOKEN.finditer(content[:60_000]))
        if tokens:
            token = generator.choice(tokens)
            new = generator.choice(HOSTILE)
            if generator.random() < 0.25:
                new = generator.choice(tokens)[0]
            if generator.random() < 0.15:
                new = token[0] + b", " + token[0]
            return content[: token.start()] + new + content[token.end() :]
    return _bytes(content, generator)


def _bytes(content: bytes, generator: random.Random) -> bytes:
    if atheris is not None and generator.random() < 0.5:
        changed: bytes = atheris.Mutate(content, len(content) + 64)
        return changed
    data = bytearray(content or b"\0")
    at = generator.randrange(len(data))
    if generator.random() < 0.6:  # The headers of binary files are at their beginning.
        at = generator.randrange(min(len(data), 128))
    kind = generator.randrange(4)
    if kind == 0:
        data[at] = generator.choice((0, 1, 127, 128, 255, generator.randrange(256)))
    elif kind == 1:
        data[at : at + 4] = generator.choice((b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\1\0\0"))
    elif kind == 2:
        del data[at : at + generator.randrange(1, 40)]
    else:
        data[at:at] = data[at : at + generator.randrange(1, 40)]
    return bytes(data)


def _in_archive(content: bytes, generator: random.Random) -> bytes:
    """Changes one file within a ZIP archive."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = {one: archive.read(one) for one in archive.namelist()}
    except Exception:
        return _bytes(content, generator)
    if not members:
        return _bytes(content, generator)
    chosen = generator.choice(list(members))
    members[chosen] = _bytes(members[chosen], generator)
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def _with_checksums(content: bytes) -> bytes:
    """A PNG file with the checksums that its chunks should have."""
    out, at = bytearray(content[:8]), 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        body = content[at + 4 : at + 8 + length]
        out += content[at : at + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        at += length + 12
    return bytes(out + content[at:])


def _where(error: BaseException) -> str:
    """The type of an error and the line of the library that it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if f"{os.sep}anomalyncd{os.sep}" in one.filename]
    last = (own or frames)[-1]
    return f"{type(error).__name__} {Path(last.filename).stem} {last.name} {last.line}"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
