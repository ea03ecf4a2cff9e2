"""Checks of a split against its data set: groups that it cuts, and places on both sides.

A split of an earlier state of the data set is taken by sample ids: that its groups have changed since is what is looked
for. Distances are `data.places`'.
"""

from __future__ import annotations

import numpy as np

from workzone.core.types import Role, Status
from workzone.data.checks.outcome import CheckResult, not_judged, share
from workzone.data.checks.subject import Subject, by_value
from workzone.data.places import nearest_places

HELD_OUT = (str(Role.CALIB), str(Role.TEST))
"""Roles whose numbers are believed: nothing that was learned from may be like them."""


def groups_across_roles(subject: Subject) -> CheckResult:
    """FAIL where a group of the data set has several roles; WARN where the split is of another state of it.

    Without a split the published one is judged, and only warned of: honouring it would leak.
    """
    name = "groups_across_roles"
    split, roles = subject.split, subject.roles
    if split is None:
        roles = subject.text("published_split")
        if len(set(roles.tolist()) - {""}) < 2:
            return not_judged(name, "there is no split, and the source published none")
    details: dict[int, str] = {}
    for group, rows in by_value(subject.groups):
        held = sorted(set(roles[rows].tolist()) - {""})
        if len(held) > 1:
            cut = f"group '{group[:60]}' is in {' and '.join(held)}"
            details.update((row, f"{roles[row] or 'no role'}: {cut}") for row in rows.tolist())
    word = "the split" if split is not None else "the published split"
    without = int((roles == "").sum())
    summary = f"{share(len(details), len(subject))} are in groups that {word} cuts."
    stale = split is not None and split.dataset_sha256 != subject.dataset.sha256
    if stale:
        summary += f" It was made for another state of the data set; {without:,} pictures have no role."
    figures = (("pictures_without_a_role", without),)
    if stale and not details:
        advice = "Make a new split of this state of the data set."
        return CheckResult(name, Status.WARN, without, len(subject), summary, advice, figures=figures)
    return subject.result(
        name,
        list(details),
        status=Status.FAIL if split is not None else Status.WARN,
        summary=summary,
        advice="Split anew by group: what was measured on this split rewards memory.",
        detail=details.__getitem__,
        figures=figures,
    )


def places_across_roles(subject: Subject) -> CheckResult:
    """FAIL where a picture of calib or test was taken closer than `near_m` to one of train."""
    name, near = "places_across_roles", subject.near_m
    if subject.split is None:
        return not_judged(name, "there is no split")
    train = np.flatnonzero(subject.placed & (subject.roles == str(Role.TRAIN)))
    held = np.flatnonzero(subject.placed & np.isin(subject.roles, HELD_OUT))
    if len(train) == 0 or len(held) == 0:
        return not_judged(name, "places are not known in train and in calib or test")
    metres, nearest = nearest_places(subject.degrees[held], subject.degrees[train], near)
    close = np.flatnonzero(metres < near)
    close = close[np.argsort(metres[close], kind="stable")]
    found = {int(held[at]): (float(metres[at]), int(train[nearest[at]])) for at in close}
    return subject.result(
        name,
        list(found),
        status=Status.FAIL,
        summary=f"{share(len(found), len(held))} of calib and test were taken within {near:g} m of a picture of train.",
        advice="Split by place, with a minimum distance: a street that was learned is recognised, not understood.",
        detail=lambda row: (
            f"{subject.roles[row]}, {found[row][0]:.0f} m from {subject.ids[found[row][1]][:12]} of train"
        ),
        of=len(held),
        figures=(("near_m", near),),
    )
