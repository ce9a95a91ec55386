"""Lets a Triton Inference Server judge images with an exported model.

It needs `anomalyncd-runtime` in the Python of the server, and the exported folder beside this file
as `exported/`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton

from anomalyncd import Runner
from anomalyncd.errors import InputError


class TritonPythonModel:
    """The class that Triton looks for in this file."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the model once."""
        self.runner = Runner(Path(__file__).parent / "exported")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers each request, one encoded image, with the verdict as JSON."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        image = triton.get_input_tensor_by_name(request, "IMAGE").as_numpy().item()
        try:
            verdict = json.dumps(self.runner.predict(image, "image").to_dict())
        except InputError as error:
            return triton.InferenceResponse([], triton.TritonError(str(error)))
        output = triton.Tensor("VERDICT", np.array([verdict.encode()], np.object_))
        return triton.InferenceResponse([output])
