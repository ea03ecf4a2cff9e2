"""How long and how often: everything that a caller may choose."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONCURRENCIES = (1, 8, 64)
REPEATS = 5


@dataclass(frozen=True, slots=True)
class Settings:
    """Of both benchmarks.

    Attributes:
        repeats: Interleaved runs of each server at each concurrency.
        seconds: What every length follows from: a run of the costly network counts for two thirds of it, at
            concurrency 64 for four thirds.
        deadline_ms: The answer is of use for so long; what capacity means.
        minutes: Of the soak.
        rate_per_s: Of the soak; None: 80 % of the capacity that was measured.
        work: Where bundles, pictures, journals and logs go; None: a temporary directory.
    """

    repeats: int = REPEATS
    seconds: float = 12.0
    deadline_ms: int = 1000
    minutes: float = 30.0
    rate_per_s: float | None = None
    work: Path | None = None

    def window_s(self, subject: str, concurrency: int) -> tuple[float, float]:
        """Return the seconds that count and those of the warm-up before them.

        A network that is answered hundreds of times a second needs less time; sixty-four callers need more, and a
        longer start, because some servers answer none of them for seconds.
        """
        scale = self.seconds if subject == "costly" else self.seconds / 2
        many = concurrency >= CONCURRENCIES[-1]
        return scale * (4 / 3 if many else 2 / 3), max(1.0, scale / 4 if many else scale / 12)

    @property
    def step_s(self) -> float:
        """Of one rate that is tried in the search for the capacity."""
        return 1.25 * self.seconds

    @property
    def overload_s(self) -> float:
        """Of twice the capacity: long enough that how it begins and ends does not count."""
        return 4 * self.step_s

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give the directory to work in."""
        if self.work is not None:
            self.work.mkdir(parents=True, exist_ok=True)
            yield self.work.resolve()
        else:
            with tempfile.TemporaryDirectory(prefix="workzone-serving-") as name:
                yield Path(name)
