"""`workzone audit`: does anything cross from what a finished run learned from to what it certifies or reports on?

Looks at the data set as it is now and at the split that is sealed in the run, not at what a split method promised:
groups, near-duplicate pictures and places are compared anew. Beside that stands what a careless split of the same
pictures would have reported (`careless_split`).

Pictures of every role are opened, by a grant of the phase `audit` and under the run's own name: the ledger knows, and
the run has looked at its test no more often than before. Nothing is chosen or fitted for the run by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.files import MAX_BYTES, read_bounded
from workzone.bundle.seen import SEEN_NAME, seen_from_bytes
from workzone.core.errors import ConfigError, DataError
from workzone.core.observer import Observer
from workzone.core.types import Label, Role, Status
from workzone.data.dataset import DataSet
from workzone.data.embedding import Embedder, embed_dataset
from workzone.data.facts import measure_dataset
from workzone.data.grants import Grant, Samples, last_run
from workzone.data.lookup import find_rows
from workzone.data.near_duplicates import comparable, near_duplicates_of
from workzone.data.picture_facts import PictureFacts
from workzone.data.places import MOST_DISTANCE_M, NEAR_M, places_of
from workzone.data.split import Split, read_split
from workzone.data.tables import strings
from workzone.phases.audit_crossings import Crossing, Pictures, find_crossings
from workzone.phases.careless_split import SEEDS, CarelessComparison, Pool, compare_with_careless
from workzone.phases.pack import seen_pictures
from workzone.storage.artifacts import ArtifactStore

CACHE_NAME = ".audit"
"""Directory in the run that keeps what was measured of pictures."""
_SUFFIX = ".manifest.json"


@dataclass(frozen=True, slots=True)
class RoleCount:
    """How many pictures and groups a role has."""

    role: Role
    pictures: int
    groups: int


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was found, or could not be looked at."""

    status: Status
    text: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What came of it.

    Attributes:
        status: The worst of all crossings and remarks.
        dataset: Name of the data set.
        dataset_sha256: Its hash.
        split_sha256: Of the run.
        method: How the split was made.
        near_m: Pictures closer than this, in metres, count as one place.
        n_placed: Pictures with a place.
        n_artifacts: Artifacts of the run whose content and lineage were checked.
        roles: One for each role with pictures.
        crossings: Groups, near-duplicates and places, for each two roles.
        remarks: What else there is to know.
        careless: What a careless split would have reported; None where it was not asked for or has no answer.
    """

    status: Status
    dataset: str
    dataset_sha256: str
    split_sha256: str
    method: str
    near_m: float
    n_placed: int
    n_artifacts: int
    roles: tuple[RoleCount, ...]
    crossings: tuple[Crossing, ...]
    remarks: tuple[Remark, ...]
    careless: CarelessComparison | None


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """What an audit looks for.

    Attributes:
        near_m: Distance of one place in metres; None for the split's own, or that of `data check`.
        careless: Whether to measure what a careless split would have reported.
        embedder: What that looks at, and nothing else does; None for the descriptor of the picture facts, which
            near-duplicates are compared by in any case.
        seeds: Careless splits that are drawn.

    Raises:
        ConfigError: A number is out of range.
    """

    near_m: float | None = None
    careless: bool = True
    embedder: Embedder | None = None
    seeds: int = SEEDS

    def __post_init__(self) -> None:
        if self.near_m is not None and not 0 < self.near_m <= MOST_DISTANCE_M:
            raise ConfigError(
                f"One place is within {self.near_m:g} m; expected above 0 and at most {MOST_DISTANCE_M:,.0f}."
            )
        if self.seeds < 1:
            raise ConfigError(f"{self.seeds} careless splits are no comparison; expected at least 1.")


def audit_run(
    run: Path,
    dataset: DataSet,
    settings: AuditSettings,
    *,
    ledger: Path,
    cache: Path | None,
    observer: Observer,
) -> Audit:
    """Compare the roles of a run's split with each other, picture by picture.

    Args:
        run: Directory of the run.
        dataset: What it was made on.
        settings: What to look for.
        ledger: Counts openings of the data set's splits.
        cache: Directory that keeps what was measured of pictures; None to measure anew.
        observer: Told of progress.

    Raises:
        ArtifactError: The run has no split, or an artifact was changed.
        DataError: The split is of another data set.
    """
    store = ArtifactStore(run)
    split = read_split(store.open("split")[0])
    samples = _open_all(run, split, dataset, ledger)
    pictures, labels = _side_by_side(dataset, samples)
    facts = measure_dataset(dataset, cache=cache, observer=observer)
    shows = comparable(facts)
    near_m = settings.near_m or split.recipe.min_distance_m or NEAR_M
    crossings = find_crossings(pictures, near_duplicates_of(facts, observer=observer), shows, near_m)
    n_artifacts, remarks = _check_artifacts(store, split)
    remarks += _unseen(pictures, facts)
    careless = None
    if settings.careless:
        embedder = settings.embedder
        features = (
            facts.descriptor if embedder is None else embed_dataset(dataset, embedder, observer=observer)
        )
        name = "descriptor" if embedder is None else embedder.name
        try:
            pool = _pool(pictures, labels, features, shows)
            careless = compare_with_careless(pool, features=name, observer=observer, seeds=settings.seeds)
        except DataError as error:
            remarks.append(Remark(Status.WARN, f"No comparison with a careless split: {error}"))
    return Audit(
        status=_worst([*(crossing.status for crossing in crossings), *(remark.status for remark in remarks)]),
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        split_sha256=split.sha256,
        method=method_of(split),
        near_m=near_m,
        n_placed=int(pictures.placed.sum()),
        n_artifacts=n_artifacts,
        roles=tuple(RoleCount(s.role, len(s), len(np.unique(s.groups))) for s in samples),
        crossings=crossings,
        remarks=tuple(remarks),
        careless=careless,
    )


def method_of(split: Split) -> str:
    """Return in words how a split was made."""
    recipe = split.recipe
    words = {
        "fractions": "by group",
        "folds": f"by group, fold {recipe.fold} of {recipe.folds}",
        "source": f"by source, test from {', '.join(recipe.test_sources or ())}",
        "time": "by time",
        "published": "as published",
    }[recipe.method]
    if recipe.min_distance_m is not None:
        words += f", places within {recipe.min_distance_m:g} m as one"
    return f"{words}, near-duplicates as one" if recipe.near_duplicates else words


def _open_all(run: Path, split: Split, dataset: DataSet, ledger: Path) -> list[Samples]:
    """Open every role, under the name that the run has in the ledger."""
    prefix = f"{run.resolve()}#"
    name = last_run(ledger, split.sha256, prefix) or f"{prefix}audit"
    grant = Grant("audit", frozenset(Role), dataset, ledger, run=name)
    opened = [grant.open(split, role) for role in Role]
    return [samples for samples in opened if len(samples)]


def _side_by_side(dataset: DataSet, parts: Sequence[Samples]) -> tuple[Pictures, NDArray[np.int8]]:
    """Return all pictures in the order of the data set, and their labels, -1 where ambiguous or unknown."""
    order = np.argsort(np.concatenate([find_rows(dataset, part.ids) for part in parts]))
    places = [places_of(part.table) for part in parts]
    pictures = Pictures(
        paths=np.concatenate([strings(part.table, "path") for part in parts])[order],
        groups=np.concatenate([part.groups for part in parts])[order],
        roles=np.concatenate([np.full(len(part), str(part.role), dtype="<U8") for part in parts])[order],
        degrees=np.concatenate([degrees for degrees, _ in places])[order],
        placed=np.concatenate([placed for _, placed in places])[order],
    )
    labels = [np.where(part.ambiguous, np.int8(Label.UNKNOWN), part.labels) for part in parts]
    return pictures, np.concatenate(labels)[order].astype(np.int8)


def _pool(
    pictures: Pictures,
    labels: NDArray[np.int8],
    features: NDArray[np.float32],
    shows: NDArray[np.bool_],
) -> Pool:
    rows = np.flatnonzero((labels != Label.UNKNOWN) & shows)
    roles = pictures.roles[rows]
    return Pool(
        features=features[rows],
        labels=labels[rows],
        groups=pictures.groups[rows],
        train=roles == Role.TRAIN,
        test=roles == Role.TEST,
    )


def _unseen(pictures: Pictures, facts: PictureFacts) -> list[Remark]:
    """Say what could not be looked at: of it nothing is shown."""
    n, remarks = len(facts), []
    broken = ~facts.decoded | facts.bytes_changed
    n_blank = int((~comparable(facts) & ~broken).sum())
    n_broken, n_unplaced = int(broken.sum()), int((~pictures.placed).sum())
    compared = "they were compared by group and place only."
    if n_broken:
        text = f"{n_broken} of {n} pictures cannot be read or were changed; {compared}"
        remarks.append(Remark(Status.WARN, text))
    if n_blank:
        remarks.append(Remark(Status.WARN, f"{n_blank} of {n} pictures are blank; {compared}"))
    if n_unplaced:
        text = f"{n_unplaced} of {n} pictures have no place; that they are apart is not shown."
        remarks.append(Remark(Status.WARN, text))
    return remarks


def _check_artifacts(store: ArtifactStore, split: Split) -> tuple[int, list[Remark]]:
    """Check content and lineage of every artifact, and that none knows another split than this one."""
    remarks, names = [], sorted(file.name.removesuffix(_SUFFIX) for file in store.root.glob(f"*{_SUFFIX}"))
    for name in names:
        directory, manifest = store.open(name)
        if {opening.split_sha256 for opening in manifest.lineage} - {split.sha256}:
            text = f"'{name}' derives from another split than the one in this run."
            remarks.append(Remark(Status.FAIL, text))
        elif name.partition("@")[0] == "bundle":
            remarks += _check_seen(directory, name, split)
    return len(names), remarks


def _check_seen(bundle: Path, name: str, split: Split) -> list[Remark]:
    """Compare the pictures that a bundle says it learned from with the roles of the split."""
    limit = MAX_BYTES[SEEN_NAME]
    seen = seen_from_bytes(read_bounded(bundle / SEEN_NAME, limit), limit)
    expected = seen_pictures(split)
    wrong = [
        role
        for role in (Role.TRAIN, Role.SELECT, Role.CALIB)
        if not np.array_equal(getattr(seen, role), getattr(expected, role))
    ]
    return [Remark(Status.FAIL, f"'{name}' lists other pictures of {role} than the split.") for role in wrong]


def _worst(statuses: Sequence[Status]) -> Status:
    order = list(Status)
    return max(statuses, key=order.index, default=Status.PASS)
