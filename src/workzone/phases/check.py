"""Does a bundle meet its numbers, on this machine and these pictures?

The bundle answers as it serves: the same decoding, network, calibrator and policy; its speed is that of the real
answering path, without HTTP. The data set is `test`, opened through a grant, as in `compare`: what the bundle has
learned from is refused, since a check on it would reward memory. Risks are counted on one picture of each group,
chosen by the hash that a certificate goes by, so that the exact binomial test is valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.reader import Bundle
from workzone.calibration.groups import one_per_group
from workzone.core.errors import DataError
from workzone.core.observer import Observer
from workzone.core.scores import Scores
from workzone.core.types import Label, Role, Status, Verdict
from workzone.data.dataset import DataSet
from workzone.data.grants import Grant, Samples, count_runs
from workzone.data.split import Fractions, Split, make_split
from workzone.data.tables import strings
from workzone.engine.backend import Backend
from workzone.engine.live import LiveBundle, LiveSettings
from workzone.engine.load import ask_live
from workzone.engine.peak_memory import peak_memory_bytes
from workzone.engine.predictor import Predictor, open_verified
from workzone.engine.warm_up import WarmUp, warm_up
from workzone.evaluation.grouped import GroupedMeasures, Sampling, counted
from workzone.imaging.decode import DecodeLimits
from workzone.imaging.files import read_file
from workzone.phases.check_findings import Finding, Reading, judge, judge_risk, worst
from workzone.phases.check_limits import AtLeast, AtMost, CheckLimits, SamplingSection
from workzone.policy.risks import RISKS, empirical_risk
from workzone.policy.verdicts import CODES

MIB = 1 << 20
_EVERYTHING_TEST = Fractions(train=0.0, select=0.0, calib=0.0, test=1.0)


@dataclass(frozen=True, slots=True)
class CheckedOn:
    """What a bundle was checked on."""

    dataset_name: str
    dataset_sha256: str
    n: int
    """Decided pictures that it was asked about."""
    n_groups: int
    n_left_out: int
    """Pictures without a label, ambiguous ones, and those of groups that the bundle has learned from."""
    n_in_seen_groups: int
    """Of these, the latter."""
    test_openings: int
    """How many checks and comparisons of different bundles have looked at this data set, this one included."""


@dataclass(frozen=True, slots=True)
class BundleCheck:
    """What a check found."""

    digest: str
    limits: str
    """Name of the recipe."""
    status: Status
    """The worst of the findings."""
    findings: tuple[Finding, ...]
    on: CheckedOn
    best_batch: int


def check_bundle(
    path: Path,
    dataset: DataSet,
    limits: CheckLimits,
    *,
    leave_out_seen: bool,
    ledger: Path,
    observer: Observer,
) -> BundleCheck:
    """Ask a bundle under load and about every decided picture of `dataset`, and judge what comes.

    Args:
        path: The bundle's directory.
        dataset: Labelled; all of it is used as test.
        limits: What is judged, and how it is measured.
        leave_out_seen: Leave out groups with a picture that the bundle has learned from, instead of refusing.
        ledger: Where the look is written down.
        observer: Is told of progress.

    Raises:
        BundleError: The bundle cannot be opened.
        DataError: The bundle has learned from pictures of the data set, nothing is left, or a picture cannot be
            read.
        InferenceError: The model gave no finite logit.
    """
    bundle, backend = open_verified(path)
    split = make_split(dataset, _EVERYTHING_TEST, seed=0, observer=observer)
    tainted = _tainted(bundle, dataset, split, leave_out=leave_out_seen)
    grant = Grant("check", frozenset({Role.TEST}), dataset, ledger, run=f"check {bundle.digest[:16]}")
    samples = grant.open(split, Role.TEST)
    rows, in_seen = _kept(samples, tainted, dataset.name)
    warmed = warm_up(backend, bundle.preprocessing)
    readings = _speed(bundle, backend, warmed, [samples.paths[row] for row in rows], limits, observer)
    logits, features = Predictor(bundle, backend).score(
        [samples.paths[row] for row in rows], observer=observer, task="check"
    )
    scores = Scores(
        samples.ids[rows],
        samples.labels[rows],
        samples.ambiguous[rows],
        samples.groups[rows],
        logits,
        features,
    )
    codes = bundle.policy.decide(logits, features)
    readings += _quality(scores, bundle.calibrator.apply(logits), codes, limits.sampling)
    findings = (*_risks(bundle, scores, codes, split.sha256, limits.alpha), *_judged(readings, limits))
    return BundleCheck(
        digest=bundle.digest,
        limits=limits.name,
        status=worst(findings),
        findings=findings,
        on=CheckedOn(
            dataset_name=dataset.name,
            dataset_sha256=dataset.sha256,
            n=len(rows),
            n_groups=len(np.unique(scores.groups)),
            n_left_out=len(samples) - len(rows),
            n_in_seen_groups=in_seen,
            test_openings=count_runs(ledger, split.sha256, Role.TEST),
        ),
        best_batch=warmed.best_batch,
    )


def _tainted(bundle: Bundle, dataset: DataSet, split: Split, *, leave_out: bool) -> NDArray[np.str_]:
    """Return the groups with a picture that the bundle has learned from, or refuse them."""
    groups = strings(split.table, "group")
    seen = bundle.seen.overlap(strings(split.table, "id"))
    tainted: NDArray[np.str_] = np.unique(groups[seen])
    if len(tainted) and not leave_out:
        raise DataError(
            f"The bundle has learned from {int(seen.sum())} of the {len(seen)} pictures of data set "
            f"'{dataset.name}', in training, selection or calibration; expected none: a check on them would reward "
            "memory. Check on pictures that it has not seen, or add --unseen to leave out the "
            f"{counted(len(tainted), 'group')} that hold such pictures, whole."
        )
    return tainted


def _kept(samples: Samples, tainted: NDArray[np.str_], name: str) -> tuple[NDArray[np.intp], int]:
    """Return the rows to check on, and how many pictures are in groups that the bundle has learned from."""
    in_seen = np.isin(samples.groups, tainted)
    rows = np.flatnonzero(~in_seen & (samples.labels != Label.UNKNOWN) & ~samples.ambiguous)
    if len(rows) == 0:
        raise DataError(
            f"Nothing of data set '{name}' is left to check on: of {counted(len(samples), 'picture')}, "
            f"{int(in_seen.sum())} are in groups that the bundle has learned from, and the rest has no decided "
            "label. Label pictures that it has not seen."
        )
    return rows, int(in_seen.sum())


def _speed(
    bundle: Bundle,
    backend: Backend,
    warmed: WarmUp,
    paths: Sequence[Path],
    limits: CheckLimits,
    observer: Observer,
) -> list[Reading]:
    """Latency with one caller, throughput with several, and the memory that both took."""
    load = limits.load
    places = np.unique(np.linspace(0, len(paths) - 1, min(load.pictures, len(paths))).round().astype(int))
    most = DecodeLimits()
    pictures = [read_file(paths[place], most.max_bytes) for place in places]
    observer.progress("load", 0, 1)
    live = LiveBundle(bundle, backend, LiveSettings(queue_size=max(64, load.callers)), warmed)
    alone, together = ask_live(live, pictures, callers=(1, load.callers), seconds=load.seconds)
    observer.progress("load", 1, 1)
    readings = [Reading("throughput_per_s", together.answers, together.per_second)]
    for latency in alone.latencies:
        missing = None if latency.ms is not None else f"too few: {counted(alone.answers, 'answer')}"
        name = f"latency_p{latency.percentile}_ms"
        readings.append(Reading(name, alone.answers, latency.ms, missing=missing))
    peak = peak_memory_bytes()  # before the whole data set is scored in the largest batches
    missing = "the system does not say" if peak is None else None
    return [*readings, Reading("peak_memory_mib", 1, None if peak is None else peak / MIB, missing=missing)]


def _quality(
    scores: Scores, probs: NDArray[np.float64], codes: NDArray[np.int8], sampling: SamplingSection
) -> list[Reading]:
    """MCC at probability 0.5 and coverage, each with its interval over resampled groups."""
    positive, answered = scores.labels == Label.ROADWORK, codes != CODES[Verdict.DEFER]
    table = GroupedMeasures(scores.groups)
    table.mcc("mcc", positive, probs >= 0.5)
    table.rate("coverage", answered, np.ones(len(positive), dtype=np.bool_))
    measures = table.solve(Sampling(sampling.n_resamples, sampling.confidence, sampling.seed))
    with_roadwork, without = (len(np.unique(scores.groups[mask])) for mask in (positive, ~positive))
    few = None
    if min(with_roadwork, without) < sampling.min_groups:
        few = (
            f"too few: {counted(with_roadwork, 'group')} with road work, {without:,} without; "
            f"{sampling.min_groups} of each are asked for"
        )
    return [Reading(m.name, m.n, m.estimate, m.low, m.high, few or m.reason) for m in measures]


def _risks(
    bundle: Bundle, scores: Scores, codes: NDArray[np.int8], split_sha256: str, alpha: float | None
) -> list[Finding]:
    """The risks that the bundle promises, each on one picture a group."""
    settings = bundle.policy.settings
    found = []
    for place, limit in enumerate(settings.limits):
        rows = one_per_group(scores, RISKS[limit.risk].population, split_sha256)
        events, n = empirical_risk(limit.risk, scores.labels[rows], codes[rows])
        most = alpha if alpha is not None and place == 0 else limit.alpha
        found.append(judge_risk(str(limit.risk), events, n, most, settings.delta, bundle.policy.refusal))
    return found


def _judged(readings: Sequence[Reading], limits: CheckLimits) -> list[Finding]:
    limit_of: Mapping[str, AtLeast | AtMost | None] = {
        reading.name: getattr(limits, reading.name) for reading in readings
    }
    return [judge(r, limit) for r in readings if (limit := limit_of[r.name]) is not None]
