"""Which published collections are known to hold the same pictures, and whether data sets are of such two.

Knows names, sources and licences; looks at no picture. A renamed copy is not recognised: near-duplicates are
`workzone data check`'s to find. The table is `known_overlaps.yaml`; its hints are wide, because a false alarm costs an
option and a silent leak costs the result.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import combinations
from typing import Any

import yaml

from workzone.core.errors import DataError
from workzone.data.dataset import DataSet

_TABLE = "known_overlaps.yaml"


@dataclass(frozen=True, slots=True)
class Collection:
    """A published collection, and how a data set that was made from it is recognised."""

    key: str
    title: str
    hints: tuple[re.Pattern[str], ...]
    licences: tuple[re.Pattern[str], ...]


@dataclass(frozen=True, slots=True)
class KnownOverlap:
    """Two collections that share pictures, and what is known of it."""

    between: frozenset[str]
    reason: str


@dataclass(frozen=True, slots=True)
class FoundOverlap:
    """Two data sets that are of overlapping collections.

    Attributes:
        first: Name of a data set.
        second: Name of another.
        titles: Which collections they seem to be of, in this order.
        clues: What says so, as "name 'natix-2026'", in this order.
        reason: What is known of the overlap.
    """

    first: str
    second: str
    titles: tuple[str, str]
    clues: tuple[str, str]
    reason: str

    def sentence(self) -> str:
        """Return the overlap in words."""
        return (
            f"'{self.first}' seems to be {self.titles[0]} (by its {self.clues[0]}) and '{self.second}' to be "
            f"{self.titles[1]} (by its {self.clues[1]}). {self.reason}."
        )


def find_overlaps(datasets: Sequence[DataSet]) -> tuple[FoundOverlap, ...]:
    """Return the pairs of data sets that are known to share pictures."""
    collections, overlaps = known_overlaps()
    found = []
    for one, other in combinations(datasets, 2):
        belongs = [collections_of(dataset, collections) for dataset in (one, other)]
        for overlap in overlaps:
            a, b = sorted(overlap.between)
            for first, second in ((a, b), (b, a)):
                if first in belongs[0] and second in belongs[1]:
                    titles = (collections[first].title, collections[second].title)
                    clues = (belongs[0][first], belongs[1][second])
                    found.append(FoundOverlap(one.name, other.name, titles, clues, overlap.reason))
    return tuple(found)


def refuse_overlaps(datasets: Sequence[DataSet], what: str) -> None:
    """Refuse data sets that are known to share pictures.

    Args:
        datasets: Which would be used together.
        what: What would be done with them, as "They are not fused".

    Raises:
        DataError: Two of them are of overlapping collections; says by what they were recognised, and why it matters.
    """
    found = find_overlaps(datasets)
    if found:
        sentences = " ".join(overlap.sentence() for overlap in found)
        raise DataError(
            f"{sentences} {what}: leave one of them out, or add --force where you know that these two share no picture."
        )


def collections_of(dataset: DataSet, collections: Mapping[str, Collection]) -> Mapping[str, str]:
    """Return the collections that a data set seems to be of, each with what says so."""
    sources = sorted({source for source in dataset.samples["source"].to_pylist() if source})
    found = _matches(
        [("name", dataset.name), *(("source", source) for source in sources)], collections, "hints"
    )
    if found:
        return found
    licences = sorted({licence for licence in dataset.samples["licence"].to_pylist() if licence})
    texts = [("licence", licence) for licence in (dataset.licence, *licences)]
    return _matches(texts, collections, "licences")


@functools.cache
def known_overlaps() -> tuple[Mapping[str, Collection], tuple[KnownOverlap, ...]]:
    """Return the published table: collections by key, and the overlaps between them."""
    document: Mapping[str, Any] = yaml.safe_load(
        (resources.files("workzone.data") / _TABLE).read_text(encoding="utf-8")
    )
    collections = {
        key: Collection(key, entry["title"], _patterns(entry["hints"]), _patterns(entry["licences"]))
        for key, entry in document["collections"].items()
    }
    overlaps = tuple(
        KnownOverlap(frozenset(entry["between"]), " ".join(entry["reason"].split()))
        for entry in document["overlaps"]
    )
    return collections, overlaps


def _patterns(texts: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(text, re.IGNORECASE) for text in texts)


def _matches(
    texts: Iterable[tuple[str, str]], collections: Mapping[str, Collection], which: str
) -> dict[str, str]:
    found: dict[str, str] = {}
    for what, text in texts:
        # The first that fits: 'natix-network-org/roadwork' names both, and is NATIX.
        for key, collection in collections.items():
            if any(pattern.search(text) for pattern in getattr(collection, which)):
                found.setdefault(key, f"{what} '{text[:80]}'")
                break
    return found
