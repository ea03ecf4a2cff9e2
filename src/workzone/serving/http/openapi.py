"""What the API's description says beyond the types: bodies that FastAPI does not parse, and the error replies."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from workzone.serving.faults import STATUS
from workzone.serving.http.schemas import (
    MANY_EXAMPLE,
    ONE_EXAMPLE,
    ErrorReply,
    PictureDetails,
    PictureJson,
    PicturesJson,
)

DESCRIPTION = """Is there road work in this street picture?

Every reply carries `X-Request-Id`: the one that you sent (1 to 64 letters, digits, `.`, `_`, `-`), or a new one.
`X-Deadline-Ms` says for how long an answer is of use to you. Keys are sent as `Authorization: Bearer wz_…`.
An error is always `{"request_id", "error": {"code", "message"}}`; with 429 and 503 `Retry-After` says when to try
again."""

_BINARY = {"schema": {"type": "string", "format": "binary"}}


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    """The model's schema without references out of it; its parts are few."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return schema


_MANY = _inlined(PicturesJson)
_MANY["properties"]["pictures"]["items"] = _inlined(PictureJson)
_FORM = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "The pictures, in order.",
        },
        "details": {
            "type": "string",
            "description": "A JSON array with the details of each picture.",
        },
        **_inlined(PictureDetails)["properties"],
    },
}
PREDICT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/jpeg": _BINARY,
            "image/png": _BINARY,
            "image/webp": _BINARY,
            "application/octet-stream": _BINARY,
            "multipart/form-data": {"schema": _FORM},
            "application/json": {
                "schema": {"oneOf": [_inlined(PictureJson), _MANY]},
                "examples": {
                    "one": {"value": ONE_EXAMPLE},
                    "many": {"value": MANY_EXAMPLE},
                },
            },
        },
    },
    "parameters": [
        {
            "name": "X-Deadline-Ms",
            "in": "header",
            "required": False,
            "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
            "example": 2000,
            "description": "Milliseconds from now after which an answer is of no use.",
        },
        *(
            {
                "name": name,
                "in": "query",
                "required": False,
                "schema": schema,
                "description": "Of a raw picture only.",
            }
            for name, schema in _inlined(PictureDetails)["properties"].items()
        ),
    ],
}


def replies(model: type[BaseModel], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the replies of a route: its own, and an error for each status that is stated among `statuses`."""
    stated = sorted(set(STATUS.values()) & set(statuses))
    errors: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorReply, "description": ", ".join(c for c, s in STATUS.items() if s == status)}
        for status in stated
    }
    return {200: {"model": model, "description": "Answered."}, **errors}
