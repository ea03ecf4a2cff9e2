"""Write a new data set without what the checks found wrong, and a log of every removal and change.

Nothing is changed in place. Removed is what no label can be right about: pictures that cannot be read, were changed or
show nothing, all but one of those with the same pixels, breaches of the caption rule, and near-duplicates of which one
is labelled road work and one none. Groups that share near-duplicates become one, also where those are left out
themselves: the pair may be all that shows that two groups are of one scene. Boxes are clipped, and dropped where
nothing is left; declared sizes become the decoded ones. Label suspects stay: they are for a person to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, DataError
from workzone.core.observer import NullObserver, Observer, track
from workzone.data.checks.check import DataCheck
from workzone.data.checks.repeats import differing, in_conflict, judged_pairs, likeness, same_pixels
from workzone.data.checks.subject import Subject
from workzone.data.dataset import DataSet, open_dataset
from workzone.data.near_duplicates import comparable
from workzone.data.rewrite import stored_samples
from workzone.data.schema import NewBox, NewSample
from workzone.data.units import link_groups
from workzone.data.writer import check_free, dataset_writer, refuse_inside
from workzone.storage.hashing import canonical_json

FIX_LOG = "fix_log.jsonl"
_MAX_REVISION = 200
_REMOVED_WHOLE = ("decodable", "unchanged", "blank", "caption_rule")
"""Checks all of whose pictures are left out."""


@dataclass(frozen=True, slots=True)
class FixEntry:
    """One line of the log.

    Attributes:
        sample_id: Of the picture, in the old data set and, where it was kept, in the new one.
        path: In the old data set.
        action: What was done.
        check: The check that asked for it.
        reason: Why, and from what to what.
    """

    sample_id: str
    path: str
    action: Literal["removed", "changed"]
    check: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fixed:
    """A new data set and how it differs from the old one."""

    dataset: DataSet
    log: tuple[FixEntry, ...]


def check_fix_target(dataset: DataSet, out: Path) -> None:
    """Refuse a target that is taken, or that lies in the data set itself.

    Raises:
        ConfigError: See above.
    """
    refuse_inside(out, dataset.root, "data set that is to be fixed")
    check_free(out, overwrite=False)


def fix_dataset(
    dataset: DataSet, checked: DataCheck, out: Path, *, observer: Observer | None = None
) -> Fixed:
    """Write a data set without the faults that can be mended by rule; see the head of this module.

    Args:
        dataset: What was checked.
        checked: What was found.
        out: A directory that does not exist or is empty, outside the data set.
        observer: Told of progress.

    Raises:
        ConfigError: `out` is taken or lies in the data set, or `checked` is of another one.
        DataError: Nothing would be left, or a picture was changed since the check.
        OSError: A picture can no longer be read.
    """
    subject = checked.subject
    if subject.dataset.sha256 != dataset.sha256:
        raise ConfigError(
            f"The check is of another data set ({subject.dataset.sha256[:12]}, not {dataset.sha256[:12]}). "
            "Check the one that is to be fixed."
        )
    check_fix_target(dataset, out)
    removed = _removals(checked)
    kept = np.setdiff1d(np.arange(len(dataset)), np.array(sorted(removed), dtype=np.intp))
    groups = _merged_groups(subject, kept)
    log = [_entry(subject, row, "removed", *removed[row]) for row in sorted(removed)]
    revision = f"{dataset.revision[: _MAX_REVISION - 6]}-fixed"
    with dataset_writer(out, name=dataset.name, revision=revision, licence=dataset.licence) as writer:
        samples = track(
            stored_samples(dataset, kept.tolist()), observer or NullObserver(), "write", len(kept)
        )
        for row, sample in zip(kept.tolist(), samples, strict=True):
            changes = list(_changes(subject, row, sample, groups[row]))
            for values, check, reason in changes:
                sample = replace(sample, **values)
                log.append(_entry(subject, row, "changed", check, reason))
            if writer.add(sample) != subject.ids[row]:
                raise DataError(
                    f"'{subject.paths[row]}' was changed while it was fixed. Check the data set again."
                )
        writer.attach(FIX_LOG, b"".join(canonical_json(asdict(entry)) + b"\n" for entry in log))
    return Fixed(open_dataset(out), tuple(log))


def _removals(checked: DataCheck) -> dict[int, tuple[str, str]]:
    """Row → (check, reason) of each picture that is left out."""
    subject = checked.subject
    row_of = {str(sample_id): row for row, sample_id in enumerate(subject.ids)}
    removed: dict[int, tuple[str, str]] = {}
    for name in _REMOVED_WHOLE:
        result = checked.result(name)
        details = {offender.sample_id: offender.detail for offender in result.offenders}
        for sample_id in result.samples:
            removed.setdefault(row_of[sample_id], (name, details.get(sample_id, result.summary)))
    for rows in same_pixels(subject):
        rows = np.array([row for row in rows.tolist() if row not in removed], dtype=np.intp)
        conflict = in_conflict(subject, rows)
        best = min(rows.tolist(), key=lambda row: (not subject.decided[row], row), default=-1)
        for row in rows.tolist():
            if conflict:
                removed[row] = ("exact_duplicates", "the same pixels are labelled road work and none")
            elif row != best:
                removed[row] = ("exact_duplicates", f"the same pixels as {subject.ids[best]}, which is kept")
    pairs = judged_pairs(subject, ~np.isin(np.arange(len(subject)), list(removed)))
    for a, b in pairs[differing(subject, pairs)[0]].tolist():
        for row, other in ((a, b), (b, a)):
            reason = f"{likeness(subject)} {subject.ids[other]}, which has the other label"
            removed[row] = ("near_duplicates", reason)
    return removed


def _merged_groups(subject: Subject, kept: NDArray[np.intp]) -> list[str]:
    """Return the group of each of N rows, after groups that share near-duplicates became one.

    What is left out links too; a group of which nothing is kept gives no name.
    """
    shows, groups = comparable(subject.facts), subject.groups.tolist()
    links = [subject.duplicates.pairs]
    for rows in same_pixels(subject):
        rows = rows[shows[rows]]
        links.append(np.stack([rows[:-1], rows[1:]], axis=1))
    units = link_groups(subject.dataset, near_duplicates=np.concatenate(links)).names(groups)
    name_of: dict[str, str] = {}
    for row in kept.tolist():
        name_of[units[row]] = min(name_of.get(units[row], groups[row]), groups[row])
    return [name_of.get(unit, unit) for unit in units]


def _changes(
    subject: Subject, row: int, sample: NewSample, group: str
) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Yield what to change in a sample, the check that asks for it, and why."""
    if group != sample.group:
        reason = (
            f"group '{sample.group}' shares near-duplicates with group '{group}', directly or over others; they are "
            "one group now"
        )
        yield {"group": group}, "near_duplicates", reason
    width, height = int(subject.facts.width_px[row]), int(subject.facts.height_px[row])
    if (width, height) != (sample.width_px, sample.height_px):
        reason = f"declared {sample.width_px} × {sample.height_px} px, decodes to {width} × {height} px"
        yield {"width_px": width, "height_px": height}, "declared_size", reason
    if sample.boxes:
        clipped = [(box, clip(box, width, height)) for box in sample.boxes]
        if any(old != new for old, new in clipped):
            dropped = sum(new is None for _, new in clipped)
            moved = sum(new is not None and new != old for old, new in clipped)
            reason = f"{dropped} boxes dropped (empty or outside the picture), {moved} clipped"
            yield {"boxes": tuple(new for _, new in clipped if new is not None)}, "box_edges", reason


def clip(box: NewBox, width_px: int, height_px: int) -> NewBox | None:
    """Return the part of a box that is in the picture; None where it has no area. One that is inside is unchanged."""
    left, upper = max(box.x_px, 0.0), max(box.y_px, 0.0)
    right = min(box.x_px + box.width_px, float(width_px))
    lower = min(box.y_px + box.height_px, float(height_px))
    if right <= left or lower <= upper:
        return None
    inside = right - left >= box.width_px - 1e-9 and lower - upper >= box.height_px - 1e-9
    if inside:
        return box
    return replace(box, x_px=left, y_px=upper, width_px=right - left, height_px=lower - upper)


def _entry(
    subject: Subject, row: int, action: Literal["removed", "changed"], check: str, reason: str
) -> FixEntry:
    return FixEntry(str(subject.ids[row]), str(subject.paths[row]), action, check, reason)
