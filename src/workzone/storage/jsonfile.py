"""Read JSON that may have been changed by others: bounded, strict, and with a place in every complaint."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workzone.core.errors import ArtifactError


def read_json(path: Path, max_bytes: int) -> Any:
    """Read one JSON value.

    NaN, infinities, numbers too large for a float and keys that occur twice are refused: no writer of this
    package makes them.

    Args:
        path: A UTF-8 file.
        max_bytes: Largest file that is read.

    Raises:
        ArtifactError: The file is missing, too large, or no such JSON; names the file and the position.
    """
    try:
        with path.open("rb") as handle:
            data = handle.read(max_bytes + 1)
    except OSError as error:
        raise ArtifactError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    if len(data) > max_bytes:
        raise ArtifactError(
            f"'{path}' is larger than {max_bytes} bytes, the most that is read of such a file."
        )
    return parse_json(data, f"'{path}'")


def parse_json(data: bytes, source: str) -> Any:
    """Parse one JSON value as `read_json` does; `source` names it in complaints.

    Raises:
        ArtifactError: `data` is no such JSON.
    """
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_unique,
        )
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{source} is not UTF-8 text: {error.reason} at byte {error.start}.") from error
    except json.JSONDecodeError as error:
        raise ArtifactError(
            f"{source} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise ArtifactError(f"{source} is not read: its JSON is nested too deeply.") from error
    except ValueError as error:
        raise ArtifactError(f"{source} is not strict JSON: {error}.") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:30]} is too large for a float")
    return number


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key '{twice[:60]}' occurs twice")
    return value
