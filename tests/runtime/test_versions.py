"""Optional packages that are too old."""

from pathlib import Path

import pytest

from anomalyncd.errors import InputError
from anomalyncd.line.mqtt import Broker, MqttSink
from anomalyncd.runtime.versions import refuse_old


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages before those that are installed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    _install(tmp_path, "anomalyncd", "1.0", 'Requires-Dist: paho-mqtt>=2.0; extra == "mqtt"\n')
    return tmp_path


def _install(folder: Path, package: str, version: str, further: str = "") -> None:
    described = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    described.mkdir()
    content = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n{further}"
    (described / "METADATA").write_text(content)


def test_a_package_that_is_too_old_is_named_with_the_remedy(folder: Path) -> None:
    _install(folder, "paho-mqtt", "1.6.1")
    said = r"paho-mqtt 1\.6\.1 is installed, .* paho-mqtt>=2\.0; pip install 'paho-mqtt>=2\.0'"
    with pytest.raises(InputError, match=said):
        MqttSink(folder, Broker("broker", 1883, "topic"))


@pytest.mark.parametrize("version", ["2.0", "2.0.0", "2.1rc1", "10.1"])
def test_a_package_that_is_new_enough_passes(folder: Path, version: str) -> None:
    _install(folder, "paho-mqtt", version)
    refuse_old("paho-mqtt")


def test_a_package_that_is_missing_passes() -> None:
    refuse_old("no-such-package")
