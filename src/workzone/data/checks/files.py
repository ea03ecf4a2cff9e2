"""Checks of the files themselves: can they be read, are they those that were imported, are they of one kind.

The mode is Pillow's name for the layout of pixels as stored ("RGB", "L", "CMYK", "P" …). A picture of another mode
than its source's is no fault in itself, but it came another way than the rest.
"""

from __future__ import annotations

import numpy as np

from workzone.core.types import Status
from workzone.data.checks.outcome import CheckResult, share
from workzone.data.checks.subject import Subject

PLAIN_FORMATS = ("JPEG", "PNG", "WEBP")
"""What street pictures come in; another format is named where its source does not mostly use it."""


def decodable(subject: Subject) -> CheckResult:
    """FAIL where a picture cannot be decoded."""
    rows = np.flatnonzero(~subject.facts.decoded)
    return subject.result(
        "decodable",
        rows,
        status=Status.FAIL,
        summary=f"{share(len(rows), len(subject))} cannot be decoded.",
        advice="Restore the files, or leave them out: --fix does.",
        detail=lambda row: str(subject.facts.problem[row]),
    )


def unchanged(subject: Subject) -> CheckResult:
    """FAIL where a file's bytes are no longer those that were imported."""
    rows = np.flatnonzero(subject.facts.bytes_changed)
    return subject.result(
        "unchanged",
        rows,
        status=Status.FAIL,
        summary=f"{share(len(rows), len(subject))} hold other bytes than were imported.",
        advice="Restore the files. If the change is meant, import them again as a new revision.",
        detail=lambda row: "its SHA-256 is not its id",
    )


def format_and_mode(subject: Subject) -> CheckResult:
    """WARN where a picture is stored otherwise than its source's pictures are.

    Named are pictures of another mode than the commonest of their source, and those of a format that is neither the
    commonest of their source nor JPEG, PNG or WebP.
    """
    facts = subject.facts
    odd = np.zeros(len(subject), dtype=np.bool_)
    usual: dict[str, str] = {}
    for source, rows in subject.by_source():
        rows = rows[facts.decoded[rows]]
        if len(rows) == 0:
            continue
        mode, kind = (_commonest(values[rows]) for values in (facts.mode, facts.file_format))
        usual[source] = f"{kind} {mode}"
        other_kind = (facts.file_format[rows] != kind) & ~np.isin(facts.file_format[rows], PLAIN_FORMATS)
        odd[rows] = (facts.mode[rows] != mode) | other_kind
    rows = np.flatnonzero(odd)
    return subject.result(
        "format_and_mode",
        rows,
        status=Status.WARN,
        summary=f"{share(len(rows), len(subject))} are stored otherwise than most of their source.",
        advice="Look where they come from: pictures that came another way may differ in more than that.",
        detail=lambda row: (
            f"{facts.file_format[row]} {facts.mode[row]}, its source has {usual[str(subject.sources[row])]}"
        ),
        of=int(facts.decoded.sum()),
    )


def _commonest(values: np.ndarray) -> str:
    names, counts = np.unique(values, return_counts=True)
    return str(names[counts.argmax()])
