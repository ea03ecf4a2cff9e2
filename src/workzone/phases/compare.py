"""Two bundles on one labelled data set: which is better, on pictures that neither has learned from.

Each bundle answers as it serves: through the engine, with its own calibrator and policy. The whole data set is
`test` here, opened through a grant, so the ledger counts the look: a bundle that is chosen by many comparisons on
the same pictures has been chosen on them. What a bundle has learned from is refused by default, since leaving it
out silently would hide how little may be left.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.observer import Observer
from workzone.core.types import Label, Role
from workzone.data.dataset import DataSet
from workzone.data.grants import Grant, Samples, count_runs
from workzone.data.split import Fractions, make_split
from workzone.data.tables import strings
from workzone.engine.predictor import Predictor
from workzone.evaluation.comparison import compare
from workzone.evaluation.comparison_records import Comparison
from workzone.evaluation.grouped import Sampling, counted
from workzone.evaluation.system_answers import SystemAnswers

Mask = NDArray[np.bool_]

_EVERYTHING_TEST = Fractions(train=0.0, select=0.0, calib=0.0, test=1.0)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Pictures of the data set that nothing was measured on."""

    n_seen_by_a: int
    """Pictures that bundle A, or an ancestor, has learned from."""
    n_seen_by_b: int
    n_seen_groups: int
    """Groups with a picture that either has seen: left out whole, as their other frames look alike."""
    n_in_seen_groups: int
    """Pictures of these groups."""
    n_unknown: int
    """Of the other groups: without a label."""
    n_ambiguous: int
    """Of the other groups: labelled, but ambiguous."""


@dataclass(frozen=True, slots=True)
class BundleComparison:
    """What comparing two bundles found, and on what."""

    digest_a: str
    digest_b: str
    dataset_name: str
    dataset_sha256: str
    test_openings: int
    """How many comparisons of different bundles have looked at this data set, this one included."""
    left_out: LeftOut
    comparison: Comparison


def compare_bundles(
    a: Predictor,
    b: Predictor,
    dataset: DataSet,
    *,
    leave_out_seen: bool,
    sampling: Sampling,
    ledger: Path,
    observer: Observer,
) -> BundleComparison:
    """Score the decided pictures of `dataset` with both bundles, and compare.

    Args:
        a: The bundle that serves now.
        b: The one that would replace it.
        dataset: Labelled; all of it is used as test.
        leave_out_seen: Leave out groups with a picture that either bundle has learned from, instead of refusing.
        sampling: Resamples of groups.
        ledger: Where the look is written down.
        observer: Is told of progress.

    Raises:
        DataError: A bundle has learned from pictures of the data set, nothing is left to compare on, or a picture
            cannot be read.
        InferenceError: A model gave no finite logit.
    """
    split = make_split(dataset, _EVERYTHING_TEST, seed=0, observer=observer)
    ids, groups = strings(split.table, "id"), strings(split.table, "group")
    seen_a, seen_b = a.bundle.seen.overlap(ids), b.bundle.seen.overlap(ids)
    tainted = np.unique(groups[seen_a | seen_b])
    if len(tainted) and not leave_out_seen:
        raise DataError(_refusal(dataset, seen_a, seen_b, len(tainted)))
    run = f"compare {a.bundle.digest[:16]} {b.bundle.digest[:16]}"
    samples = Grant("compare", frozenset({Role.TEST}), dataset, ledger, run=run).open(split, Role.TEST)
    rows, left_out = _kept(samples, tainted, seen_a, seen_b)
    if len(rows) == 0:
        raise DataError(
            f"Nothing of data set '{dataset.name}' is left to compare on: of {counted(len(ids), 'picture')}, "
            f"{left_out.n_in_seen_groups} are in groups that a bundle has learned from, {left_out.n_unknown} have "
            f"no label and {left_out.n_ambiguous} are ambiguous. Label pictures that neither bundle has seen."
        )
    comparison = compare(
        _answers(a, samples, rows, observer, "A"),
        _answers(b, samples, rows, observer, "B"),
        sampling=sampling,
    )
    return BundleComparison(
        digest_a=a.bundle.digest,
        digest_b=b.bundle.digest,
        dataset_name=dataset.name,
        dataset_sha256=dataset.sha256,
        test_openings=count_runs(ledger, split.sha256, Role.TEST),
        left_out=left_out,
        comparison=comparison,
    )


def _refusal(dataset: DataSet, seen_a: Mask, seen_b: Mask, n_groups: int) -> str:
    n = len(seen_a)
    which = [
        f"bundle {name} has learned from {int(seen.sum())}"
        for name, seen in (("A", seen_a), ("B", seen_b))
        if seen.any()
    ]
    return (
        f"Of the {n} pictures of data set '{dataset.name}' {' and '.join(which)}, in training, selection or "
        "calibration; expected none: a comparison on them would reward memory. Compare on pictures that neither "
        f"has seen, or add --unseen to leave out the {counted(n_groups, 'group')} that hold such pictures, whole."
    )


def _kept(
    samples: Samples, tainted: NDArray[np.str_], seen_a: Mask, seen_b: Mask
) -> tuple[NDArray[np.intp], LeftOut]:
    """The rows to compare on, and the count of what is not among them."""
    in_tainted = np.isin(samples.groups, tainted)
    unknown = ~in_tainted & (samples.labels == Label.UNKNOWN)
    ambiguous = ~in_tainted & ~unknown & samples.ambiguous
    return np.flatnonzero(~(in_tainted | unknown | ambiguous)), LeftOut(
        n_seen_by_a=int(seen_a.sum()),
        n_seen_by_b=int(seen_b.sum()),
        n_seen_groups=len(tainted),
        n_in_seen_groups=int(in_tainted.sum()),
        n_unknown=int(unknown.sum()),
        n_ambiguous=int(ambiguous.sum()),
    )


def _answers(
    predictor: Predictor, samples: Samples, rows: NDArray[np.intp], observer: Observer, name: str
) -> SystemAnswers:
    paths = [samples.paths[row] for row in rows]
    logits, features = predictor.score(paths, observer=observer, task=f"predict with {name}")
    bundle = predictor.bundle
    return SystemAnswers(
        name=f"{bundle.manifest.name} ({bundle.digest[:8]})",
        ids=samples.ids[rows],
        groups=samples.groups[rows],
        positive=samples.labels[rows] == Label.ROADWORK,
        probs=bundle.calibrator.apply(logits),
        codes=bundle.policy.decide(logits, features),
    )
