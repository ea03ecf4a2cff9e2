"""`split`: deal whole groups to train, select, calib and test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.observer import NullObserver, Observer
from workzone.data.dataset import DataSet
from workzone.data.facts import measure_dataset
from workzone.data.near_duplicates import comparable, near_duplicates_of
from workzone.data.split import Split, check_split, fold_split, make_split, read_split, write_split
from workzone.data.split_methods import published_split, source_split, time_split
from workzone.data.units import Units, link_groups
from workzone.phases.recipe import SplitSection
from workzone.pipeline.phase import Phase, PhaseContext

_FIRST_VERSION = frozenset({"path", "train", "select", "calib", "test", "seed", "folds", "fold"})
"""Settings that are part of the phase's configuration at their defaults too."""


def split_of(
    dataset: DataSet, settings: SplitSection, observer: Observer, cache: Path | None = None
) -> Split:
    """Make the split that the settings ask for, or read the one that they name.

    Args:
        dataset: What to split.
        settings: How.
        observer: Told of weaknesses of the split.
        cache: Directory that keeps what was measured of pictures, where near-duplicates are looked for.

    Raises:
        ConfigError: A source is not there.
        DataError: The data set is too small, lacks what the method needs, or the named split is of another one.
    """
    if settings.path is not None:
        split = read_split(settings.path)
        check_split(split, dataset)
        return split
    units = linked_units(
        dataset, settings.linked_within_m(), settings.near_duplicates, cache=cache, observer=observer
    )
    if units is not None and units.within_m is None and not units.merged():
        units = None  # they were looked for, and nothing is linked: the split is the one without a look
    fractions, seed = settings.fractions(), settings.seed
    if settings.by == "time":
        return time_split(dataset, fractions, observer, units)
    if settings.by == "published":
        return published_split(dataset, fractions, seed, observer=observer, units=units)
    if settings.by == "source":
        train, test = settings.train_sources, settings.test_sources
        return source_split(dataset, fractions, seed, train, test, observer=observer, units=units)
    if settings.folds is not None:
        return fold_split(
            dataset, settings.folds, settings.fold, seed, fractions, observer=observer, units=units
        )
    return make_split(dataset, fractions, seed, observer=observer, units=units)


def linked_units(
    dataset: DataSet,
    within_m: float | None,
    near_duplicates: bool,
    *,
    cache: Path | None = None,
    observer: Observer | None = None,
) -> Units | None:
    """Return the units of linked groups, reading pictures only where near-duplicates count; None: nothing links.

    Raises:
        ConfigError: The distance is out of range.
        DataError: Places are to count, and no picture has one.
    """
    if within_m is None and not near_duplicates:
        return None
    links = near_duplicate_links(dataset, cache=cache, observer=observer) if near_duplicates else None
    return link_groups(dataset, near_duplicates=links, within_m=within_m, observer=observer)


def near_duplicate_links(
    dataset: DataSet, *, cache: Path | None = None, observer: Observer | None = None
) -> NDArray[np.intp]:
    """Return pairs of rows of the data set, intp [P, 2], that join the members of each near-duplicate cluster.

    Pictures that are not `comparable` (broken, changed, blank) are near nothing; the observer is told how many.
    """
    facts = measure_dataset(dataset, cache=cache, observer=observer)
    found = near_duplicates_of(facts, observer=observer)
    n_left_out = int((~comparable(facts)).sum())
    if n_left_out:
        (observer or NullObserver()).note(
            f"{n_left_out} of {len(facts)} pictures of '{dataset.name}' cannot be read, were changed or are blank: no "
            "near-duplicates of them are looked for."
        )
    rows = np.flatnonzero(found.cluster != np.arange(len(found.cluster)))
    return np.stack([rows, found.cluster[rows]], axis=1)


def split_phase(dataset: DataSet, settings: SplitSection) -> Phase:
    """Build the phase."""

    def run(context: PhaseContext) -> None:
        split = split_of(dataset, settings, context.observer, cache=context.work / "facts")
        write_split(split, context.output)

    return Phase(
        name="split",
        version=1,
        inputs=(),
        output="split",
        roles=frozenset(),
        config={"dataset": dataset.sha256, **_config(settings)},
        run=run,
    )


def _config(settings: SplitSection) -> dict[str, Any]:
    """Return the settings that count; one that is newer than the first version only where it says something."""
    config = settings.model_dump(mode="json")
    defaults = SplitSection().model_dump(mode="json")
    config = {
        name: value for name, value in config.items() if name in _FIRST_VERSION or value != defaults[name]
    }
    if settings.path is not None:
        config["path"] = read_split(settings.path).sha256  # the split counts, not where it lies
    return config
