"""How many processors this process may really use: its affinity and its container's quota.

A runtime that starts a thread per processor of the machine inside a container that has two is slower than one
thread. Knows Linux's files; elsewhere it falls back on the machine's count.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def usable_threads(cgroups: Path = _CGROUPS, own_cgroup: Path = _OWN_CGROUP) -> int:
    """Return the number of processors that this process may use, at least 1.

    Args:
        cgroups: Where the kernel shows its control groups.
        own_cgroup: The file that says in which of them this process is.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(cgroups, own_cgroup)
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def cpu_quota(cgroups: Path = _CGROUPS, own_cgroup: Path = _OWN_CGROUP) -> float | None:
    """Return the smallest quota of the process's control group and those above, in processors, if any.

    Reads version 2 (`cpu.max`) and, where a container mounts its own group as the root, version 1.
    """
    quotas = [
        quota
        for folder in [cgroups, *_own_folders(cgroups, own_cgroup)]
        if (quota := _version_2(folder / "cpu.max")) is not None
    ]
    old = _version_1(cgroups / "cpu")
    if old is not None:
        quotas.append(old)
    return min(quotas, default=None)


def _own_folders(cgroups: Path, own_cgroup: Path) -> list[Path]:
    for line in (_read(own_cgroup) or "").splitlines():
        number, _, rest = line.partition(":")
        if number == "0":
            own = Path(rest.partition(":")[2].lstrip("/"))
            return [cgroups / part for part in (own, *own.parents) if ".." not in part.parts]
    return []


def _version_2(file: Path) -> float | None:
    parts = (_read(file) or "").split()
    return _ratio(*parts) if len(parts) == 2 else None


def _version_1(folder: Path) -> float | None:
    quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    return None if quota is None or period is None else _ratio(quota, period)


def _ratio(quota: str, period: str) -> float | None:
    """quota / period; None where there is no quota ("max", -1) or the file says something unknown."""
    try:
        ratio = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return ratio if ratio > 0 else None


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
