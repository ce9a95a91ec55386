"""Whatever bytes a file holds, a command ends with a result or with one line."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.bad_inputs import DISCOVER, MANIFEST, PREDICT, anew, call

COMMANDS = {
    "photos/line/001.png": DISCOVER,
    "maps/line/001.npy": f"{DISCOVER} --maps maps",
    "masks/line/000_mask.png": f"{DISCOVER} --masks masks",
    "images.csv": MANIFEST,
    "images.jsonl": "discover images.jsonl --classes 2 --out out",
    "images.parquet": "discover images.parquet --classes 2 --out out",
    "boxes.csv": f"{DISCOVER} --boxes boxes.csv",
    "weights.safetensors": f"{DISCOVER} --weights weights.safetensors",
    "run/model/model.json": PREDICT,
    "run/model/model.safetensors": PREDICT,
    "run/run.json": "report run",
    "run/images.csv": "report run",
    "run/regions.csv": "report run",
    "run/classes.csv": "report run",
    "run/features.npy": "report run",
    "run/attention.npy": "report run",
    "run/counts.npy": "report run",
    "run/operating.json": "report run",
}


@st.composite
def spoiled(draw: st.DrawFn, good: bytes) -> bytes:
    """Random bytes, or a file of which some bytes are replaced."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=64))
    content = bytearray(good)
    for _ in range(draw(st.integers(0, 4))):
        where = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(0, 8))
        content[where : where + length] = draw(st.binary(max_size=8))
    return bytes(content)


@pytest.mark.parametrize("path", COMMANDS)
@given(data=st.data())
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_random_bytes_end_in_a_result_or_in_one_line(
    path: str, good_order: Path, place: Path, data: st.DataObject
) -> None:
    made = (good_order / path).is_file()
    good = (good_order / path).read_bytes() if made else b"image,lot\nphotos/good/000.png,1\n"
    shutil.rmtree(place / "out", ignore_errors=True)
    anew(place / path).write_bytes(data.draw(spoiled(good)))
    result = call(COMMANDS[path])
    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    assert result.exit_code in (0, 2), result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == (1 if result.exit_code else 0), result.stderr
    assert "Traceback" not in result.stderr
