"""Models trained on several data sets, each measured on the test part of every one: the records and the measures.

Takes what a model said of pictures; runs none. A model is good elsewhere only as far as the columns beside its own
say so: the diagonal is what is usually reported. Every cell has intervals over its own groups, but two cells of one
column share their pictures and are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from workzone.core.types import Verdict
from workzone.evaluation.grouped import GroupedMeasures, Sampling
from workzone.evaluation.records import Measure, find_measure
from workzone.evaluation.slices import MINIMUM
from workzone.evaluation.system_answers import SystemAnswers

MEASURES = ("mcc", "selective_fnr", "false_alarm_rate", "coverage")


@dataclass(frozen=True, slots=True)
class MatrixDataSet:
    """A data set of the matrix: trained on in its row, tested on in its column.

    Attributes:
        name: What the matrix calls it, different for each.
        dataset: Its own name.
        revision: Of the data set.
        sha256: Of the data set.
        split_sha256: Of the split that its run made.
        n_test: Pictures of its test part.
        test_openings: How many runs and bundles have looked at this test part, this matrix included.
    """

    name: str
    dataset: str
    revision: str
    sha256: str
    split_sha256: str
    n_test: int
    test_openings: int


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One model on the test part of one data set.

    Attributes:
        trained_on: Name of the data set that the model is of.
        tested_on: Name of the data set whose test part it is measured on.
        digest: Of the model's bundle.
        certified: Whether its policy carries a certificate; it holds where it was made, on the diagonal.
        n: Pictures that are measured.
        n_groups: Their groups.
        n_positives: Of them, with road work.
        n_seen: Pictures of the test part that the bundle has learned from, byte for byte.
        n_in_seen_groups: Pictures left out because their group holds such a picture.
        n_undecided: Of the others, left out because their label is unknown or ambiguous.
        measures: `MEASURES`, with intervals over resampled groups; MCC at probability 0.5, the rest by the policy.
            Nothing where no picture is left.
    """

    trained_on: str
    tested_on: str
    digest: str
    certified: bool
    n: int
    n_groups: int
    n_positives: int
    n_seen: int
    n_in_seen_groups: int
    n_undecided: int
    measures: tuple[Measure, ...]

    def measure(self, name: str) -> Measure | None:
        """Return one measure, or None where no picture was left to measure on."""
        return find_measure(self.measures, name) if self.measures else None


@dataclass(frozen=True, slots=True)
class Matrix:
    """Every model on every test part.

    Attributes:
        recipe: Name of the recipe that all models were trained by.
        datasets: In the order of rows and columns.
        cells: Row by row: trained on, then tested on.
        n_resamples: Of groups, for every interval.
        confidence: Of the intervals.
        seed: Of the resamples.
    """

    recipe: str
    datasets: tuple[MatrixDataSet, ...]
    cells: tuple[MatrixCell, ...]
    n_resamples: int
    confidence: float
    seed: int

    def cell(self, trained_on: str, tested_on: str) -> MatrixCell:
        """Return one cell.

        Raises:
            KeyError: There is no such data set.
        """
        for cell in self.cells:
            if (cell.trained_on, cell.tested_on) == (trained_on, tested_on):
                return cell
        raise KeyError((trained_on, tested_on))


def measure_answers(answers: SystemAnswers, sampling: Sampling) -> tuple[Measure, ...]:
    """Return `MEASURES` of one model on N pictures; too few of them get a sentence instead of a number."""
    answered = ~answers.said(Verdict.DEFER)
    table = GroupedMeasures(answers.groups, MINIMUM)
    table.mcc("mcc", answers.positive, answers.called)
    table.rate("selective_fnr", answers.said(Verdict.NONE), answers.positive & answered)
    table.rate("false_alarm_rate", answers.said(Verdict.ROADWORK), ~answers.positive)
    table.rate("coverage", answered, np.ones(len(answered), dtype=np.bool_))
    mcc, *rates = table.solve(sampling)
    if len(np.unique(answers.positive)) == 1 and mcc.estimate is not None:
        only = "road work" if answers.positive[0] else "no road work"
        mcc = replace(mcc, estimate=None, low=None, high=None, interval=None, reason=f"all show {only}")
    return (mcc, *rates)


def transfer_sentences(matrix: Matrix) -> tuple[str, ...]:
    """Return for each model, in words, its MCC on its own test part beside that on the others."""
    return tuple(_transfer(matrix, dataset.name) for dataset in matrix.datasets)


def _transfer(matrix: Matrix, name: str) -> str:
    own = _estimate(matrix.cell(name, name))
    others = [(d.name, _estimate(matrix.cell(name, d.name))) for d in matrix.datasets if d.name != name]
    known = [(value, other) for other, value in others if value is not None]
    where = "not measured" if own is None else f"{own:.2f}"
    if not known:
        return f"Trained on {name}: MCC {where} on its own test part, not measured elsewhere."
    worst, at = min(known)
    mean = float(np.mean([value for value, _ in known]))
    elsewhere = (
        f"{worst:.2f} on {at}" if len(known) == 1 else f"{mean:.2f} on average elsewhere, {worst:.2f} on {at}"
    )
    return f"Trained on {name}: MCC {where} on its own test part, {elsewhere}."


def _estimate(cell: MatrixCell) -> float | None:
    measure = cell.measure("mcc")
    return None if measure is None else measure.estimate


def rows_of(matrix: Matrix) -> Sequence[tuple[str, tuple[MatrixCell, ...]]]:
    """Return (trained on, its cells in the order of the columns) for every row."""
    width = len(matrix.datasets)
    return [
        (dataset.name, matrix.cells[place * width : (place + 1) * width])
        for place, dataset in enumerate(matrix.datasets)
    ]
