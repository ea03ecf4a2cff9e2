"""Reading records from JSON that may have been changed: every key, every type, nothing else.

Pydantic checks the plain frozen dataclasses of this package; they stay free of it, so that importing them is.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from workzone.core.errors import BundleError

T = TypeVar("T")

STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""`__pydantic_config__` of every record that is read here."""


def read_record(record: type[T], value: Any, what: str) -> T:
    """Return the dataclass `record` that the JSON value holds.

    Unknown or missing keys, numbers as text, true as a number, NaN and infinities are refused.

    Args:
        record: A dataclass with `__pydantic_config__ = STRICT`, and so on for its parts.
        value: What `json.loads` gave.
        what: What it is called in the error.

    Raises:
        BundleError: It is not such a record; names the first key that is wrong, and how.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(record).validate_json(json.dumps(value))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "its top level"
        raise BundleError(
            f"The {what} is not valid at '{key}': {first['msg']}. It was changed, or written by another "
            "version; take the bundle from where it was made."
        ) from error
