"""What is measured, and how often."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROFILE = "2026-05"
"""Full-resolution pictures, the most that validators ever sent."""
FEW, MANY = 10, 64
"""Challenges at once: what a validator deals to ten miners, all to one; and what must be shed."""
REPEATS = 3
TIMEOUT_S = 9.0
"""How long validators wait."""
PICTURE_PX = (1280, 720)
LARGE_S = 3 * 6.0 / MANY
"""Seconds of the slowed large model by picture: `MANY` are three times what it does in the 6 s of an answer."""
SMALL_S = 0.2
"""Of a small model that cannot do all the rest either."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of the benchmark.

    Attributes:
        bundle: Answers; a copy with an operating point is made.
        repeats: Volleys of each kind.
        old_python: Of an environment with bittensor 9.12; None: that client is left out.
        work: Where keys, pictures, journals and logs go; None: a temporary directory.
    """

    bundle: Path
    repeats: int
    old_python: Path | None
    work: Path | None = None

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give the directory to work in."""
        if self.work is not None:
            self.work.mkdir(parents=True, exist_ok=True)
            yield self.work.resolve()
        else:
            with tempfile.TemporaryDirectory(prefix="workzone-miner-") as name:
                yield Path(name)
