"""`split`: deal whole groups to train, select, calib and test."""

from __future__ import annotations

from workzone.core.observer import Observer
from workzone.data.dataset import DataSet
from workzone.data.split import Split, check_split, fold_split, make_split, read_split, write_split
from workzone.phases.recipe import SplitSection
from workzone.pipeline.phase import Phase, PhaseContext


def split_of(dataset: DataSet, settings: SplitSection, observer: Observer) -> Split:
    """Make the split that the settings ask for, or read the one that they name.

    Raises:
        DataError: The data set is too small, or the named split is of another data set.
    """
    if settings.path is not None:
        split = read_split(settings.path)
        check_split(split, dataset)
        return split
    if settings.folds is not None:
        return fold_split(
            dataset, settings.folds, settings.fold, settings.seed, settings.fractions(), observer=observer
        )
    return make_split(dataset, settings.fractions(), settings.seed, observer=observer)


def split_phase(dataset: DataSet, settings: SplitSection) -> Phase:
    """Build the phase."""

    def run(context: PhaseContext) -> None:
        write_split(split_of(dataset, settings, context.observer), context.output)

    config = settings.model_dump(mode="json")
    if settings.path is not None:
        config["path"] = read_split(settings.path).sha256  # the split counts, not where it lies
    return Phase(
        name="split",
        version=1,
        inputs=(),
        output="split",
        roles=frozenset(),
        config={"dataset": dataset.sha256, **config},
        run=run,
    )
