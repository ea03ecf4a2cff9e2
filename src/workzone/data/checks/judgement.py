"""Checks that learn: does something about the files give the label away, and which labels do other groups contradict.

Both need scikit-learn (extra `check`); without it, or with too few labelled groups, they say so and judge nothing.
A suspect is named where confident learning lists it *and* the models that did not see its group give its label a
probability under `MOST_PROBABLE`: if these are calibrated, fewer than one in twenty pictures that are predicted so
surely rightly has the other label. The longer list of confident learning is told as a figure.
"""

from __future__ import annotations

import numpy as np

from workzone.core.errors import DataError, MissingExtraError
from workzone.core.types import Status
from workzone.data.checks.outcome import CheckResult, not_judged, share
from workzone.data.checks.shortcuts import source_predicts_label
from workzone.data.checks.subject import LABEL_WORDS, Subject
from workzone.data.checks.suspects import label_suspects

MOST_PROBABLE = 0.05
"""Out-of-fold probability of the given label, below which it is named as suspect."""


def shortcuts(subject: Subject) -> CheckResult:
    """WARN or FAIL where file size, resolution, metadata or source alone predict the label of unseen groups."""
    name = "shortcuts"
    try:
        found = source_predicts_label(
            subject.facts,
            subject.labels,
            subject.groups,
            sources=[str(source) or None for source in subject.sources],
            cameras=[str(camera) or None for camera in subject.text("camera")],
            ambiguous=~subject.decided,
        )
    except MissingExtraError as error:
        return _missing(name, error)
    except DataError as error:
        return not_judged(name, _lowered(error))
    reported = [row for row in found.rows if row.status is not Status.PASS]
    advice = (
        "Balance the predictor against the label, strip or unify what gives it away, and evaluate on a source that was "
        "not learned from."
    )
    return CheckResult(
        name=name,
        status=found.status,
        count=len(reported),
        of=len(found.rows),
        summary=" ".join(row.sentence() for row in reported)
        or f"Nothing about the files predicts the label; {len(found.rows)} predictors were tried.",
        advice=advice if reported else "",
        figures=tuple(
            (f"auroc_{row.predictor.replace(' ', '_')}", round(row.auroc, 4)) for row in found.rows
        ),
    )


def suspects(subject: Subject) -> CheckResult:
    """WARN where the other groups contradict a label; see the head of this module."""
    name = "label_suspects"
    features = np.where(subject.facts.decoded[:, None], subject.features, np.float32(np.nan))
    try:
        found = label_suspects(features, subject.labels, subject.groups, ambiguous=~subject.decided)
    except MissingExtraError as error:
        return _missing(name, error)
    except DataError as error:
        return not_judged(name, _lowered(error))
    listed = found.listed()
    given = np.exp(-found.loss)
    rows = listed[given[listed] < MOST_PROBABLE]
    judged = int(found.judged.sum())
    return subject.result(
        name,
        rows,
        status=Status.WARN,
        summary=f"{share(len(rows), judged)} have a label that the other groups contradict; confident learning lists "
        f"{len(listed):,}.",
        advice="Look at each by docs/labels.md and correct the label or mark it as ambiguous; a hard picture with the "
        "right label is suspected too. --fix leaves them as they are.",
        detail=lambda row: (
            f"labelled {LABEL_WORDS[int(subject.labels[row])]}, to which the other groups give "
            f"a probability of {100 * given[row]:.1f} %"
        ),
        of=judged,
        figures=(("listed_by_confident_learning", len(listed)), ("penalty", found.penalty)),
    )


def _missing(name: str, error: MissingExtraError) -> CheckResult:
    """What could not be judged for want of a library is no PASS."""
    return CheckResult(name, Status.WARN, 0, 0, "Not judged: a library is missing.", str(error))


def _lowered(error: DataError) -> str:
    text = str(error).rstrip(".")
    return text[0].lower() + text[1:]
