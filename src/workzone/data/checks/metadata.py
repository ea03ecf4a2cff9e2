"""Checks of what is known about pictures: group, place, time, conditions.

A column that a source does not fill at all is a fact about the source, told as a figure. A picture that lacks what
nearly all of its source have is an offender; so is every picture where no group is known, because then no split can
keep frames of one place together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workzone.core.types import Status
from workzone.data.checks.outcome import CheckResult, share
from workzone.data.checks.subject import Subject

FILLED = 0.9
"""Share of a source's pictures that have a column before those without it are named."""
_TEXTS = ("source", "camera", "daytime", "weather", "environment")
_NAME_GROUPS = (
    "Name the groups (video, sequence or place): without them frames of one place land on both sides of a split. "
    "'workzone data regroup' merges near-duplicates."
)


def missing_metadata(subject: Subject) -> CheckResult:
    """WARN where pictures lack what their source has, or where the data set knows no groups."""
    known = _known(subject)
    lacking: dict[int, list[str]] = {}
    for column, has in known.items():
        for _, members in subject.by_source():
            if FILLED <= has[members].mean() < 1:
                for row in members[~has[members]].tolist():
                    lacking.setdefault(row, []).append(column)
    rows = sorted(lacking, key=lambda row: -len(lacking[row]))
    shares = {column: float((~has).mean()) for column, has in known.items()}
    empty = [column for column, missing in shares.items() if missing == 1.0]
    known_of_none = f" Known of none: {', '.join(empty)}." if empty else ""
    figures = tuple((f"missing_{column}", round(missing, 4)) for column, missing in shares.items())
    if "group" in empty and len(subject) > 1 and not rows:
        return CheckResult(
            name="missing_metadata",
            status=Status.WARN,
            count=len(subject),
            of=len(subject),
            summary=f"Every picture is a group of its own.{known_of_none}",
            advice=_NAME_GROUPS,
            figures=figures,
        )
    return subject.result(
        "missing_metadata",
        rows,
        status=Status.WARN,
        summary=f"{share(len(rows), len(subject))} lack something that their source's have.{known_of_none}",
        advice=_NAME_GROUPS if "group" in empty else "Fill it in, or import again with the columns mapped.",
        detail=lambda row: f"lacks {', '.join(lacking[row])}",
        figures=figures,
    )


def _known(subject: Subject) -> dict[str, NDArray[np.bool_]]:
    """Column → bool [N], whether a picture has a value; a group that is the picture's own id is none."""
    captured = subject.dataset.samples["captured_at"].is_valid().to_numpy().astype(np.bool_)
    known: dict[str, NDArray[np.bool_]] = {
        "group": subject.groups != subject.ids,
        "place": subject.placed,
        "captured_at": captured,
    }
    for column in _TEXTS:
        known[column] = subject.text(column) != ""
    return known
