"""What all checks look at: a data set, what its pictures measure, and which role each of them has.

Built once, so that columns become arrays once. Knows rows; judges nothing. A place at exactly (0°, 0°) counts as
missing: it lies in the sea, and is what a lost fix becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.core.types import Label, Status
from workzone.data.checks.outcome import MAX_OFFENDERS, CheckResult, Offender
from workzone.data.dataset import DataSet
from workzone.data.near_duplicates import NearDuplicates
from workzone.data.picture_facts import PictureFacts
from workzone.data.places import places_of
from workzone.data.split import Split
from workzone.data.tables import strings

LABEL_WORDS = {int(Label.ROADWORK): "road work", int(Label.NONE): "none", int(Label.UNKNOWN): "unknown"}


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """N pictures and all that is known of them; every array is in the order of `dataset.samples`.

    Attributes:
        dataset: Whose pictures.
        facts: What they measure.
        duplicates: Pairs and clusters of near-identical pictures, in rows of the data set.
        features: float32 [N, D], L2-normalised; zeros where a picture could not be decoded.
        split: The roles' origin, or None.
        roles: str [N], "" where the split does not know the picture or there is none.
        near_m: Places closer than this are one place, in metres.
        ids: str [N].
        paths: str [N], relative to the data set.
        labels: int8 [N].
        decided: bool [N], labelled road work or none, and not ambiguous.
        groups: str [N].
        sources: str [N], "" where not stated.
        degrees: float64 [N, 2], latitude and longitude; NaN where not known.
        placed: bool [N], whether there is a place.
    """

    dataset: DataSet
    facts: PictureFacts
    duplicates: NearDuplicates
    features: NDArray[np.float32]
    split: Split | None
    roles: NDArray[np.str_]
    near_m: float
    ids: NDArray[np.str_]
    paths: NDArray[np.str_]
    labels: NDArray[np.int8]
    decided: NDArray[np.bool_]
    groups: NDArray[np.str_]
    sources: NDArray[np.str_]
    degrees: NDArray[np.float64]
    placed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    def text(self, column: str) -> NDArray[np.str_]:
        """Return a text column as str [N], "" where a value is missing."""
        return strings(self.dataset.samples, column)

    def by_source(self) -> Iterator[tuple[str, NDArray[np.intp]]]:
        """Yield each source with its rows, in alphabetical order."""
        yield from by_value(self.sources)

    def result(
        self,
        name: str,
        rows: NDArray[np.intp] | Sequence[int],
        *,
        status: Status,
        summary: str,
        advice: str,
        detail: Callable[[int], str],
        of: int | None = None,
        figures: tuple[tuple[str, float], ...] = (),
    ) -> CheckResult:
        """Return the result for the pictures in `rows`, worst first; without any it is PASS and advises nothing.

        Args:
            name: Of the check.
            rows: The offending pictures, the worst first, each once.
            status: What it is where there are any.
            summary: One sentence.
            advice: What to do where there are any.
            detail: What is wrong with the picture in a row.
            of: How many were judged; all by default.
            figures: Numbers by name.
        """
        chosen = [int(row) for row in rows]
        offenders = tuple(
            Offender(str(self.ids[row]), str(self.paths[row]), detail(row)) for row in chosen[:MAX_OFFENDERS]
        )
        return CheckResult(
            name=name,
            status=status if chosen else Status.PASS,
            count=len(chosen),
            of=len(self) if of is None else of,
            summary=summary,
            advice=advice if chosen else "",
            offenders=offenders,
            figures=figures,
            samples=tuple(str(self.ids[row]) for row in chosen),
        )


def subject_of(
    dataset: DataSet,
    facts: PictureFacts,
    *,
    duplicates: NearDuplicates,
    features: NDArray[np.float32],
    split: Split | None,
    near_m: float,
) -> Subject:
    """Return what the checks look at.

    A split of another state of the data set is taken as it is, by sample ids: whether its groups still hold is one
    of the checks.
    """
    samples = dataset.samples
    ids = strings(samples, "id")
    labels = samples["label"].to_numpy().astype(np.int8)
    ambiguous = samples["ambiguous"].to_numpy().astype(np.bool_)
    degrees, placed = places_of(samples)
    return Subject(
        dataset=dataset,
        facts=facts,
        duplicates=duplicates,
        features=features,
        split=split,
        roles=_roles(ids, split),
        near_m=near_m,
        ids=ids,
        paths=strings(samples, "path"),
        labels=labels,
        decided=(labels != Label.UNKNOWN) & ~ambiguous,
        groups=strings(samples, "group"),
        sources=strings(samples, "source"),
        degrees=degrees,
        placed=placed,
    )


def by_value(values: NDArray[np.str_]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Yield each value of str [N] with its rows, in alphabetical order; "" is a value too."""
    if not len(values):
        return
    names, inverse = np.unique(values, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    ends = np.cumsum(np.bincount(inverse, minlength=len(names)))
    for name, rows in zip(names, np.split(order, ends[:-1]), strict=True):
        yield str(name), rows


def _roles(ids: NDArray[np.str_], split: Split | None) -> NDArray[np.str_]:
    if split is None:
        return np.full(len(ids), "", dtype="<U8")
    known, role = strings(split.table, "id"), strings(split.table, "role")  # sorted by id
    places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    found: NDArray[np.str_] = np.where(known[places] == ids, role[places], "")
    return found
