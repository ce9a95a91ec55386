"""Where the results of a watched folder go: a table, folders of pictures, another program."""

import csv
import errno
import hashlib
import http.client
import io
import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn, Protocol

from PIL import Image

from anomalyncd.errors import InputError
from anomalyncd.images.pixels import read_image
from anomalyncd.io.tables import guarded
from anomalyncd.io.writing import write_atomically
from anomalyncd.line.drawing import draw_regions
from anomalyncd.line.watch_state import Finished

COLUMNS = (
    *("id", "path", "finished", "ok", "decision", "class_name", "severity", "score"),
    *("confidence", "n_regions", "reason"),
)
"""Columns of `results.csv`."""
_SECONDS = 10.0
"""How long another program may take to answer."""
_LONGEST_NAME = 200
"""Bytes of the part of a name that comes from elsewhere; file systems allow 255 for all of it."""


class Sink(Protocol):
    """Gets each result; the same result again does no harm."""

    @property
    def name(self) -> str:
        """What the database calls it."""
        ...

    def wants(self, finished: Finished) -> bool:
        """Returns whether it has to get a result."""
        ...

    def deliver(self, finished: Finished) -> None:
        """Takes a result.

        Raises:
            OSError, InputError: It cannot take it now.
        """
        ...

    def close(self) -> None:
        """Ends a connection, where it has one."""
        return None


@dataclass
class CsvSink(Sink):
    """Appends a row to a table, once for each result."""

    path: Path
    name: str = "csv"
    _written: set[int] | None = field(default=None, init=False)
    """Ids of the rows of the table, read once, since a row may have been written just before a
    process was killed."""

    def wants(self, finished: Finished) -> bool:
        """Every result has a row."""
        return True

    def deliver(self, finished: Finished) -> None:
        """Appends the row in one piece, and waits until it is on the disk."""
        if self._written is None or not self.path.exists():
            self._written = self._repaired()
        if finished.id in self._written:
            return
        line = _line(_cells(finished)).encode("utf-8", "replace")
        # After a failure nobody knows whether the row is there, so the table is read again.
        written, self._written = self._written, None
        with self.path.open("ab", buffering=0) as table:
            if table.write(line) != len(line):  # The rest does not fit on the disk.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(table.fileno())
        written.add(finished.id)
        self._written = written

    def _repaired(self) -> set[int]:
        """Cuts off a row that was not written to its end, and returns the ids of all others."""
        header = _line(COLUMNS).encode()
        content = self.path.read_bytes() if self.path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if not whole:
            with write_atomically(self.path) as temporary:
                temporary.write_bytes(header)
            return set()
        if whole != content:
            os.truncate(self.path, len(whole))
        return {int(found) for found in re.findall(rb"(?m)^(\d+),", whole)}


@dataclass(frozen=True)
class ReviewSink(Sink):
    """Copies the images that a person should look at: unseen and unsure ones."""

    watched: Path
    folder: Path
    name: str = "review"

    def wants(self, finished: Finished) -> bool:
        """Only a verdict that is unseen or unsure is one to look at."""
        verdict = finished.verdict
        return verdict is not None and verdict.decision in ("unseen", "unsure")

    def deliver(self, finished: Finished) -> None:
        """Copies the image, if it is still there."""
        source = finished.source(self.watched)
        if source is not None:
            _copy(source, self.folder / _unique_name(finished))


@dataclass(frozen=True)
class FolderSink(Sink):
    """Stores each image, the picture with its regions, and its verdict, in folders of classes.

    Several watches may share a folder: a digest in each name tells their files apart.
    """

    watched: Path
    folder: Path
    name: str = "folder"

    def wants(self, finished: Finished) -> bool:
        """Broken files are stored as well."""
        return True

    def deliver(self, finished: Finished) -> None:
        """Writes the files under names that no other result has."""
        verdict = finished.verdict
        place = "broken" if verdict is None else _file_name(verdict.class_name or "normal")
        target = self.folder / place / _unique_name(finished, _digest(finished, self.watched))
        source = finished.source(self.watched)
        if source is not None:
            _copy(source, target)
            if verdict is not None:
                picture = draw_regions(read_image(source), verdict)
                with write_atomically(_beside(target, ".regions.png")) as temporary:
                    Image.fromarray(picture).save(temporary)
        with write_atomically(_beside(target, ".json")) as temporary:
            temporary.write_text(json.dumps(finished.to_dict(), ensure_ascii=False), "utf-8")


@dataclass(frozen=True)
class WebhookSink(Sink):
    """Sends each result to an address as JSON.

    The header `Idempotency-Key` is the same for each attempt to send a result, because an answer
    may be lost after the result has arrived. A redirect is not followed: the request would arrive
    without its content, and the token would be sent to another address.

    Raises:
        InputError: The address is none of http or https.
    """

    address: str
    token: str | None = None
    name: str = "webhook"
    send: Callable[..., object] = field(
        default_factory=lambda: urllib.request.build_opener(_RefuseRedirects).open
    )

    def __post_init__(self) -> None:
        if not re.match(r"https?://[^/\s]", self.address):
            raise InputError(f"webhook '{self.address}' is no address; start it with http://")

    def wants(self, finished: Finished) -> bool:
        """Every result is sent."""
        return True

    def deliver(self, finished: Finished) -> None:
        """Sends one result and waits for the answer."""
        key = f"{finished.id}-{finished.finished}"
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        body = json.dumps(finished.to_dict(), ensure_ascii=False).encode("utf-8", "replace")
        request = urllib.request.Request(self.address, body, headers, method="POST")
        try:
            answer = self.send(request, timeout=_SECONDS)
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        except (ValueError, urllib.error.URLError) as error:
            raise OSError(str(error)) from error
        except http.client.HTTPException as error:  # Its text may be a mere line of the answer.
            raise OSError(f"{type(error).__name__}: {error}") from error


class _RefuseRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for a failure, which names the address to use."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> NoReturn:
        fp.close()
        raise OSError(f"the address redirects to '{newurl}'; give that one as the webhook")


def _cells(finished: Finished) -> list[str]:
    verdict = finished.verdict
    cells: list[object] = [finished.id, finished.path, finished.finished]
    if verdict is None:
        cells += [""] * 7
    else:
        confidence = "" if verdict.confidence is None else f"{verdict.confidence:.4f}"
        cells += ["" if verdict.ok is None else verdict.ok, verdict.decision, verdict.class_name]
        cells += [verdict.severity, f"{verdict.score:.4f}", confidence, len(verdict.regions)]
    cells.append(finished.reason)
    # A line break within a cell would look like the end of a row that was cut.
    return [guarded(" ".join(str(cell).splitlines())) for cell in cells]


def _line(cells: tuple[str, ...] | list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _unique_name(finished: Finished, further: str = "") -> str:
    path = PurePosixPath(finished.path)
    name = _file_name("_".join(path.with_suffix("").parts))
    return f"{finished.id:06d}{further}_{name}{path.suffix}"


def _digest(finished: Finished, watched: Path) -> str:
    """A few letters that are the same each time that a result is delivered, and no others'."""
    file = finished.arrival
    identity = (str(watched / file.path), file.size, file.mtime_ns, finished.finished)
    return "-" + hashlib.sha256(repr(identity).encode()).hexdigest()[:8]


def _file_name(text: str) -> str:
    """A text as the name of a file on every system."""
    allowed = re.sub(r'[<>:"/\\|?*\x00-\x1f\ud800-\udfff]', "_", text)[:100]
    return allowed.encode()[:_LONGEST_NAME].decode("utf-8", "ignore").strip(". ") or "_"


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.stem + ending)


def _copy(source: Path, target: Path) -> None:
    with write_atomically(target) as temporary:
        shutil.copyfile(source, temporary)
