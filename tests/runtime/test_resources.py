"""Free memory as Linux states it: of the machine, and of control groups."""

from pathlib import Path

import pytest

from anomalyncd.runtime import resources
from anomalyncd.runtime.resources import free_disk_gb, lacks_memory, memory_gb, used_disk_gb

MEMINFO = "MemTotal: 9000000 kB\nMemAvailable: 4000000 kB\nSwapFree: 1000000 kB\nHugePages: 0\n"


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system that has 5.12 GB left, and a process that holds nothing."""
    monkeypatch.setattr(resources, "_PROCESSES", tmp_path / "proc")
    monkeypatch.setattr(resources, "_GROUPS", tmp_path / "groups")
    write(tmp_path / "proc/meminfo", MEMINFO)
    write(tmp_path / "proc/self/statm", "0 0 0")
    write(tmp_path / "proc/self/cgroup", "0::/job\n")
    return tmp_path


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def test_memory_of_the_machine_counts_swap(system: Path) -> None:
    assert memory_gb() == pytest.approx(5.12)


@pytest.mark.parametrize("place", ["", "job/"])
def test_a_container_limits_memory(system: Path, place: str) -> None:
    write(system / f"groups/{place}memory.max", "3000000000\n")
    write(system / f"groups/{place}memory.current", "2500000000\n")
    write(system / f"groups/{place}memory.stat", "anon 1\ninactive_file 400000000\n")
    assert memory_gb() == pytest.approx(0.9)
    write(system / f"groups/{place}memory.max", "max\n")
    assert memory_gb() == pytest.approx(5.12)


def test_control_groups_of_the_first_version_limit_memory(system: Path) -> None:
    write(system / "proc/self/cgroup", "3:cpu:/x\n2:memory:/batch/1\n0::/\n")
    write(system / "groups/memory/batch/memory.limit_in_bytes", "2000000000\n")
    write(system / "groups/memory/batch/memory.usage_in_bytes", "1500000000\n")
    assert memory_gb() == pytest.approx(0.5)


def test_what_the_system_does_not_tell_is_not_known(system: Path, tmp_path: Path) -> None:
    (system / "proc/meminfo").unlink()
    assert memory_gb() is None
    assert free_disk_gb(tmp_path / "nowhere") is None
    assert used_disk_gb(tmp_path / "nowhere") == 0


def test_disk(tmp_path: Path) -> None:
    write(tmp_path / "a/b", "x" * 1000)
    assert used_disk_gb(tmp_path) == pytest.approx(1e-6)
    free = free_disk_gb(tmp_path)
    assert free is not None
    assert free > 0


def test_a_thread_that_cannot_start_lacks_memory() -> None:
    assert lacks_memory(RuntimeError("can't start new thread"))
    assert not lacks_memory(RuntimeError("cannot schedule new futures after shutdown"))
