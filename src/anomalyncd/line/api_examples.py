"""Requests and answers of the server, as its description by OpenAPI shows them."""

from typing import Any

_VERDICT: dict[str, Any] = {
    "name": "0001.png",
    "width": 640,
    "height": 480,
    "score": 0.87,
    "ok": False,
    "decision": "class",
    "class_id": 2,
    "class_name": "scratch",
    "confidence": 0.94,
    "severity": "critical",
    "classes": [{"id": 2, "name": "scratch", "probability": 0.96, "area": 812}],
    "regions": [
        {
            "box": [102, 33, 160, 61],
            "area": 812,
            "score": 0.87,
            "decision": "class",
            "class_id": 2,
            "class_name": "scratch",
            "confidence": 0.94,
            "mask": {"counts": [48993, 28, 258179], "size": [480, 640]},
        }
    ],
    "novelty": 0.41,
}
_MODEL = "5f0c2d9a41be"
_ERROR = "image '0002.png' cannot be read (the file is empty); save it again or remove it"
_FAILED = "the image could not be predicted (RuntimeError); see the log"


def _answer(description: str, example: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": example}}}


REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "images": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                },
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["paths"],
                    "properties": {"paths": {"type": "array", "items": {"type": "string"}}},
                },
                "example": {"paths": ["morning/0001.png", "morning/0002.png"]},
            },
        },
    }
}
"""The body of a request to classify."""

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: _answer(
        "A verdict for each image, or why it has none.",
        {
            "results": [
                {"name": "0001.png", "model": _MODEL, "verdict": _VERDICT},
                {"name": "0002.png", "error": _ERROR},
            ]
        },
    ),
    401: _answer("The token is missing or wrong.", {"error": "This server needs its token."}),
    413: _answer("The request or all of its images are too large.", {"error": "Too large."}),
    500: _answer(
        "None of the images has a verdict, because the model failed; see the log of the server.",
        {"results": [{"name": "0002.png", "error": _FAILED}]},
    ),
    422: _answer(
        "None of the images can be read.", {"results": [{"name": "0002.png", "error": _ERROR}]}
    ),
    429: _answer(
        "The queue is full; the header Retry-After says when to send the request again.",
        {"error": "The queue is full; send the request again."},
    ),
    504: _answer(
        "There was no verdict in time.", {"error": "There was no verdict after 60 seconds."}
    ),
}
"""The answers to a request to classify."""

CLASSES: dict[int | str, dict[str, Any]] = {
    200: _answer(
        "The classes of the model in use.",
        {
            "model": _MODEL,
            "classes": [{"id": 2, "name": "scratch", "kind": "defect", "severity": "critical"}],
        },
    )
}
"""The answers to a request for the classes."""
