"""The versions of everything that takes part."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "fastapi",
    "starlette",
    "uvicorn",
    "h11",
    "httptools",
    "uvloop",
    "litserve",
    "pydantic",
    "psutil",
)


def versions() -> dict[str, str]:
    """Return package or program → version; "absent" where it is not there."""
    found = {"wrk": _wrk()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _wrk() -> str:
    try:
        said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return "absent"
    return said.split(" Copyright")[0].removeprefix("wrk ").strip()
