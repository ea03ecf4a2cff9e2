"""Checks of labels against what comes with them: captions and the balance of classes.

The caption rule is that of the NATIX data set: a picture of road work has a description of it, one without has none.
It is a source's own habit, so it is judged only where the source shows it: most of its road work has a caption, and
most of the rest has none. A source that describes every picture, or none, says nothing by it.
"""

from __future__ import annotations

import numpy as np

from workzone.core.types import Label, Role, Status
from workzone.data.checks.outcome import CheckResult, not_judged, share
from workzone.data.checks.subject import LABEL_WORDS, Subject

MOST = 0.5
"""Of a class of a source that must keep to the caption rule before its breaches are called breaches."""
BALANCED = (0.3, 0.7)
"""Shares of road work in `train` that learning takes without weights."""


def caption_rule(subject: Subject) -> CheckResult:
    """FAIL where a picture has a caption and is labelled none, or has none and is labelled road work."""
    has_caption = np.char.strip(subject.text("caption")) != ""
    roadwork = subject.labels == Label.ROADWORK
    breach = np.zeros(len(subject), dtype=np.bool_)
    judged = 0
    for _, rows in subject.by_source():
        rows = rows[subject.decided[rows]]
        ones, zeros = rows[roadwork[rows]], rows[~roadwork[rows]]
        if not len(ones) or not len(zeros):
            continue
        if has_caption[ones].mean() > MOST and has_caption[zeros].mean() < MOST:
            breach[rows] = has_caption[rows] != roadwork[rows]
            judged += len(rows)
    if judged == 0:
        return not_judged("caption_rule", "in no source do captions go with road work")
    rows = np.flatnonzero(breach)
    return subject.result(
        "caption_rule",
        rows,
        status=Status.FAIL,
        summary=f"{share(len(rows), judged)} have a caption and are labelled none, or lack one and are labelled road "
        "work.",
        advice="Look at them: one of label and caption is wrong. State results with and without them; --fix leaves "
        "them out.",
        detail=lambda row: (
            f"labelled {LABEL_WORDS[int(subject.labels[row])]}, {'with' if has_caption[row] else 'without'} a caption"
        ),
        of=judged,
    )


def class_balance(subject: Subject) -> CheckResult:
    """WARN where `train` has less than 30 % or more than 70 % road work; elsewhere a natural rate is no fault."""
    figures = [("roadwork_share", _rate(subject, subject.decided))]
    for role in Role:
        rows = subject.decided & (subject.roles == str(role))
        if rows.any():
            figures.append((f"roadwork_share_{role}", _rate(subject, rows)))
    train = subject.decided & (subject.roles == str(Role.TRAIN))
    n = int(train.sum())
    if n == 0:
        why = f"without a split there is no train; {figures[0][1]:.0%} of all decided labels are road work"
        return not_judged("class_balance", why, tuple(figures))
    rate = _rate(subject, train)
    low, high = BALANCED
    uneven = not low <= rate <= high
    return CheckResult(
        name="class_balance",
        status=Status.WARN if uneven else Status.PASS,
        count=n if uneven else 0,
        of=n,
        summary=f"{rate:.0%} of the {n:,} decided pictures in train are road work.",
        advice="Weight the classes or sample them evenly in training, never in calib or test."
        if uneven
        else "",
        figures=tuple(figures),
    )


def _rate(subject: Subject, rows: np.ndarray) -> float:
    return round(float((subject.labels[rows] == Label.ROADWORK).mean()), 4) if rows.any() else 0.0
