"""All checks of a data set, in one table and one order: measured once, judged many times.

Every picture is read and decoded once (`data.facts`); near-duplicates are searched once; then each check is a pure
function of what was found. A check never stops the others, and none changes anything: see `fix`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from workzone.core.errors import ConfigError
from workzone.core.observer import NullObserver, Observer, track
from workzone.core.types import Status
from workzone.data.checks import (
    boxes,
    exposure,
    files,
    judgement,
    labels,
    leakage,
    metadata,
    repeats,
    sizes,
)
from workzone.data.checks.outcome import CheckResult, worst
from workzone.data.checks.subject import Subject, subject_of
from workzone.data.dataset import DataSet
from workzone.data.embedding import Embedder, embed_dataset
from workzone.data.facts import measure_dataset
from workzone.data.near_duplicates import near_duplicates_of
from workzone.data.places import NEAR_M
from workzone.data.split import Split

DESCRIPTOR = "descriptor"
"""What near-duplicates are always compared by: their limits are of its scale, and another embedding has another."""

CHECKS: Mapping[str, Callable[[Subject], CheckResult]] = MappingProxyType(
    {
        "decodable": files.decodable,
        "unchanged": files.unchanged,
        "format_and_mode": files.format_and_mode,
        "declared_size": sizes.declared_size,
        "tiny": sizes.tiny,
        "size_outliers": sizes.size_outliers,
        "too_dark": exposure.too_dark,
        "too_bright": exposure.too_bright,
        "blank": exposure.blank,
        "blurred": exposure.blurred,
        "exact_duplicates": repeats.exact_duplicates,
        "near_duplicates": repeats.near_duplicates,
        "caption_rule": labels.caption_rule,
        "class_balance": labels.class_balance,
        "missing_metadata": metadata.missing_metadata,
        "box_edges": boxes.box_edges,
        "box_types": boxes.box_types,
        "groups_across_roles": leakage.groups_across_roles,
        "places_across_roles": leakage.places_across_roles,
        "shortcuts": judgement.shortcuts,
        "label_suspects": judgement.suspects,
    }
)
"""Name → check, in the order in which they are told."""


@dataclass(frozen=True, slots=True, eq=False)
class DataCheck:
    """What all checks found, and what they looked at.

    Attributes:
        status: The worst of the results.
        results: One of each check, in the order of `CHECKS`.
        embedding: What judged labels; near-duplicates are compared by `DESCRIPTOR`.
        subject: The data set and its measurements, for `fix` and for the page.
    """

    status: Status
    results: tuple[CheckResult, ...]
    embedding: str
    subject: Subject

    def result(self, name: str) -> CheckResult:
        """Return the result of a check; KeyError without one."""
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(name)

    def document(self) -> dict[str, Any]:
        """Return `check.json`: plain values only."""
        subject = self.subject
        dataset = subject.dataset
        return {
            "dataset": {
                "name": dataset.name,
                "revision": dataset.revision,
                "sha256": dataset.sha256,
                "pictures": len(dataset),
            },
            "split_sha256": None if subject.split is None else subject.split.sha256,
            "near_m": subject.near_m,
            "compared_by": DESCRIPTOR,
            "embedding": self.embedding,
            "status": str(self.status),
            "results": [_plain(result) for result in self.results],
        }


def check_dataset(
    dataset: DataSet,
    *,
    split: Split | None = None,
    near_m: float = NEAR_M,
    embedder: Embedder | None = None,
    cache: Path | None = None,
    workers: int = 2,
    observer: Observer | None = None,
) -> DataCheck:
    """Run every check on a data set.

    Args:
        dataset: N pictures.
        split: Its roles, for the checks of leakage and balance; may be of an earlier state of the data set.
        near_m: Places closer than this are one place, in metres, above 0.
        embedder: What describes pictures to judge labels; None: a small descriptor of colours and gradients, which
            near-duplicates are compared by in any case.
        cache: Directory where finished measurements survive a kill.
        workers: Threads.
        observer: Told of progress.

    Raises:
        ConfigError: `near_m` is not a positive number.
        ArtifactError: `cache` cannot be used.
    """
    observer = observer or NullObserver()
    subject = look_at(
        dataset,
        split=split,
        near_m=near_m,
        embedder=embedder,
        cache=cache,
        workers=workers,
        observer=observer,
    )
    results = tuple(check(subject) for check in track(CHECKS.values(), observer, "checks", len(CHECKS)))
    name = DESCRIPTOR if embedder is None else embedder.name
    return DataCheck(worst(results), results, name, subject)


def look_at(
    dataset: DataSet,
    *,
    split: Split | None = None,
    near_m: float = NEAR_M,
    embedder: Embedder | None = None,
    cache: Path | None = None,
    workers: int = 2,
    observer: Observer | None = None,
) -> Subject:
    """Measure a data set for the checks; arguments and errors as those of `check_dataset`."""
    if not (np.isfinite(near_m) and near_m > 0):
        raise ConfigError(f"Places are near within {near_m} m; expected a number above 0.")
    observer = observer or NullObserver()
    facts = measure_dataset(dataset, cache=cache, workers=workers, observer=observer)
    features = facts.descriptor
    if embedder is not None and facts.decoded.any():
        features = embed_dataset(dataset, embedder, workers=workers, observer=observer)
    return subject_of(
        dataset,
        facts,
        duplicates=near_duplicates_of(facts, observer=observer),
        features=features,
        split=split,
        near_m=near_m,
    )


def _plain(result: CheckResult) -> dict[str, Any]:
    values = asdict(result)
    figures = {name: float(value) for name, value in result.figures}
    return {**values, "status": str(result.status), "judged": result.judged, "figures": figures}
