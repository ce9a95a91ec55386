import pytest
from numba.core import caching

from anomalyncd.runtime.compilation import compiled


def test_compiles_where_no_cache_folder_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", refuse)

    def double(number: int) -> int:
        return 2 * number

    assert compiled(double)(21) == 42
