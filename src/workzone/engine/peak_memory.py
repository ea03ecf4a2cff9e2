"""The most memory that this process has held.

Linux's own count of this program is taken where there is one: `getrusage` also remembers what the process held
before it became this program. Knows the operating system's counters; does not know what the memory is for.
"""

from __future__ import annotations

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_memory_bytes(status: Path = _STATUS) -> int | None:
    """Return the peak resident memory since the process began, in bytes; None where the system does not say.

    Args:
        status: Where the kernel describes the process (`VmHWM`).
    """
    try:
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return _by_getrusage()


def _by_getrusage() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
