"""Files that cannot be read though they are whole: the remedy is not to save them again."""

import errno
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from anomalyncd.errors import InputError
from anomalyncd.io import decoding


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (MemoryError(), "too little memory to read image '.*a.png'; close other programs"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "check the connection to its drive"),
    ],
)
def test_a_whole_file_is_not_called_damaged(
    error: Exception, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4), np.uint8))
    assert decoding.decode(tmp_path / "a.png", "image").shape == (4, 4)

    def fail(data: bytes) -> None:
        raise error

    monkeypatch.setattr(decoding, "_decode_bytes", fail)
    with pytest.raises(InputError, match=remedy) as caught:
        decoding.decode(tmp_path / "a.png", "image")
    assert "save it again" not in str(caught.value)
