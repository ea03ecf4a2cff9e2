"""Bundles by name under one directory: what an exchange while serving may load.

Knows names and memory; does not know how a bundle answers. A name is no path: nothing outside the directory can be
named, and a link that leads out is refused.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from workzone.core.errors import BundleError
from workzone.serving.faults import Code, refuse
from workzone.serving.served import Served

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
MEMORY_FACTOR = 3
"""Memory of an open model in its file's sizes: weights, the runtime's packed copy, working memory."""
_CGROUP = Path("/sys/fs/cgroup")


class BundleRoot:
    """Opens bundles by name, one at a time."""

    def __init__(
        self,
        root: Path,
        open_served: Callable[[Path], Awaitable[Served]],
        *,
        available: Callable[[], int | None] | None = None,
    ) -> None:
        self._root = root.resolve()
        self._open = open_served
        self._available = available or available_bytes
        self._busy = asyncio.Lock()

    def path(self, name: str) -> Path:
        """Return the directory of a bundle.

        Raises:
            Refused: There is none of this name (404), or the name is none (422).
        """
        if not NAME.fullmatch(name):
            raise refuse(Code.INVALID, "A bundle's name has 1 to 100 letters, digits, '.', '_' or '-'.")
        path = (self._root / name).resolve()
        if path.parent != self._root or not path.is_dir():
            raise refuse(
                Code.NOT_FOUND, "There is no bundle of this name under the service's bundle directory."
            )
        return path

    async def load(self, name: str) -> Served:
        """Open a bundle beside the one that serves, its golden pictures included.

        Raises:
            Refused: No such bundle, or another is being loaded (409).
            BundleError: It was changed, or does not fit into memory beside the one that serves.
        """
        if self._busy.locked():
            raise refuse(Code.CONFLICT, "Another bundle is being loaded; try again when it is done.", 10)
        async with self._busy:
            path = await asyncio.to_thread(self.path, name)
            await asyncio.to_thread(self._check_memory, path)
            return await self._open(path)

    def _check_memory(self, path: Path) -> None:
        needed = MEMORY_FACTOR * sum(f.stat().st_size for f in path.rglob("*.onnx*") if f.is_file())
        available = self._available()
        if available is not None and needed > available:
            raise BundleError(
                f"The bundle needs about {needed >> 20} MiB beside the one that serves; {available >> 20} MiB are "
                "free. Restart the service with it instead."
            )


def available_bytes() -> int | None:
    """Return the memory that the process may still take, by machine and control group; None: unknown."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            found.append(int(limit) - int((_CGROUP / "memory.current").read_text(encoding="ascii")))
    except (OSError, ValueError, IndexError):
        pass
    return max(0, min(found)) if found else None
