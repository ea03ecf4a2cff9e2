"""What one check of a data set says: PASS, WARN or FAIL, with counts, the worst pictures and what to do.

Knows records and their sums; looks at no picture. `samples` holds every offending picture, so that a person can act on
all of them; `offenders` only the worst, so that a page stays readable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workzone.core.types import Status

MAX_OFFENDERS = 60
"""Of one check, worst first; all of them are in `CheckResult.samples`."""


@dataclass(frozen=True, slots=True)
class Offender:
    """One picture that a check complains about.

    Attributes:
        sample_id: Of the picture.
        path: Where it is, relative to the data set.
        detail: What is wrong with it, with the number it was judged by.
    """

    sample_id: str
    path: str
    detail: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found.

    Attributes:
        name: Of the check, as the table of checks lists it.
        status: How bad it is.
        count: What was found wrong: pictures, unless the summary says otherwise.
        of: Out of how many that were judged; 0 where there was nothing to judge.
        summary: One sentence.
        advice: What to do about it; "" where there is nothing to do.
        offenders: The worst first, at most `MAX_OFFENDERS`.
        figures: Numbers behind the sentence, by name.
        samples: Ids of all offending pictures.
    """

    name: str
    status: Status
    count: int
    of: int
    summary: str
    advice: str = ""
    offenders: tuple[Offender, ...] = ()
    figures: tuple[tuple[str, float], ...] = ()
    samples: tuple[str, ...] = ()

    @property
    def judged(self) -> bool:
        """Whether there was anything to judge: a PASS without is no proof of anything."""
        return self.of > 0


def worst(results: Iterable[CheckResult]) -> Status:
    """Return the worst status; PASS without any result."""
    order = list(Status)
    return max((result.status for result in results), key=order.index, default=Status.PASS)


def not_judged(name: str, why: str, figures: tuple[tuple[str, float], ...] = ()) -> CheckResult:
    """Return a PASS over nothing: what the check needs is not in the data set."""
    return CheckResult(name, Status.PASS, 0, 0, f"Not judged: {why}.", figures=figures)


def share(part: int, whole: int, noun: str = "pictures") -> str:
    """Return a count among others as words.

    >>> share(3, 2000)
    '3 of 2,000 pictures (0.15 %)'
    """
    percent = 100 * part / whole if whole else 0.0
    return f"{part:,} of {whole:,} {noun} ({percent:.2g} %)"
