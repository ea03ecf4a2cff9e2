"""Optional dependencies, imported where they are used, with the pip command when they are missing."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from workzone.core.errors import MissingExtraError


def require(module: str, extra: str) -> Any:
    """Import `module`, or say which extra brings it.

    Raises:
        MissingExtraError: The top-level package of `module` is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise  # something that `module` itself needs is missing: say that, not this
        raise MissingExtraError(module.split(".")[0], extra) from error


def check_installed(module: str, extra: str) -> None:
    """Say which extra brings `module` where it is not installed, without the cost of importing it.

    Raises:
        MissingExtraError: It is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(module, extra)


def resolve(dotted: str) -> Any:
    """Return what `package.module:name` names; the tables of choices hold such strings."""
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(module), name)
