"""Splits that something other than chance decides: the source, the time, or whoever published the pictures.

Groups (or units of linked groups) stay whole as everywhere. Where they can't, because one has pictures on both sides,
the split is refused and names them.

The decision a reader would question: beside a published test, `val` is `select`, for it was published to choose models
on, and `calib` is dealt from the published train. Where no test was published, as in ROADWork's `gps_split`, `val` is
what its publisher reports on, so it is `test`, and a note says so. Who wants it otherwise makes a split by group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, DataError, nearest
from workzone.core.observer import NullObserver, Observer
from workzone.core.types import Role
from workzone.data.dataset import DataSet
from workzone.data.split import (
    ROLES,
    STRATIFY,
    Fractions,
    Split,
    SplitRecipe,
    assemble_split,
    deal_roles,
    learning_shares,
    linked_by,
)
from workzone.data.strata import ordered_groups
from workzone.data.tables import strings
from workzone.data.units import Units

PUBLISHED_SPELLINGS: Mapping[str, Role] = {
    "train": Role.TRAIN,
    "training": Role.TRAIN,
    "pretrain": Role.TRAIN,
    "unsupervised": Role.TRAIN,
    "val": Role.SELECT,
    "valid": Role.SELECT,
    "validation": Role.SELECT,
    "dev": Role.SELECT,
    "test": Role.TEST,
    "testing": Role.TEST,
}
"""How a published split may be spelt (in any case), and what becomes of it; `calib` is never published.

`pretrain` and `unsupervised` are of ROADWork's `geographic_da`, for learning in one city and adapting to others. A
method may see the unsupervised pictures before it is tested, so they hold nothing out; they are published with labels.
"""
_MOST_NAMED = 5


def source_split(
    dataset: DataSet,
    fractions: Fractions,
    seed: int,
    train_sources: Sequence[str] = (),
    test_sources: Sequence[str] = (),
    stratify: Sequence[str] = STRATIFY,
    observer: Observer | None = None,
    units: Units | None = None,
) -> Split:
    """Return the split whose test comes from other sources than its train, select and calib.

    Args:
        dataset: What to split; every picture must name its source.
        fractions: Whose train, select and calib, in proportion, divide the groups of `train_sources`.
        seed: Another seed deals those otherwise.
        train_sources: Of train, select and calib; none for all but `test_sources`.
        test_sources: Of test; none for all but `train_sources`.
        stratify: As `make_split`.
        observer: As `make_split`.
        units: As `make_split`.

    Raises:
        ConfigError: No source is named, or one is not there or on both sides.
        DataError: A picture names no source or one of neither side, or a group has pictures on both sides.
    """
    sources = strings(dataset.samples, "source")
    n_unnamed = int((sources == "").sum())
    if n_unnamed:
        raise DataError(
            f"{n_unnamed} of the {len(dataset)} pictures of '{dataset.name}' name no source; expected one for each. "
            "Import them with a source, or split by group."
        )
    known = sorted(set(sources.tolist()))
    train, test = _sides(known, train_sources, test_sources)
    role_of = _sides_of_units(
        dataset, np.where(np.isin(sources, test), "test", "train").astype(np.str_), units, "source"
    )
    shares = learning_shares(fractions)
    recipe = SplitRecipe(
        method="source",
        seed=seed,
        train=shares[0],
        select=shares[1],
        calib=shares[2],
        test=0.0,
        stratify=list(stratify),
        train_sources=train,
        test_sources=test,
        **linked_by(units),
    )
    dealt = _dealt(dataset, role_of, shares, recipe, units)
    return assemble_split(dataset, role_of | dealt, recipe, units, observer)


def time_split(
    dataset: DataSet,
    fractions: Fractions,
    observer: Observer | None = None,
    units: Units | None = None,
) -> Split:
    """Return the split in which train is the oldest, then select, then calib, and test the newest.

    Groups are ordered by the time of their last picture, and cut as near to the fractions as can be without parting
    groups of one last time. So no picture of an earlier role is newer than the last picture of any group of a later
    role; how many groups of a later role began before is told.

    Args:
        dataset: What to split; every picture must say when it was taken.
        fractions: Of groups; of units where units are given.
        observer: As `make_split`; also told of groups that reach back over a cut.
        units: As `make_split`.

    Raises:
        DataError: A time is missing, or the groups have too few different ones: a role would get none.
    """
    n_missing = int(dataset.samples["captured_at"].null_count)
    if n_missing:
        raise DataError(
            f"{n_missing} of the {len(dataset)} pictures of '{dataset.name}' do not say when they were taken; a split "
            "by time needs it of each. Import them with captured_at, or split by group, place or source."
        )
    times = np.asarray(dataset.samples["captured_at"].cast("int64").to_numpy(), dtype=np.int64)
    names, first, last = _spans(_unit_names(dataset, units), times)
    order = np.lexsort((names, last))
    cuts = _cuts(last[order], fractions.shares())
    role_at = np.repeat(np.arange(len(ROLES)), np.diff([0, *cuts, len(order)]))
    role_of = {str(names[at]): ROLES[role] for at, role in zip(order.tolist(), role_at.tolist(), strict=True)}
    recipe = SplitRecipe(method="time", seed=0, stratify=[], **asdict(fractions), **linked_by(units))
    split = assemble_split(dataset, role_of, recipe, units, observer)
    _note_reaching_back(role_at, first[order], last[order], observer or NullObserver())
    return split


def published_split(
    dataset: DataSet,
    fractions: Fractions,
    seed: int,
    stratify: Sequence[str] = STRATIFY,
    observer: Observer | None = None,
    units: Units | None = None,
) -> Split:
    """Return the split that honours `published_split`: what was published to be reported on is test.

    Groups of the published train are dealt to train, select and calib. Beside a published test, a published val is
    select, and train is dealt to train and calib only; where there is no test, val is test. `PUBLISHED_SPELLINGS` says
    how the values may be spelt.

    Args:
        dataset: What to split; every picture must say where it was published.
        fractions: Whose train, select and calib, in proportion, divide the groups of the published train.
        seed: Another seed deals those otherwise.
        stratify: As `make_split`.
        observer: As `make_split`; also told where val is test, and where labels of `unsupervised` are learned from.
        units: As `make_split`.

    Raises:
        DataError: A value is missing or not known, all are train, or a group was published on two sides.
    """
    roles = _with_test(dataset, _spelt_out(dataset, observer or NullObserver()), observer or NullObserver())
    role_of = _sides_of_units(dataset, roles, units, "published split")
    shares = np.array(learning_shares(fractions))
    if Role.SELECT in role_of.values():
        shares[1] = 0.0
        if not shares.sum() > 0:
            raise ConfigError("The fractions leave nothing for train and calib; expected one above 0.")
        shares /= shares.sum()
    recipe = SplitRecipe(
        method="published",
        seed=seed,
        train=float(shares[0]),
        select=float(shares[1]),
        calib=float(shares[2]),
        test=0.0,
        stratify=list(stratify),
        **linked_by(units),
    )
    dealt = _dealt(dataset, role_of, shares.tolist(), recipe, units)
    calib = sum(role is Role.CALIB for role in dealt.values())
    (observer or NullObserver()).note(
        f"{calib} of the {len(dealt)} groups that were published as train are calib: nobody publishes one, and what is "
        "certified on must not be learned from."
    )
    return assemble_split(dataset, role_of | dealt, recipe, units, observer)


def _sides(
    known: Sequence[str], train_sources: Sequence[str], test_sources: Sequence[str]
) -> tuple[list[str], list[str]]:
    if not train_sources and not test_sources:
        raise ConfigError(
            "A split by source needs the sources of train or those of test (train_sources, test_sources). Known: "
            f"{', '.join(known)}."
        )
    for source in (*train_sources, *test_sources):
        if source not in known:
            raise ConfigError(f"The data set has no source '{source}'.{nearest(source, known)}")
    both = sorted(set(train_sources) & set(test_sources))
    if both:
        raise ConfigError(f"The source '{both[0]}' is named for train and for test; it can be one only.")
    train = sorted(set(train_sources) or set(known) - set(test_sources))
    test = sorted(set(test_sources) or set(known) - set(train_sources))
    left = sorted(set(known) - set(train) - set(test))
    if left:
        raise ConfigError(
            f"The source '{left[0]}' is named neither for train nor for test; every picture needs a role. Name it, "
            "or leave one of the two lists out: it then is all other sources."
        )
    if not train or not test:
        raise ConfigError(
            f"All sources ({', '.join(known)}) are on one side; a split by source needs one of each."
        )
    return train, test


def _spelt_out(dataset: DataSet, observer: Observer) -> NDArray[np.str_]:
    """Return the role that each picture was published for; its test may be missing."""
    published = strings(dataset.samples, "published_split")
    n_missing = int((published == "").sum())
    if n_missing:
        raise DataError(
            f"{n_missing} of the {len(dataset)} pictures of '{dataset.name}' name no published split; expected one for "
            "each. Import them with it, or split by group, place, source or time."
        )
    values, value_of = np.unique(published, return_inverse=True)
    for value in values.tolist():
        if value.strip().lower() not in PUBLISHED_SPELLINGS:
            raise DataError(
                f"'{dataset.name}' has the published split '{value[:80]}', which is not known."
                f"{nearest(value, PUBLISHED_SPELLINGS)}"
            )
    words = np.array([value.strip().lower() for value in values.tolist()])
    n_unsupervised = int((words[value_of] == "unsupervised").sum())
    if n_unsupervised:
        observer.note(
            f"{n_unsupervised:,} pictures were published as 'unsupervised': here they are learned from with the labels "
            "that they have, so results do not compare with those of methods that saw none."
        )
    roles = np.array([str(PUBLISHED_SPELLINGS[word]) for word in words.tolist()])
    return roles[value_of]


def _with_test(dataset: DataSet, roles: NDArray[np.str_], observer: Observer) -> NDArray[np.str_]:
    """Return the roles with val as test where no test was published."""
    if (roles == str(Role.TEST)).any():
        return roles
    is_val = roles == str(Role.SELECT)
    if not is_val.any():
        raise DataError(
            f"'{dataset.name}' has nothing but pictures that were published as train; a split that honours the "
            "publisher's needs some of a test or a val. Import those too, or split by group, place, source or time."
        )
    observer.note(
        f"'{dataset.name}' was published without a test: here its val is test, and its train is dealt to train, select "
        "and calib."
    )
    return np.where(is_val, str(Role.TEST), roles)


def _unit_names(dataset: DataSet, units: Units | None) -> NDArray[np.str_]:
    groups = dataset.samples["group"].to_pylist()
    return np.array(groups if units is None else units.names(groups), dtype=np.str_)


def _sides_of_units(
    dataset: DataSet, roles: NDArray[np.str_], units: Units | None, column: str
) -> dict[str, Role]:
    """Return the side of each unit: train, select or test; refuses units with pictures on two."""
    pairs = np.unique(np.stack([_unit_names(dataset, units), roles], axis=1), axis=0)
    names, counts = np.unique(pairs[:, 0], return_counts=True)
    cut = names[counts > 1].tolist()
    if cut:
        what = _counted(len(cut), "group" if units is None else "unit")
        linked = "" if units is None else " of linked groups"
        have = "has" if len(cut) == 1 else "have"
        shown = ", ".join(f"'{name}'" for name in cut[:_MOST_NAMED])
        raise DataError(
            f"{what}{linked} of '{dataset.name}' {have} pictures on two sides of the {column}: {shown}"
            f"{' …' if len(cut) > _MOST_NAMED else ''}. Pictures of one group would be learned from and reported on: "
            "mend the groups, or split by group."
        )
    return {name: Role(role) for name, role in pairs.tolist()}


def _dealt(
    dataset: DataSet,
    side_of: Mapping[str, Role],
    shares: Sequence[float],
    recipe: SplitRecipe,
    units: Units | None,
) -> dict[str, Role]:
    """Deal what is on the side of train to train, select and calib."""
    unit_of = None if units is None else units.of_group
    order = ordered_groups(dataset, recipe.stratify, f"{recipe.seed}", unit_of)
    return deal_roles([unit for unit in order if side_of[unit] is Role.TRAIN], shares)


def _spans(
    names: NDArray[np.str_], times: NDArray[np.int64]
) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.int64]]:
    """Return the units, and the first and last time of each."""
    units, unit_of = np.unique(names, return_inverse=True)
    first = np.full(len(units), np.iinfo(np.int64).max)
    last = np.full(len(units), np.iinfo(np.int64).min)
    np.minimum.at(first, unit_of, times)
    np.maximum.at(last, unit_of, times)
    return units, first, last


def _cuts(last: NDArray[np.int64], shares: Sequence[float]) -> list[int]:
    """Return after how many of the units, sorted by last time, each role but the newest ends."""
    may_cut = np.concatenate([[0], np.flatnonzero(last[1:] > last[:-1]) + 1, [len(last)]])
    wanted = np.cumsum(shares)[:-1] * len(last)
    return [int(may_cut[np.abs(may_cut - cut).argmin()]) for cut in wanted]


def _note_reaching_back(
    role_at: NDArray[np.intp], first: NDArray[np.int64], last: NDArray[np.int64], observer: Observer
) -> None:
    ends = np.array([last[role_at <= role].max(initial=np.iinfo(np.int64).min) for role in range(len(ROLES))])
    n_back = int((first[role_at > 0] <= ends[role_at[role_at > 0] - 1]).sum())
    if n_back:
        observer.note(
            f"{_counted(n_back, 'group')} began before the newest picture of an earlier role: a group is dealt whole, "
            "by its last picture, so its first ones may be older than what was learned from."
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
