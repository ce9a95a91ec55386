"""Keys of what is kept for later runs."""

import pytest

from anomalyncd.io.key import key_of_version


def test_what_another_version_made_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    here = key_of_version("a", 1)
    assert here == key_of_version("a", 1)
    monkeypatch.setattr("anomalyncd.io.key.version", lambda name: "0.0.1")
    assert key_of_version("a", 1) != here
