"""Memory and disk space that are free now, as far as the system tells."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROCESSES = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")


def free_disk_gb(folder: Path) -> float | None:
    """Returns the free space of the disk of an existing folder, None where it is not known."""
    with suppress(OSError):
        return shutil.disk_usage(folder).free / 1e9
    return None


def used_disk_gb(folder: Path) -> float:
    """Returns how much the files of a folder take, 0 where there is no folder."""
    with suppress(OSError):
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
    return 0.0


def memory_gb() -> float | None:
    """Returns how much memory this process has and can still get, None outside Linux.

    It counts swap, and the limits of containers and of batch systems, which are control groups.
    """
    with suppress(OSError, ValueError, KeyError, IndexError):
        rows = (line.split() for line in (_PROCESSES / "meminfo").read_text().splitlines())
        kilobytes = {row[0]: int(row[1]) for row in rows}
        free = 1024 * (kilobytes["MemAvailable:"] + kilobytes.get("SwapFree:", 0))
        pages = int((_PROCESSES / "self" / "statm").read_text().split()[1])
        own = pages * os.sysconf("SC_PAGE_SIZE")
        return (own + min([free, *_free_in_groups()])) / 1e9
    return None


def lacks_memory(error: BaseException) -> bool:
    """Returns whether an error says that the memory does not suffice; libraries say it in words."""
    words = (
        "t allocate memory",
        "Insufficient memory",
        "not enough memory",
        "can't start new thread",  # Each thread has memory of its own.
    )
    return isinstance(error, MemoryError) or any(one in str(error) for one in words)


def _free_in_groups() -> Iterator[int]:
    """Bytes that the control group of this process and those above it still allow."""
    for line in (_PROCESSES / "self" / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top, names = _GROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = _GROUPS / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = top / path.lstrip("/")
        # Inside a container the path may be that on its host; the limits are at the top then.
        for folder in (group, *group.parents):
            if folder.is_relative_to(top):
                with suppress(OSError, ValueError):  # "max" means no limit.
                    limit, used = (int((folder / name).read_text()) for name in names[:2])
                    yield limit - used + _cached_files(folder, names[2])


def _cached_files(group: Path, name: str) -> int:
    """Bytes of files that count as used memory, but are given back when memory is short."""
    with suppress(OSError):
        rows = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(dict(row for row in rows).get(name, 0))
    return 0
