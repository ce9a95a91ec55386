"""Every module can be imported without the optional dependencies."""

import json
import subprocess
import sys

OPTIONAL = (
    *("anomalib", "lightning", "pyarrow", "timm", "torchvision", "transformers"),
    *("fastapi", "starlette", "uvicorn", "prometheus_client", "watchdog", "paho"),
    *("ray", "fsspec"),
)
NEED_AN_EXTRA = {
    "anomalyncd.integrations.anomalib_callback": "lightning",
    "anomalyncd.line.guard": "prometheus_client",
    "anomalyncd.line.metrics": "prometheus_client",
    "anomalyncd.line.server": "fastapi",
    "anomalyncd.line.serving": "uvicorn",
    "anomalyncd.review.server": "fastapi",
    "anomalyncd.review.serving": "uvicorn",
}
"""Modules that are of use only beside an optional dependency, and the dependency."""

SCRIPT = """
import importlib, json, pkgutil, sys

optional = sys.argv[1].split(",")

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in optional:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
imported, missing = [], {}
for package in ("anomalyncd", "anomalyncd_bench"):
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        try:
            importlib.import_module(module.name)
            imported.append(module.name)
        except ImportError as error:
            missing[module.name] = str(error.name).partition(".")[0]
print(json.dumps([imported, missing]))
"""


def test_every_module_can_be_imported_without_extras() -> None:
    words = [sys.executable, "-c", SCRIPT, ",".join(OPTIONAL)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported, missing = json.loads(done.stdout)
    assert missing == NEED_AN_EXTRA
    assert {"anomalyncd.pipeline", "anomalyncd_bench.running"} <= set(imported)
    assert len(imported) > 100
