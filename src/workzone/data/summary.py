"""How many: pictures and groups by role, label and condition, objects by type."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from workzone.core.types import Label
from workzone.data.dataset import DataSet
from workzone.data.schema import BOX_CATEGORIES
from workzone.data.split import ROLES, Split, check_split

CONDITIONS: tuple[str, ...] = ("daytime", "weather", "environment", "source")


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of the pictures that share one value.

    Attributes:
        value: The value, as "night"; "" where it is not known.
        pictures: All of them.
        groups: The groups they come from.
        roadwork: Labelled road work.
        none: Labelled none.
        unknown: Of unknown label.
        ambiguous: Marked ambiguous, whatever their label.
        roadwork_groups: Groups with a picture labelled road work.
    """

    value: str
    pictures: int
    groups: int
    roadwork: int
    none: int
    unknown: int
    ambiguous: int
    roadwork_groups: int


@dataclass(frozen=True, slots=True)
class BoxTally:
    """Counts of one type of object: boxes, and pictures that hold one."""

    category: str
    type: str
    boxes: int
    pictures: int


@dataclass(frozen=True, slots=True)
class DataSetSummary:
    """What `workzone data show` shows.

    Attributes:
        name: Of the data set.
        revision: Of the data set.
        sha256: Of the data set.
        licence: Of the whole.
        n_synthetic: Pictures that are rendered or generated, not photographed.
        total: Over all pictures.
        roles: One for each role of the split, in order; empty without a split.
        daytime: One for each value.
        weather: One for each value.
        environment: One for each value.
        source: One for each value.
        boxes: One for each type of object, road work first; None where objects are not known.
    """

    name: str
    revision: str
    sha256: str
    licence: str
    n_synthetic: int
    total: Tally
    roles: tuple[Tally, ...]
    daytime: tuple[Tally, ...]
    weather: tuple[Tally, ...]
    environment: tuple[Tally, ...]
    source: tuple[Tally, ...]
    boxes: tuple[BoxTally, ...] | None


def summarise(dataset: DataSet, split: Split | None = None) -> DataSetSummary:
    """Count a data set, and the roles of its split where one is given.

    Raises:
        DataError: The split is of another data set.
    """
    roles: tuple[Tally, ...] = ()
    if split is not None:
        check_split(split, dataset)
        by_role = {tally.value: tally for tally in _tallies(dataset, split.table["role"].to_pylist())}
        roles = tuple(by_role[role] for role in ROLES if role in by_role)
    daytime, weather, environment, source = (
        _tallies(dataset, dataset.samples[column].to_pylist()) for column in CONDITIONS
    )
    return DataSetSummary(
        name=dataset.name,
        revision=dataset.revision,
        sha256=dataset.sha256,
        licence=dataset.licence,
        n_synthetic=sum(bool(value) for value in dataset.samples["synthetic"].to_pylist()),
        total=_tallies(dataset, ["all"] * len(dataset))[0],
        roles=roles,
        daytime=daytime,
        weather=weather,
        environment=environment,
        source=source,
        boxes=_box_tallies(dataset),
    )


def _tallies(dataset: DataSet, values: list[str | None]) -> tuple[Tally, ...]:
    rows: dict[str, list[tuple[int, bool, str]]] = {}
    columns = (dataset.samples[name].to_pylist() for name in ("label", "ambiguous", "group"))
    for value, *row in zip(values, *columns, strict=True):
        rows.setdefault(value or "", []).append((row[0], row[1], row[2]))
    return tuple(_tally(value, rows[value]) for value in sorted(rows))


def _tally(value: str, rows: list[tuple[int, bool, str]]) -> Tally:
    labels = Counter(label for label, _, _ in rows)
    return Tally(
        value=value,
        pictures=len(rows),
        groups=len({group for _, _, group in rows}),
        roadwork=labels[Label.ROADWORK],
        none=labels[Label.NONE],
        unknown=labels[Label.UNKNOWN],
        ambiguous=sum(ambiguous for _, ambiguous, _ in rows),
        roadwork_groups=len({group for label, _, group in rows if label == Label.ROADWORK}),
    )


def _box_tallies(dataset: DataSet) -> tuple[BoxTally, ...] | None:
    if dataset.boxes is None:
        return None
    columns = [dataset.boxes[name].to_pylist() for name in ("category", "type", "sample_id")]
    boxes: Counter[tuple[str, str]] = Counter()
    pictures: dict[tuple[str, str], set[str]] = {}
    for category, kind, sample_id in zip(*columns, strict=True):
        boxes[category, kind] += 1
        pictures.setdefault((category, kind), set()).add(sample_id)
    order = sorted(boxes, key=lambda key: (BOX_CATEGORIES.index(key[0]), key[1]))
    return tuple(BoxTally(c, t, boxes[c, t], len(pictures[c, t])) for c, t in order)
