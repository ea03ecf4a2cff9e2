"""Which pictures of a data set a bundle may be scored on as a miner, and on which its operating point may be fitted.

Knows labels, groups, captions and what a bundle has seen; asks no model. Reported is on groups that hold no picture
that the bundle, or an ancestor, has learned from; fitted is on the pictures of the bundle's own `select`, which its
`seen.npz` names. What is in neither, as `train` and `calib`, is not used.

The decision a reader would question: a picture is `synthetic` where the data set says so, whoever drew it. Validators
draw theirs with a diffusion model; a renderer's pictures stand in for them, and say little about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.reader import Bundle
from workzone.bundle.seen import Part
from workzone.core.errors import DataError
from workzone.core.observer import Observer
from workzone.core.types import Label, Role
from workzone.data.dataset import DataSet
from workzone.data.grants import Grant, Samples, count_runs
from workzone.data.split import Fractions, make_split
from workzone.data.tables import strings
from workzone.evaluation.grouped import counted
from workzone.imaging.decode import DecodeLimits
from workzone.imaging.files import read_file
from workzone.subnet.profiles import Source
from workzone.subnet.replay import LabelledPicture

MIN_GROUPS = 20
"""With road work, and as many without: fewer say next to nothing about a window of 100 answers."""
_EVERYTHING_TEST = Fractions(train=0.0, select=0.0, calib=0.0, test=1.0)
_EVERYTHING_SELECT = Fractions(train=0.0, select=1.0, calib=0.0, test=0.0)

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PictureCounts:
    """What a set of pictures holds: only decided ones, whose label is known and not ambiguous."""

    n: int
    n_groups: int
    n_roadwork: int
    n_roadwork_groups: int
    n_none_groups: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Pictures of the data set that nothing is reported on."""

    n_seen: int
    """That the bundle, or an ancestor, has learned from."""
    n_in_seen_groups: int
    """Of groups with such a picture, these included: their other frames look alike."""
    n_unknown: int
    """Of the other groups: without a label."""
    n_ambiguous: int
    """Of the other groups: labelled, but ambiguous."""


@dataclass(frozen=True, slots=True)
class ScoredPictures:
    """The pictures that a score is reported on."""

    pictures: tuple[LabelledPicture, ...]
    counts: PictureCounts
    left_out: LeftOut
    test_openings: int
    """How many different bundles and profiles were tried on these pictures, with this one."""


@dataclass(frozen=True, slots=True)
class FittingPictures:
    """The pictures that an operating point may be fitted on."""

    pictures: tuple[LabelledPicture, ...]
    counts: PictureCounts
    n_select: int
    """Pictures of the bundle's `select`, in this data set or not."""
    too_few: str | None
    """Why nothing can be fitted on them, as a sentence; None where it can."""


def open_unseen(
    bundle: Bundle, dataset: DataSet, *, run: str, ledger: Path, observer: Observer
) -> ScoredPictures:
    """Open the decided pictures of groups that the bundle has never seen; the look is written down.

    Args:
        bundle: Verified; what it has seen is left out, with the rest of its groups.
        dataset: Labelled; all of it is `test` here.
        run: What the ledger calls this look.
        ledger: Where it is written down.
        observer: Told of what the data set lacks.

    Raises:
        DataError: Fewer than `MIN_GROUPS` groups of a label are left.
    """
    split = make_split(dataset, _EVERYTHING_TEST, seed=0, observer=observer)
    groups = strings(split.table, "group")
    seen = bundle.seen.overlap(strings(split.table, "id"))
    in_seen: Mask = np.isin(groups, np.unique(groups[seen]))
    if in_seen.all():
        raise DataError(
            f"The bundle has learned from all {counted(len(seen), 'picture')} of data set '{dataset.name}', or from "
            "others of their groups; expected some that it has never seen. Label pictures of other places, and name "
            "their data set."
        )
    samples = Grant("subnet score", frozenset({Role.TEST}), dataset, ledger, run=run).open(split, Role.TEST)
    unknown = ~in_seen & (samples.labels == Label.UNKNOWN)
    doubtful = ~in_seen & ~unknown & samples.ambiguous
    left_out = LeftOut(int(seen.sum()), int(in_seen.sum()), int(unknown.sum()), int(doubtful.sum()))
    rows = np.flatnonzero(~(in_seen | unknown | doubtful))
    counts = _counts(samples, rows)
    if shortage := _shortage(counts):
        raise DataError(
            f"Of the {counted(len(samples), 'picture')} of data set '{dataset.name}' "
            f"{left_out.n_in_seen_groups:,} are in groups that the bundle has learned from, {left_out.n_unknown:,} "
            f"have no label and {left_out.n_ambiguous:,} are ambiguous. {shortage} A reward on fewer would be chance: "
            "label pictures of other places, and name their data set."
        )
    openings = count_runs(ledger, split.sha256, Role.TEST)
    return ScoredPictures(_labelled(samples, rows), counts, left_out, openings)


def open_select(bundle: Bundle, dataset: DataSet, *, run: str, ledger: Path) -> FittingPictures:
    """Open the decided pictures of the bundle's own `select` that the data set holds, maybe none.

    Args:
        bundle: Verified; it lists its pictures of `select`.
        dataset: Labelled; all of it is opened as `select`, and what the bundle does not list is not used.
        run: What the ledger calls this look.
        ledger: Where it is written down.
    """
    split = make_split(dataset, _EVERYTHING_SELECT, seed=0)
    listed = bundle.seen.overlap_with(strings(split.table, "id"), parts=(Part.SELECT,))
    n_select = len(bundle.seen.select)
    nothing = FittingPictures((), PictureCounts(0, 0, 0, 0, 0), n_select, None)
    too_few = (
        f"Data set '{dataset.name}' holds no decided picture of the {n_select:,} that the bundle's `select` has, and "
        "an operating point is fitted on nothing else."
    )
    if not listed.any():
        return replace(nothing, too_few=too_few)
    grant = Grant("subnet point", frozenset({Role.SELECT}), dataset, ledger, run=run)
    samples = grant.open(split, Role.SELECT)
    rows = np.flatnonzero(listed & (samples.labels != Label.UNKNOWN) & ~samples.ambiguous)
    if not len(rows):
        return replace(nothing, too_few=too_few)
    counts = _counts(samples, rows)
    shortage = _shortage(counts)
    if shortage is not None:
        shortage = (
            f"Data set '{dataset.name}' holds {len(rows):,} decided pictures of the {n_select:,} that the bundle's "
            f"`select` has. {shortage}"
        )
    return FittingPictures(_labelled(samples, rows), counts, n_select, shortage)


def _labelled(samples: Samples, rows: Rows) -> tuple[LabelledPicture, ...]:
    """Return decided rows as pictures that a validator might send."""
    captions = _captions(samples)
    synthetic = samples.table["synthetic"].to_pylist()
    limit = DecodeLimits().max_bytes
    return tuple(
        LabelledPicture(
            name=str(samples.ids[row]),
            load=partial(read_file, samples.paths[row], limit),
            label=int(samples.labels[row]),
            group=str(samples.groups[row]),
            source=Source.SYNTHETIC if synthetic[row] else Source.REAL,
            caption=captions[row],
        )
        for row in rows
    )


def _captions(samples: Samples) -> Sequence[str | None]:
    """Return each picture's caption: "" where it is known to have none, None where nothing is known of it.

    That a picture lacks one says something only where captions go with road work, as in the NATIX data: where most road
    work of a source has one and most of the rest has none (as `data check` judges it).
    """
    captions = np.char.strip(strings(samples.table, "caption"))
    sources = samples.sources
    found: NDArray[np.object_] = np.full(len(captions), None, dtype=np.object_)
    for source in np.unique(sources):
        here = sources == source
        with_work, without = (
            here & ~samples.ambiguous & (samples.labels == label) for label in (Label.ROADWORK, Label.NONE)
        )
        if not (with_work.any() and without.any()):
            continue
        if (captions[with_work] != "").mean() > 0.5 and (captions[without] != "").mean() < 0.5:
            found[here] = captions[here]
    return [None if caption is None else str(caption) for caption in found]


def _counts(samples: Samples, rows: Rows) -> PictureCounts:
    groups, roadwork = samples.groups[rows], samples.labels[rows] == Label.ROADWORK
    return PictureCounts(
        n=len(rows),
        n_groups=len(np.unique(groups)),
        n_roadwork=int(roadwork.sum()),
        n_roadwork_groups=len(np.unique(groups[roadwork])),
        n_none_groups=len(np.unique(groups[~roadwork])),
    )


def _shortage(counts: PictureCounts) -> str | None:
    """Say what is too few, as a sentence."""
    with_work, without = counts.n_roadwork_groups, counts.n_none_groups
    if min(with_work, without) >= MIN_GROUPS:
        return None
    least = f"at least {MIN_GROUPS} of each are needed, because validators ask for both equally often."
    if with_work == without == 0:
        return f"None is left; {least}"
    if with_work == 0 or without == 0:
        which = "without road work" if with_work == 0 else "with road work"
        return f"All that are left are {which}, in {counted(max(with_work, without), 'group')}; {least}"
    return f"What is left is {counted(with_work, 'group')} with road work and {without:,} without; {least}"
