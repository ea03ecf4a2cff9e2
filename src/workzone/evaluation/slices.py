"""The measures of a part of the pictures: by daytime, weather, source, object size and the like.

Knows masks over the decided pictures; does not know what a property means. A slice that is too small gets
the sentence that it is, not a number: a zero from three pictures would be read as a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from workzone.core.types import Verdict
from workzone.evaluation.grouped import GroupedMeasures, Minimum, Sampling
from workzone.evaluation.measures import Answers
from workzone.evaluation.records import Measure, SliceColumn, SliceResult, SliceTable

MINIMUM = Minimum(n=10, n_groups=5)
"""Of the denominator of each measure."""
MAX_VALUES = 40
"""Values of one property that are reported; beyond, those with the most pictures."""
MEASURES = ("mcc", "selective_fnr", "false_alarm_rate", "coverage")


def slice_tables(
    answers: Answers, columns: Sequence[SliceColumn], sampling: Sampling
) -> tuple[SliceTable, ...]:
    """Return a table for each property; its members are over the rows of `answers`.

    Values that no picture has are left out.
    """
    return tuple(SliceTable(column.name, _slices(answers, column, sampling)) for column in columns)


def _slices(answers: Answers, column: SliceColumn, sampling: Sampling) -> tuple[SliceResult, ...]:
    counts = column.members.sum(axis=1)
    largest = np.argsort(-counts, kind="stable")[:MAX_VALUES]
    kept = [index for index in sorted(largest.tolist()) if counts[index]]
    if not kept:
        return ()
    table = GroupedMeasures(answers.groups, MINIMUM)
    for index in kept:
        inside = column.members[index]
        positive, negative = answers.positive & inside, ~answers.positive & inside
        table.mcc("mcc", answers.positive, answers.called, inside)
        table.rate("selective_fnr", answers.verdict(Verdict.NONE), positive & answers.answered)
        table.rate("false_alarm_rate", answers.verdict(Verdict.ROADWORK), negative)
        table.rate("coverage", answers.answered, inside)
    measures = table.solve(sampling)
    width = len(MEASURES)
    return tuple(
        SliceResult(
            value=column.values[index],
            n=int(counts[index]),
            n_groups=len(np.unique(answers.groups[column.members[index]])),
            n_positives=int((answers.positive & column.members[index]).sum()),
            measures=_told_apart(
                measures[place * width : (place + 1) * width], answers, column.members[index]
            ),
        )
        for place, index in enumerate(kept)
    )


def _told_apart(
    measures: Sequence[Measure], answers: Answers, inside: NDArray[np.bool_]
) -> tuple[Measure, ...]:
    """Replace the MCC of pictures of one label: its 0 there would be read as a failure."""
    labels = np.unique(answers.positive[inside])
    if len(labels) > 1:
        return tuple(measures)
    only = "road work" if labels[0] else "no road work"
    return tuple(
        replace(m, estimate=None, low=None, high=None, interval=None, reason=f"all show {only}")
        if m.name == "mcc" and m.estimate is not None
        else m
        for m in measures
    )
