"""Several data sets become a new one: one vocabulary, groups apart, and every sample says where it came from.

Pictures are streamed, byte for byte; what happens to each is decided before from the tables (`fusion_plan`). Labels
are one vocabulary in every data set already; objects whose type the table of `box_vocabulary` knows by another name
get its type and category. Re-encoded copies of a picture are not recognised here: `workzone data check` looks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from workzone.core.errors import DataError
from workzone.core.observer import NullObserver, Observer, track
from workzone.data.box_vocabulary import box_vocabulary
from workzone.data.dataset import DataSet, open_dataset
from workzone.data.fusion_plan import FusionPlan, plan_fusion, refuse_conflicts
from workzone.data.known_overlaps import refuse_overlaps
from workzone.data.rewrite import stored_samples
from workzone.data.schema import NewBox, NewSample
from workzone.data.writer import DataSetWriter, check_free, dataset_writer, refuse_inside
from workzone.storage.hashing import canonical_json, sha256_json

FUSION_LOG = "fusion.json"
"""In the new data set: what it was made from, and what was left out. No part of its hash."""
_UNKNOWN_LICENCE = "unknown"
_MAX_NAME, _MAX_LICENCE = 200, 2000


@dataclass(frozen=True, slots=True)
class FusedInput:
    """A data set that went in.

    Attributes:
        name: The prefix of its groups, different for each input.
        dataset: Its own name.
        revision: Its revision.
        sha256: Its hash.
        licence: Of the whole.
        pictures: How many it has.
        kept: How many of them the new data set took from here; the rest came with another input, or were dropped.
    """

    name: str
    dataset: str
    revision: str
    sha256: str
    licence: str
    pictures: int
    kept: int


@dataclass(frozen=True, slots=True)
class Fusion:
    """What came of fusing.

    Attributes:
        dataset: The new data set.
        inputs: What went in, in order.
        n_shared: Pictures that were in more than one input, byte for byte.
        n_merged_groups: Groups that took another's name, because they share a picture with it.
        dropped: Ids of pictures that inputs label differently; only where these are to be dropped.
        renamed_boxes: Objects whose type was replaced by its name in the vocabulary.
        prefixed_sources: Sources that several inputs name; each is now told apart by a prefix.
    """

    dataset: DataSet
    inputs: tuple[FusedInput, ...]
    n_shared: int
    n_merged_groups: int
    dropped: tuple[str, ...]
    renamed_boxes: int
    prefixed_sources: tuple[str, ...]


def fuse_datasets(
    datasets: Sequence[DataSet],
    out: Path,
    *,
    name: str | None = None,
    revision: str | None = None,
    force: bool = False,
    drop_conflicts: bool = False,
    overwrite: bool = False,
    observer: Observer | None = None,
) -> Fusion:
    """Write a new data set with the samples of all; it appears whole, or not at all.

    Groups get the name of their data set as a prefix; groups of two data sets that share a picture become one.
    `source` is the data set's name where a sample states none. A sample without a licence gets its data set's.

    Args:
        datasets: At least two; of a picture in several, the first that knows its label (and objects) is kept.
        out: Where the new data set goes.
        name: What to call it; by default the names joined by "+".
        revision: Which state of it; by default a hash of the inputs, so that the same inputs give the same.
        force: Fuse data sets, too, that are known to share pictures (`known_overlaps`).
        drop_conflicts: Leave out pictures that data sets label differently, instead of refusing.
        overwrite: Replace a data set at `out`.
        observer: Told of progress and of what a person should know.

    Raises:
        ConfigError: Fewer than two data sets, one given twice, or `out` is taken or lies in one.
        DataError: Data sets are known to overlap, label a picture differently, or a picture was changed on disk.
    """
    observer = observer or NullObserver()
    check_free(out, overwrite=overwrite)
    for dataset in datasets:
        refuse_inside(out, dataset.root, "data set that is to be fused")
    plan = plan_fusion(datasets)
    if not force:
        refuse_overlaps(datasets, "They are not fused")
    if not drop_conflicts:
        refuse_conflicts(plan)
    inputs = _inputs(datasets, plan)
    dropped = tuple(conflict.sample_id for conflict in plan.conflicts)
    vocabulary = _Vocabulary()
    with dataset_writer(
        out,
        name=(name or "+".join(plan.names))[:_MAX_NAME],
        revision=revision or _revision(inputs, dropped),
        licence=_licence(inputs),
        overwrite=overwrite,
    ) as writer:
        samples = _samples(datasets, plan, vocabulary)
        _write(writer, track(samples, observer, "fuse pictures", sum(len(rows) for rows in plan.rows)))
        log = {"inputs": [asdict(item) for item in inputs], "dropped": [asdict(c) for c in plan.conflicts]}
        writer.attach(FUSION_LOG, canonical_json(log) + b"\n")
    _tell(plan, vocabulary, observer)
    return Fusion(
        dataset=open_dataset(out),
        inputs=inputs,
        n_shared=plan.n_shared,
        n_merged_groups=len(plan.groups),
        dropped=dropped,
        renamed_boxes=vocabulary.renamed,
        prefixed_sources=tuple(sorted(plan.shared_sources)),
    )


def _inputs(datasets: Sequence[DataSet], plan: FusionPlan) -> tuple[FusedInput, ...]:
    return tuple(
        FusedInput(
            name=short,
            dataset=dataset.name,
            revision=dataset.revision,
            sha256=dataset.sha256,
            licence=dataset.licence,
            pictures=len(dataset),
            kept=len(rows),
        )
        for short, dataset, rows in zip(plan.names, datasets, plan.rows, strict=True)
    )


def _write(writer: DataSetWriter, samples: Iterable[tuple[str, NewSample]]) -> None:
    for expected, sample in samples:
        if writer.add(sample) != expected:
            raise DataError(
                f"'{sample.origin}' was changed: its bytes are not those of the sample {expected[:12]}. Restore "
                "the picture, or import its data set again."
            )


class _Vocabulary:
    """Gives objects the types of the vocabulary, and counts those that had another."""

    def __init__(self) -> None:
        self.renamed = 0

    def box(self, box: NewBox) -> NewBox:
        kind = box_vocabulary().lookup(box.type)
        if not kind.known or (kind.name, kind.category) == (box.type, box.category):
            return box
        self.renamed += 1
        return replace(box, type=kind.name, category=kind.category)


def _samples(
    datasets: Sequence[DataSet], plan: FusionPlan, vocabulary: _Vocabulary
) -> Iterator[tuple[str, NewSample]]:
    """Yield each kept picture's id and its sample as it is in the new data set."""
    for which, (dataset, rows) in enumerate(zip(datasets, plan.rows, strict=True)):
        ids = dataset.samples["id"].to_pylist()
        licence = None if dataset.licence == _UNKNOWN_LICENCE else dataset.licence
        for row, sample in zip(rows, stored_samples(dataset, rows), strict=True):
            assert sample.group is not None
            fused = replace(
                sample,
                group=plan.group(which, sample.group),
                source=plan.source(which, sample.source),
                licence=sample.licence or licence,
                boxes=None if sample.boxes is None else tuple(vocabulary.box(box) for box in sample.boxes),
            )
            yield ids[row], fused


def _revision(inputs: Sequence[FusedInput], dropped: Sequence[str]) -> str:
    return f"fused-{sha256_json([[item.sha256 for item in inputs], list(dropped)])[:12]}"


def _licence(inputs: Sequence[FusedInput]) -> str:
    licences = {item.licence for item in inputs}
    if len(licences) == 1:
        return licences.pop()
    text = "; ".join(f"{item.name}: {item.licence}" for item in inputs)
    return (
        text if len(text) <= _MAX_LICENCE else f"several, see the samples: {text}"[: _MAX_LICENCE - 1] + "…"
    )


def _tell(plan: FusionPlan, vocabulary: _Vocabulary, observer: Observer) -> None:
    if plan.n_shared:
        observer.note(
            f"{plan.n_shared} pictures are in more than one data set, byte for byte; each is one sample, and "
            f"{len(plan.groups)} groups took the name of a group that they share a picture with."
        )
    if plan.n_split_differently:
        observer.note(
            f"{plan.n_split_differently} of these have different published splits; the kept copy's was taken. A split "
            "that honours them may not be what either author meant."
        )
    if plan.conflicts:
        observer.note(
            f"{len(plan.conflicts)} pictures under different labels were left out; {FUSION_LOG} lists them."
        )
    if vocabulary.renamed:
        observer.note(f"{vocabulary.renamed} objects got the name that the vocabulary has for their type.")
