"""Who is train, select, calib and test: whole groups, dealt by strata, as an artifact of its own.

Groups are put in an order in which strata are neighbours (`strata`), and dealt along it (`apportion`), so
shares hold within every stratum. Shares are of groups, not of pictures: a group counts once in a
certificate, however many frames it has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from workzone.core.errors import ConfigError, DataError, nearest
from workzone.core.observer import NullObserver, Observer
from workzone.core.types import Label, Role
from workzone.data.apportion import deal
from workzone.data.dataset import DataSet
from workzone.data.schema import SPLIT_COLUMNS
from workzone.data.strata import ordered_groups
from workzone.data.tables import build_table, content_sha256, read_json, read_table, strings, write_table
from workzone.data.units import Units
from workzone.storage.atomic import write_json

if TYPE_CHECKING:
    import pyarrow as pa

ROLES: tuple[Role, ...] = tuple(Role)
STRATIFY: tuple[str, ...] = ("label", "daytime", "weather")
_TABLE = "split.parquet"
_MANIFEST = "split.json"
_UNEVEN = 0.1
"""A share of groups that is this far from what was asked is told."""


@dataclass(frozen=True, slots=True)
class Fractions:
    """The share of groups that each role gets: none below 0, together 1. A role of share 0 gets none.

    Raises:
        ConfigError: They are not.
    """

    train: float = 0.5
    select: float = 0.1
    calib: float = 0.25
    test: float = 0.15

    def __post_init__(self) -> None:
        for role, share in asdict(self).items():
            if not (math.isfinite(share) and share >= 0):
                raise ConfigError(f"Fraction of '{role}' is {share}, expected 0 or more.")
        if not math.isclose(sum(self.shares()), 1.0, abs_tol=1e-6):
            raise ConfigError(f"Fractions of the split sum to {sum(self.shares()):g}, expected 1.")

    def shares(self) -> tuple[float, float, float, float]:
        """Return them in the order of `ROLES`."""
        return (self.train, self.select, self.calib, self.test)


class SplitRecipe(BaseModel):
    """How a split was made: enough to make it again from the same data set.

    What was added after the first version is None unless it was asked for, and then no part of the hash: a split made
    today has the hash that it always had.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    method: Literal["fractions", "folds", "source", "time", "published"]
    seed: int
    train: float = Field(description="Share of groups; for folds, of those outside the test fold.")
    select: float
    calib: float
    test: float = Field(description="Share of groups; 0 where a fold, a source or a publisher decides.")
    stratify: list[str]
    folds: int | None = None
    fold: int | None = None
    min_distance_m: float | None = Field(None, description="Groups closer than this were dealt as one.")
    near_duplicates: bool | None = Field(None, description="True: groups that share some were dealt as one.")
    train_sources: list[str] | None = Field(None, description="Of train, select and calib.")
    test_sources: list[str] | None = None


_FIRST_VERSION = frozenset(SplitRecipe.model_fields) - {
    "min_distance_m", "near_duplicates", "train_sources", "test_sources",
}  # fmt: skip
"""Fields of a recipe that are part of the hash even where they are None."""


class SplitManifest(BaseModel):
    """`split.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1] = 1
    recipe: SplitRecipe
    dataset_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A role for every sample of one data set.

    Attributes:
        table: `schema.SPLIT_COLUMNS`, sorted by id.
        recipe: How it was made.
        dataset_sha256: Of the data set that it splits.
        sha256: Over all of the above.
    """

    table: pa.Table
    recipe: SplitRecipe
    dataset_sha256: str
    sha256: str


def make_split(
    dataset: DataSet,
    fractions: Fractions,
    seed: int,
    stratify: Sequence[str] = STRATIFY,
    observer: Observer | None = None,
    units: Units | None = None,
) -> Split:
    """Deal the groups of a data set to the four roles.

    Over all groups each role gets its share to within one group; within a stratum to within two.

    Args:
        dataset: What to split.
        fractions: Of groups; of units where units are given.
        seed: Another seed gives another split.
        stratify: Columns to balance, the most important first.
        observer: Told when every picture is its own group, and when a role lacks road work or its absence.
        units: Groups that are dealt as one (`units.link_groups`); None where each is dealt by itself.

    Raises:
        ConfigError: A column to stratify by is not known.
        DataError: There are too few groups: a role would get none.
    """
    linked = linked_by(units)
    recipe = SplitRecipe(
        method="fractions", seed=seed, stratify=list(stratify), **asdict(fractions), **linked
    )
    order = ordered_groups(dataset, stratify, f"{seed}", _unit_of(units))
    return assemble_split(dataset, deal_roles(order, fractions.shares()), recipe, units, observer)


def fold_split(
    dataset: DataSet,
    folds: int,
    fold: int,
    seed: int,
    fractions: Fractions | None = None,
    stratify: Sequence[str] = STRATIFY,
    observer: Observer | None = None,
    units: Units | None = None,
) -> Split:
    """Return split `fold` of a group k-fold: that fold is test, the rest is dealt to the other roles.

    The folds of one seed part the groups: every group is test exactly once. Each fold is a split with a hash of its
    own, so nothing can be certified on the pooled predictions of several.

    Args:
        dataset: What to split.
        folds: How many, at least 2.
        fold: Which is test, from 0.
        seed: Another seed gives other folds.
        fractions: Whose train, select and calib, in proportion, divide the groups outside the fold.
        stratify: As `make_split`.
        observer: As `make_split`.
        units: As `make_split`.

    Raises:
        ConfigError: `fold` is not in 0 … folds - 1, or a column to stratify by is not known.
        DataError: There are too few groups: a role would get none.
    """
    if folds < 2 or not 0 <= fold < folds:
        raise ConfigError(
            f"Fold {fold} of {folds} does not exist; expected at least 2 folds, counted from 0."
        )
    shares = learning_shares(fractions or Fractions())
    order = ordered_groups(dataset, stratify, f"{seed}", _unit_of(units))
    in_fold = deal(len(order), [1.0 / folds] * folds) == fold
    test = {unit for unit, here in zip(order, in_fold, strict=True) if here}
    rest = ordered_groups(dataset, stratify, f"{seed}/fold {fold} of {folds}", _unit_of(units))
    roles = deal_roles([unit for unit in rest if unit not in test], shares)
    train, select, calib = shares
    recipe = SplitRecipe(
        method="folds",
        seed=seed,
        train=train,
        select=select,
        calib=calib,
        test=0.0,
        stratify=list(stratify),
        folds=folds,
        fold=fold,
        **linked_by(units),
    )
    return assemble_split(dataset, roles | dict.fromkeys(test, Role.TEST), recipe, units, observer)


def learning_shares(fractions: Fractions) -> tuple[float, float, float]:
    """Return the shares of train, select and calib among themselves, for where something else decides test.

    Raises:
        ConfigError: All of them are 0.
    """
    shares = np.array(fractions.shares()[:3])
    if not shares.sum() > 0:
        raise ConfigError("The fractions leave nothing for train, select and calib; expected one above 0.")
    train, select, calib = (float(share) for share in shares / shares.sum())
    return train, select, calib


def deal_roles(order: Sequence[str], shares: Sequence[float]) -> dict[str, Role]:
    """Return the role of each unit: dealt in this order, by shares of the first of `ROLES`."""
    return {unit: ROLES[part] for unit, part in zip(order, deal(len(order), shares), strict=True)}


def linked_by(units: Units | None) -> dict[str, Any]:
    """Return what a split's recipe says of the units that it was dealt by."""
    if units is None:
        return {}
    return {"min_distance_m": units.within_m, "near_duplicates": units.near_duplicates or None}


def assemble_split(
    dataset: DataSet,
    role_of: Mapping[str, Role],
    recipe: SplitRecipe,
    units: Units | None = None,
    observer: Observer | None = None,
) -> Split:
    """Return the split in which each unit has its role.

    Args:
        dataset: What is split.
        role_of: Group (or unit, where units are given) → its role.
        recipe: How that was decided.
        units: Which groups are one unit.
        observer: As `make_split`.

    Raises:
        DataError: A role that must not be empty would get none.
    """
    groups = dataset.samples["group"].to_pylist()
    names = groups if units is None else units.names(groups)
    roles = [str(role_of[name]) for name in names]
    n_groups = len(set(groups))
    empty = [role for role in _wanted(recipe) if role not in set(roles)]
    if empty:
        held = f"{n_groups} groups" if units is None else f"{n_groups} groups in {len(role_of)} units"
        raise DataError(
            f"'{dataset.name}' has {held}, too few for this split: {', '.join(empty)} would get none. Add groups, "
            f"or change the fractions{'' if units is None else ' or what links groups'}."
        )
    ids = dataset.samples["id"].to_pylist()
    table = build_table(SPLIT_COLUMNS, {"id": ids, "group": groups, "role": roles}).sort_by("id")
    observer = observer or NullObserver()
    _note_weaknesses(dataset, roles, _wanted(recipe), n_groups, observer)
    if units is not None:
        _note_uneven(groups, roles, recipe, observer)
    return Split(table, recipe, dataset.sha256, _hash(table, recipe, dataset.sha256))


def write_split(split: Split, directory: Path) -> None:
    """Write `split.parquet`, then `split.json`, into a directory."""
    write_table(directory / _TABLE, split.table)
    manifest = SplitManifest(recipe=split.recipe, dataset_sha256=split.dataset_sha256, sha256=split.sha256)
    write_json(directory / _MANIFEST, manifest.model_dump() | {"recipe": _recipe_json(split.recipe)})


def read_split(directory: Path) -> Split:
    """Read a split and check that it is whole and unchanged.

    Raises:
        DataError: A file is missing or not valid, a group is cut, or the hash does not fit.
    """
    manifest: SplitManifest = read_json(directory / _MANIFEST, SplitManifest)
    table = read_table(directory / _TABLE, SPLIT_COLUMNS).sort_by("id")
    found = _hash(table, manifest.recipe, manifest.dataset_sha256)
    if found != manifest.sha256:
        raise DataError(
            f"The split in '{directory}' was changed: its hash is {found[:12]}, {_MANIFEST} says "
            f"{manifest.sha256[:12]}. Make it again; a split is never edited."
        )
    _check_table(table, str(directory / _TABLE))
    return Split(table, manifest.recipe, manifest.dataset_sha256, manifest.sha256)


def check_split(split: Split, dataset: DataSet) -> None:
    """Refuse a split that was made for another data set.

    Raises:
        DataError: The hashes, the samples or their groups differ.
    """
    if split.dataset_sha256 != dataset.sha256:
        raise DataError(
            f"This split ({split.sha256[:12]}) was made for the data set {split.dataset_sha256[:12]}, not "
            f"for '{dataset.name}' ({dataset.sha256[:12]}). Open the one it was made for, or split anew."
        )
    for column in ("id", "group"):
        if not split.table[column].equals(dataset.samples[column]):
            raise DataError(
                f"This split ({split.sha256[:12]}) lists other {column}s than its data set '{dataset.name}'. "
                "Make a new split."
            )


def _unit_of(units: Units | None) -> Mapping[str, str] | None:
    return None if units is None else units.of_group


def _wanted(recipe: SplitRecipe) -> list[Role]:
    """Return the roles that must not be empty."""
    decided = {Role.TEST} if recipe.method in ("folds", "source", "published") else set()
    return [role for role in ROLES if role in decided or getattr(recipe, role) > 0]


def _note_weaknesses(
    dataset: DataSet, roles: Sequence[str], wanted: Sequence[Role], groups: int, observer: Observer
) -> None:
    if groups == len(dataset):
        observer.note(
            f"Every picture of '{dataset.name}' is a group of its own. If some are frames of one video or of "
            "one place, they may now be on both sides of the split: name the groups."
        )
    held = set(zip(roles, dataset.samples["label"].to_pylist(), strict=True))
    for role in wanted:
        for label in (Label.ROADWORK, Label.NONE):
            if (str(role), int(label)) not in held:
                observer.note(f"The role '{role}' has no picture labelled '{label.name.lower()}'.")


def _note_uneven(
    groups: Sequence[str], roles: Sequence[str], recipe: SplitRecipe, observer: Observer
) -> None:
    """Shares are of units: where these differ in size, say what that makes of the shares of groups."""
    if recipe.test == 0:  # what is test was decided otherwise, and the shares are of what is left
        return
    role_of = dict(zip(groups, roles, strict=True))
    counts = Counter(role_of.values())
    for role in ROLES:
        found, asked = counts[str(role)] / len(role_of), getattr(recipe, role)
        if abs(found - asked) > _UNEVEN:
            observer.note(
                f"Shares are of units, which differ in size: '{role}' got {found:.0%} of the groups, asked were "
                f"{asked:.0%}."
            )


def _recipe_json(recipe: SplitRecipe) -> dict[str, Any]:
    values = recipe.model_dump()
    return {name: value for name, value in values.items() if value is not None or name in _FIRST_VERSION}


def _hash(table: pa.Table, recipe: SplitRecipe, dataset_sha256: str) -> str:
    header = {"kind": "split", "dataset": dataset_sha256, "recipe": _recipe_json(recipe)}
    return content_sha256(header, [table])


def _check_table(table: pa.Table, file: str) -> None:
    ids = table["id"].to_pylist()
    if len(set(ids)) != len(ids):
        raise DataError(f"'{file}' lists a sample more than once.")
    strangers = set(table["role"].to_pylist()) - {str(role) for role in ROLES}
    if strangers:
        raise DataError(f"'{file}' has the role '{min(strangers)}'.{nearest(min(strangers), ROLES)}")
    pairs = set(zip(strings(table, "group").tolist(), table["role"].to_pylist(), strict=True))
    counts = Counter(group for group, _ in pairs)
    cut = sorted(group for group, roles in counts.items() if roles > 1)
    if cut:
        raise DataError(f"'{file}' cuts {len(cut)} groups, as '{cut[0]}': a group has one role only.")
