"""Whether something about the files gives the label away, so that a model could pass without looking.

Knows what is measured of each file (size, resolution, format, camera, source, colours), labels and groups; does
not know what the pictures show. For each predictor a small model is fitted to the other groups (group k-fold)
and asked about the held-out ones. By group, or a camera that made one sequence would seem to know its label.

How much decides the verdict, chance decides whether there is one: nothing is reported unless the interval over
resampled groups, at a confidence divided by the number of predictors, lies above 0.5. What a file weighs or where
it came from says nothing of the street: from a fifth of the way between chance and certainty on (AUROC 0.6) it
is a WARN, from half of it on (0.75) a FAIL. Colours are part of the picture, and orange is what road work is
painted in: a histogram is reported for comparison, and is a WARN only from 0.9 on, where pictures with and without
road work would have to come from different cameras, hours or weathers; it never fails a data set.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.lazy import require
from workzone.core.observer import NullObserver, Observer, track
from workzone.core.types import Label, Status
from workzone.data.checks.suspects import group_folds

if TYPE_CHECKING:
    from workzone.data.facts import PictureFacts

F64 = NDArray[np.float64]

MIN_GROUPS = 10
"""With either label; below, an interval over groups means nothing."""
N_RESAMPLES = 1000
ERROR_RATE = 0.05
"""Of the intervals of all predictors together (Bonferroni)."""
MAX_CATEGORIES = 100
"""Of a column; rarer values are one category."""
MIN_CATEGORY = 10
"""Pictures of a value that is named as one-sided."""
TASK = "shortcuts"


@dataclass(frozen=True, slots=True)
class Limits:
    """From which AUROC on a predictor is reported, where chance is excluded.

    Attributes:
        warn: In [0.5, 1].
        fail: None: never.
    """

    warn: float
    fail: float | None


ABOUT_THE_FILE = Limits(warn=0.6, fail=0.75)
ABOUT_THE_PICTURE = Limits(warn=0.9, fail=None)


@dataclass(frozen=True, slots=True)
class OneSided:
    """A value of a column whose pictures nearly all have one label.

    Attributes:
        value: As "camera=dashcam 2".
        pictures: That have it.
        roadwork: Of these, labelled road work.
    """

    value: str
    pictures: int
    roadwork: int


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How well one predictor alone gives the label of groups that it has not seen.

    Attributes:
        predictor: What it is: "file size", "resolution", "metadata", "source" or "colour histogram".
        auroc: Of the out-of-fold scores; 0.5 is chance, and by chance it lies below as often as above.
        low: Lower end of its interval over groups, nan where the predictor is constant.
        high: Upper end.
        mcc: Of the out-of-fold calls, labels weighted alike.
        status: By `auroc` and the limits of its kind, where `low` is above 0.5.
        constant: Whether all pictures have one value, which predicts nothing.
        one_sided: Values that nearly all mean one label, the most pictures first; of columns of names only.
    """

    predictor: str
    auroc: float
    low: float
    high: float
    mcc: float
    status: Status
    constant: bool
    one_sided: tuple[OneSided, ...] = ()

    def sentence(self) -> str:
        """Return the finding in words."""
        if self.constant:
            return f"{self.predictor}: the same for every picture."
        text = (
            f"{self.predictor} alone orders {self.auroc:.0%} of the pairs rightly ({self.low:.0%} to {self.high:.0%}; "
            f"chance 50%), MCC {self.mcc:.2f}"
        )
        sides = [f"{s.value}: {s.roadwork} of {s.pictures} road work" for s in self.one_sided]
        return f"{text}; {', '.join(sides)}." if sides else f"{text}."


@dataclass(frozen=True, slots=True)
class Shortcuts:
    """All predictors, and what they were judged on.

    Attributes:
        rows: One a predictor.
        pictures: Decodable ones with a known, unambiguous label.
        groups: Of these.
    """

    rows: tuple[Shortcut, ...]
    pictures: int
    groups: int

    @property
    def status(self) -> Status:
        """The worst of the rows."""
        return max((row.status for row in self.rows), key=list(Status).index)


@dataclass(frozen=True, slots=True, eq=False)
class _Predictor:
    """Numbers [N, D] or names [N, C], and the model they suit."""

    name: str
    limits: Limits
    values: NDArray[Any]
    columns: tuple[str, ...] = ()


def source_predicts_label(
    facts: PictureFacts,
    labels: NDArray[np.int8],
    groups: NDArray[np.str_],
    *,
    sources: Sequence[str | None],
    cameras: Sequence[str | None],
    ambiguous: NDArray[np.bool_] | None = None,
    folds: int = 5,
    seed: int = 0,
    observer: Observer | None = None,
) -> Shortcuts:
    """Measure how well file size, resolution, metadata, source and colours each predict the label.

    Args:
        facts: Of N pictures; those that could not be decoded are left out.
        labels: [N]; unknown ones are left out.
        groups: [N]; a group is never cut.
        sources: [N], None where not known, which is a value like any other.
        cameras: [N], likewise; with EXIF, file format and mode they are the metadata.
        ambiguous: [N], rows to leave out; None: none.
        folds: At least 2, at most 10.
        seed: Of folds and resamples.
        observer: Told of progress.

    Raises:
        DataError: Lengths differ, or fewer than 10 groups have either label: nothing can be said.
        MissingExtraError: scikit-learn is not installed.
    """
    n = len(labels)
    lengths = {
        len(facts.decoded),
        len(groups),
        len(sources),
        len(cameras),
        n if ambiguous is None else len(ambiguous),
    }
    if lengths != {n}:
        raise DataError(f"Rows of {sorted(lengths | {n})} lengths; expected one for each of {n} pictures.")
    if not 2 <= folds <= MIN_GROUPS:
        raise DataError(f"{folds} folds; expected 2 to {MIN_GROUPS}.")
    kept = (labels != Label.UNKNOWN) & facts.decoded
    rows = np.flatnonzero(kept if ambiguous is None else kept & ~ambiguous)
    given, names = labels[rows] == Label.ROADWORK, groups[rows]
    _enough_groups(given, names)
    held = group_folds(given, names, folds, seed)
    predictors = _predictors(facts, rows, sources, cameras)
    confidence = 1 - ERROR_RATE / len(predictors)
    found = tuple(
        _judge(predictor, given, names, held, confidence, seed)
        for predictor in track(predictors, observer or NullObserver(), TASK)
    )
    return Shortcuts(found, len(rows), len(np.unique(names)))


def _enough_groups(given: NDArray[np.bool_], names: NDArray[np.str_]) -> None:
    for label, word in ((True, "road work"), (False, "none")):
        found = len(np.unique(names[given == label]))
        if found < MIN_GROUPS:
            raise DataError(
                f"{found} groups have a picture labelled {word}; whether something predicts the label can be said "
                f"from {MIN_GROUPS} of each on. Label more sequences."
            )


def _predictors(
    facts: PictureFacts,
    rows: NDArray[np.intp],
    sources: Sequence[str | None],
    cameras: Sequence[str | None],
) -> list[_Predictor]:
    width, height = (a[rows].astype(np.float64) for a in (facts.width_px, facts.height_px))
    size = facts.n_bytes[rows].astype(np.float64)
    resolution = np.stack([width, height, width / np.maximum(height, 1), width * height], axis=1)
    metadata = np.stack(
        [
            _names(cameras)[rows],
            np.where(facts.has_exif[rows], "yes", "no").astype(object),
            facts.file_format[rows].astype(object),
            facts.mode[rows].astype(object),
        ],
        axis=1,
    )
    colours = np.sqrt(np.maximum(facts.colour_histogram[rows], 0)).astype(np.float64)  # Hellinger kernel
    return [
        _Predictor("file size", ABOUT_THE_FILE, size[:, None]),
        _Predictor("resolution", ABOUT_THE_FILE, resolution),
        _Predictor("metadata", ABOUT_THE_FILE, metadata, ("camera", "EXIF", "format", "mode")),
        _Predictor("source", ABOUT_THE_FILE, _names(sources)[rows][:, None], ("source",)),
        _Predictor("colour histogram", ABOUT_THE_PICTURE, colours),
    ]


def _names(values: Sequence[str | None]) -> NDArray[Any]:
    return np.array(["(none)" if value is None else value for value in values], dtype=object)


def _judge(
    predictor: _Predictor,
    given: NDArray[np.bool_],
    names: NDArray[np.str_],
    held: list[NDArray[np.intp]],
    confidence: float,
    seed: int,
) -> Shortcut:
    values = predictor.values
    if bool((values == values[0]).all()):
        return Shortcut(predictor.name, 0.5, np.nan, np.nan, 0.0, Status.PASS, constant=True)
    scores = np.full(len(given), np.nan)
    for test in held:
        learn = np.delete(np.arange(len(given)), test)
        model = _model(predictor)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a value that only the held-out groups have is no fault
            model.fit(values[learn], given[learn])
            scores[test] = model.predict_proba(values[test])[:, 1]
    auroc, low, high = auroc_interval(given, scores, names, confidence, seed)
    mcc = float(require("sklearn.metrics", "check").matthews_corrcoef(given, scores >= 0.5))
    status = _status(auroc, low, predictor.limits)
    sides = _one_sided(predictor, given) if status is not Status.PASS else ()
    return Shortcut(predictor.name, auroc, low, high, mcc, status, constant=False, one_sided=sides)


def _status(auroc: float, low: float, limits: Limits) -> Status:
    if low <= 0.5 or auroc < limits.warn:
        return Status.PASS
    return Status.WARN if limits.fail is None or auroc < limits.fail else Status.FAIL


def _model(predictor: _Predictor) -> Any:
    """Return a tree for a few numbers, a logistic regression for names and for histograms."""
    if predictor.columns:
        encoder = require("sklearn.preprocessing", "check").OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES
        )
        return require("sklearn.pipeline", "check").make_pipeline(encoder, _logistic(1.0))
    if predictor.limits is ABOUT_THE_PICTURE:
        return _logistic(10.0)
    return require("sklearn.tree", "check").DecisionTreeClassifier(
        max_depth=4, min_samples_leaf=MIN_CATEGORY, class_weight="balanced", random_state=0
    )


def _logistic(penalty: float) -> Any:
    linear_model = require("sklearn.linear_model", "check")
    return linear_model.LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000)


def auroc_interval(
    given: NDArray[np.bool_], scores: F64, names: NDArray[np.str_], confidence: float, seed: int
) -> tuple[float, float, float]:
    """Return the AUROC and a percentile interval from resampled groups, ties counting half.

    Args:
        given: [N], whether it is labelled road work; both occur.
        scores: [N].
        names: [N], groups.
        confidence: In (0, 1).
        seed: Of the resamples.
    """
    _, member = np.unique(names, return_inverse=True)
    distinct, place = np.unique(scores, return_inverse=True)
    n_groups, n_places = int(member.max()) + 1, len(distinct)
    rng = np.random.default_rng(seed)

    def area(weights: F64) -> float:
        positive = np.bincount(place, weights * given, n_places)
        negative = np.bincount(place, weights * ~given, n_places)
        pairs = positive.sum() * negative.sum()
        below = np.cumsum(negative) - negative
        return float((positive * (below + negative / 2)).sum() / pairs) if pairs else np.nan

    draws = [
        area(
            np.bincount(rng.integers(n_groups, size=n_groups), minlength=n_groups)[member].astype(np.float64)
        )
        for _ in range(N_RESAMPLES)
    ]
    tail = 50 * (1 - confidence)
    low, high = np.nanpercentile(draws, [tail, 100 - tail])
    return area(np.ones(len(given))), float(low), float(high)


def _one_sided(predictor: _Predictor, given: NDArray[np.bool_]) -> tuple[OneSided, ...]:
    """Return up to four values nine in ten of whose pictures have one label, the most pictures first."""
    found: list[OneSided] = []
    for column, title in enumerate(predictor.columns):
        distinct, member = np.unique(predictor.values[:, column].astype(str), return_inverse=True)
        pictures = np.bincount(member)
        roadwork = np.bincount(member, given).astype(np.intp)
        share = roadwork / pictures
        sided = np.flatnonzero((pictures >= MIN_CATEGORY) & ((share <= 0.1) | (share >= 0.9)))
        found += [
            OneSided(f"{title}={distinct[at][:60]}", int(pictures[at]), int(roadwork[at])) for at in sided
        ]
    return tuple(sorted(found, key=lambda side: -side.pictures)[:4])
