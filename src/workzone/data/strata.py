"""The order in which groups are dealt: by stratum, and within one by chance.

A group's stratum is its highest label and the most common value of each other column. The order is that of
a hash of seed and stratum, level by level, then of seed and group: neighbours share as many levels as they
can, another seed gives another order, and the order of rows plays no part.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from workzone.core.errors import ConfigError, nearest
from workzone.data.dataset import DataSet
from workzone.data.schema import SAMPLE_COLUMNS
from workzone.storage.hashing import sha256_json


def ordered_groups(
    dataset: DataSet, stratify: Sequence[str], salt: str, unit_of: Mapping[str, str] | None = None
) -> list[str]:
    """Return the groups of a data set (or its units), strata together, in an order that `salt` decides.

    Args:
        dataset: Whose groups.
        stratify: Columns to balance, the most important first.
        salt: Another salt gives another order.
        unit_of: Group → the name of its unit; None where each group is one by itself.

    Raises:
        ConfigError: A column to stratify by is not known.
    """
    strata = group_strata(dataset, stratify, unit_of)

    def key(group: str) -> tuple[str, ...]:
        stratum = strata[group]
        levels = [sha256_json([salt, "stratum", *stratum[:depth]]) for depth in range(1, len(stratum) + 1)]
        return (*levels, sha256_json([salt, "group", group]))

    return sorted(strata, key=key)


def group_strata(
    dataset: DataSet, stratify: Sequence[str], unit_of: Mapping[str, str] | None = None
) -> Mapping[str, tuple[str, ...]]:
    """Return the stratum of each group (or unit): its highest label, else the most common value of the column.

    Raises:
        ConfigError: A column to stratify by is not known.
    """
    known = {column.name for column in SAMPLE_COLUMNS} - {"id", "path"}
    for column in stratify:
        if column not in known:
            raise ConfigError(f"A split cannot be stratified by '{column}'.{nearest(column, known)}")
    groups = dataset.samples["group"].to_pylist()
    if unit_of is not None:
        groups = [unit_of[group] for group in groups]
    strata: dict[str, list[str]] = {group: [] for group in groups}
    for column in stratify:
        values: Mapping[str, list[str | int]] = defaultdict(list)
        for group, value in zip(groups, dataset.samples[column].to_pylist(), strict=True):
            values[group].append(value if column == "label" else str(value))
        for group, held in values.items():
            strata[group].append(
                str(max(held)) if column == "label" else _most_common([str(v) for v in held])
            )
    return {group: tuple(stratum) for group, stratum in strata.items()}


def _most_common(values: Sequence[str]) -> str:
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))
