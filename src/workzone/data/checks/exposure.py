"""Checks of what a picture shows at all: too dark, too bright, blank, blurred.

A picture is too dark below a mean luma of 30 (of 255) and too bright above 225: by day, and where the daytime is not
stated, for then nothing explains a dark picture. Only a daytime that says night, dusk or the like may be darker: its
dark limit is a quarter of the median of its pictures, from 7.5 to 30 (night scenes with a median of 50: 12); with fewer
than 20 of them it is 7.5. No limit follows the pictures of a day: a camera that takes every picture too dark would make
its own excuse. So a daytime whose median lies beyond a limit of the day is told as a whole too, at night as well.

Sharpness is the variance of the Laplacian, divided by the variance of brightness: fog and night take the contrast from
a sharp picture too. It is judged against the median of the same source, so that a soft camera is not all blurred.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workzone.core.types import Status
from workzone.data.checks.outcome import CheckResult, share
from workzone.data.checks.subject import Subject, by_value
from workzone.data.near_duplicates import BLANK_CONTRAST

DARK, BRIGHT = 30.0, 225.0
"""Mean luma, 0 to 255, of a picture by day."""
DARKEST = DARK / 4
"""Which no dark limit falls below."""
MIN_DAYTIME = 20
"""Pictures of a daytime whose median says anything."""
BLURRED_SHARE = 0.05
"""Of the median sharpness of the source: sharp pictures had at least 0.054 (455 photographs) or 0.13 (400 rendered
ones), the latter at most 0.047 after a Gaussian blur of 3 in 256 px."""
MIN_SOURCE = 20
_MAX_FIGURES = 20
_ADVICE = (
    "Look at them: leave out what a person could not judge, and correct the daytime where it is wrong; where a whole "
    "daytime is told, look at the camera's exposure."
)
_DIM_WORDS = ("night", "dark", "dusk", "dawn", "twilight", "evening")


def too_dark(subject: Subject) -> CheckResult:
    """WARN where a picture, or half of a daytime, is darker than its daytime explains."""
    limit = {daytime: limits[0] for daytime, limits in exposure_limits(subject).items()}
    return _exposure(subject, "too_dark", "dark", limit, sign=-1, plain=DARK)


def too_bright(subject: Subject) -> CheckResult:
    """WARN where a picture, or half of a daytime, is brighter than its daytime explains."""
    limit = {daytime: limits[1] for daytime, limits in exposure_limits(subject).items()}
    return _exposure(subject, "too_bright", "bright", limit, sign=1, plain=BRIGHT)


def exposure_limits(subject: Subject) -> Mapping[str, tuple[float, float]]:
    """Return (dark, bright) limits of mean luma for each daytime; see the head of this module."""
    limits = {}
    medians = _medians(subject)
    for daytime, _ in by_value(subject.text("daytime")):
        dark = DARK
        if any(word in daytime.lower() for word in _DIM_WORDS):
            dark = min(DARK, max(DARKEST, medians.get(daytime, 0.0) / 4))
        limits[daytime] = (dark, BRIGHT)
    return limits


def _medians(subject: Subject) -> dict[str, float]:
    """Return the median brightness of each daytime that has enough pictures for one."""
    facts = subject.facts
    found = {}
    for daytime, rows in by_value(subject.text("daytime")):
        values = facts.brightness[rows[facts.decoded[rows]]]
        if len(values) >= MIN_DAYTIME:
            found[daytime] = float(np.median(values))
    return found


def _exposure(
    subject: Subject, name: str, word: str, limit_of: Mapping[str, float], *, sign: int, plain: float
) -> CheckResult:
    facts, daytime = subject.facts, subject.text("daytime")
    limits = np.array([limit_of[str(value)] for value in daytime])
    beyond = np.where(facts.decoded, sign * (facts.brightness - limits), -1.0)
    rows = np.flatnonzero(beyond > 0)
    rows = rows[np.argsort(-beyond[rows], kind="stable")]
    whole = {value: middle for value, middle in _medians(subject).items() if sign * (middle - plain) > 0}
    told = [
        f"Half of all of daytime '{value[:40] or 'not stated'}' has a mean luma {'below' if sign < 0 else 'above'} "
        f"{middle:.0f}, beyond the {plain:.0f} of a usable day."
        for value, middle in list(whole.items())[:_MAX_FIGURES]
    ]
    result = subject.result(
        name,
        rows,
        status=Status.WARN,
        summary=" ".join(
            [f"{share(len(rows), int(facts.decoded.sum()))} are too {word} for their daytime.", *told]
        ),
        advice=_ADVICE,
        detail=lambda row: (
            f"mean luma {facts.brightness[row]:.0f}, limit {limits[row]:.0f} "
            f"for daytime '{str(daytime[row])[:40] or 'not stated'}'"
        ),
        of=int(facts.decoded.sum()),
        figures=tuple(
            (f"limit_{value[:40] or 'not_stated'}", round(limit_of[value], 2))
            for value in list(limit_of)[:_MAX_FIGURES]
        )
        + tuple(
            (f"median_{value[:40] or 'not_stated'}", round(middle, 2))
            for value, middle in list(whole.items())[:_MAX_FIGURES]
        ),
    )
    return replace(result, status=Status.WARN, advice=_ADVICE) if whole else result


def blank(subject: Subject) -> CheckResult:
    """FAIL where a picture is one plain colour: whatever its label says, it does not show it."""
    facts = subject.facts
    rows = np.flatnonzero(_blank(subject))
    rows = rows[np.argsort(facts.contrast[rows], kind="stable")]
    return subject.result(
        "blank",
        rows,
        status=Status.FAIL,
        summary=f"{share(len(rows), int(facts.decoded.sum()))} show one plain colour.",
        advice="Leave them out: --fix does.",
        detail=lambda row: f"standard deviation of luma {facts.contrast[row]:.2f}",
        of=int(facts.decoded.sum()),
    )


def blurred(subject: Subject) -> CheckResult:
    """WARN where a picture is far less sharp than its source's pictures are."""
    judged = subject.facts.decoded & ~_blank(subject)
    sharpness = relative_sharpness(subject)
    share_of_median = np.full(len(subject), np.inf)
    for _, rows in subject.by_source():
        rows = rows[judged[rows]]
        if len(rows) >= MIN_SOURCE:
            share_of_median[rows] = sharpness[rows] / max(float(np.median(sharpness[rows])), 1e-9)
    rows = np.flatnonzero(share_of_median < BLURRED_SHARE)
    rows = rows[np.argsort(share_of_median[rows], kind="stable")]
    n = int(np.isfinite(share_of_median).sum())
    return subject.result(
        "blurred",
        rows,
        status=Status.WARN,
        summary=f"{share(len(rows), n)} are blurred, measured by their source.",
        advice="Look at them: leave out what a person could not judge, mark as ambiguous what is arguable.",
        detail=lambda row: f"sharpness {100 * share_of_median[row]:.1f} % of its source's median",
        of=n,
    )


def relative_sharpness(subject: Subject) -> NDArray[np.float64]:
    """Variance of the Laplacian over the variance of luma, float64 [N]; meaningless where not decoded or blank."""
    contrast = np.maximum(subject.facts.contrast.astype(np.float64), BLANK_CONTRAST)
    ratio: NDArray[np.float64] = subject.facts.sharpness.astype(np.float64) / contrast**2
    return ratio


def _blank(subject: Subject) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = subject.facts.decoded & (subject.facts.contrast < BLANK_CONTRAST)
    return found
