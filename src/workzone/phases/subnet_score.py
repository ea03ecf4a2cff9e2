"""What a bundle would earn as a miner: its answers to replayed challenges, on pictures that it has never seen.

Joins bundle, engine, data set and subnet; how challenges are made, what is paid and how a threshold is fitted is
`workzone.subnet`'s. Each challenge goes through the bundle as served, once; plain and mapped answers are two readings
of the same logits, so their difference is a paired one.

The decision a reader would question: a point that the bundle already has for the profile is judged as it is, and one is
fitted only where there is none: what is asked is what *this* bundle would earn. Whoever fits one fits it on `select`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from workzone.bundle.manifest import OperatingPoint
from workzone.core.errors import DataError
from workzone.core.observer import Observer
from workzone.data.dataset import DataSet
from workzone.engine.predictor import Predictor
from workzone.metrics.bootstrap import Interval
from workzone.phases.subnet_asking import (
    REPORT_STREAM,
    ReplaySettings,
    ask_in_batches,
    check_sends,
    logit_at_half,
)
from workzone.phases.subnet_pictures import LeftOut, PictureCounts, open_select, open_unseen
from workzone.phases.subnet_point import PointFit, fit_operating_point
from workzone.subnet.answers import Answers, Logits, answer_weights
from workzone.subnet.operating_point import judge
from workzone.subnet.profiles import Profile
from workzone.subnet.replay import Deck
from workzone.subnet.simulator import Reward, expected_reward, reward_by_confidence

_TASK = "rewards"
_GAP_RESAMPLES = 500
"""Where answers are left out, each resample simulates windows of its own."""


class Origin(StrEnum):
    """Where the threshold of the map comes from."""

    BUNDLE = "bundle"
    """It is the bundle's operating point."""
    SELECT = "select"
    """It was fitted here, on the bundle's pictures of `select`."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """The answers with the map that puts a threshold at one half."""

    origin: Origin
    threshold: float
    fit: PointFit | None
    """None where the point is the bundle's."""
    reward: Reward
    gain: Interval
    """Its reward less the plain one's, over the same resamples of groups."""


@dataclass(frozen=True, slots=True)
class SubnetScore:
    """What a bundle would earn under a profile, and on which pictures that was found."""

    digest: str
    profile: str
    dataset_name: str
    dataset_sha256: str
    settings: ReplaySettings
    scored: PictureCounts
    """The unseen pictures; of these, what the profile uses was sent."""
    left_out: LeftOut
    test_openings: int
    """How many different bundles and profiles were tried on these pictures, this one included."""
    against_label_rule: int
    """Pictures that validators would not use, because label and caption disagree."""
    of_other_sources: int
    """Pictures of sources that the profile does not use."""
    pictures_asked: int
    """Different pictures among the challenges."""
    plain: Reward
    """Of the bundle's own probabilities, decided at 0.5."""
    mapped: Mapped | None
    no_map: str | None
    """Why there is no map, as a sentence."""
    by_confidence: tuple[Reward, ...]
    """With no answer below a confidence; empty unless asked for."""


def score_on_subnet(
    predictor: Predictor,
    dataset: DataSet,
    profile: Profile,
    *,
    settings: ReplaySettings,
    abstaining: bool,
    ledger: Path,
    observer: Observer,
) -> SubnetScore:
    """Replay a profile on what the bundle has never seen of `dataset`, and return what its answers earn.

    Args:
        predictor: The bundle, through the engine.
        dataset: Labelled.
        profile: What validators send.
        settings: How much is asked, and the seed.
        abstaining: Also say what leaving out unsure answers would earn.
        ledger: Where the look at the pictures is written down.
        observer: Is told of progress, and of what the data lack.

    Raises:
        ConfigError: Nothing is sent under the profile.
        DataError: Too few unseen groups of a label are left, or a picture cannot be read.
        InferenceError: The model gave no finite logit.
    """
    check_sends(profile)
    bundle = predictor.bundle
    run = f"subnet score {bundle.digest[:16]} {profile.name}"
    opened = open_unseen(bundle, dataset, run=run, ledger=ledger, observer=observer)
    deck = Deck.of(opened.pictures, profile)
    point, no_map = _point(predictor, dataset, profile, settings, ledger, observer)
    if no_map is not None:
        observer.note(f"No map to 0.5: {no_map}")  # before minutes of asking
    logits = ask_in_batches(predictor, deck, settings, REPORT_STREAM, observer, "challenges")
    observer.progress(_TASK, 0, 3)
    plain = _reward(Answers(*logits.columns, bundle.calibrator.apply(logits.logits)), profile, settings)
    observer.progress(_TASK, 1, 3)
    mapped = None if point is None else _mapped(predictor, point, profile, logits, settings)
    observer.progress(_TASK, 2, 3)
    by_confidence = _by_confidence(predictor, point, profile, logits, settings) if abstaining else ()
    observer.progress(_TASK, 3, 3)
    return SubnetScore(
        digest=bundle.digest,
        profile=profile.name,
        dataset_name=dataset.name,
        dataset_sha256=dataset.sha256,
        settings=settings,
        scored=opened.counts,
        left_out=opened.left_out,
        test_openings=opened.test_openings,
        against_label_rule=deck.against_label_rule,
        of_other_sources=deck.of_other_sources,
        pictures_asked=len(np.unique(logits.pictures)),
        plain=plain,
        mapped=mapped,
        no_map=no_map,
        by_confidence=by_confidence,
    )


@dataclass(frozen=True, slots=True)
class _Point:
    origin: Origin
    threshold: float
    fit: PointFit | None
    fitted_on: frozenset[str]
    """Groups; none of them is known for the bundle's own point, and none of its `select` is among the unseen."""


def _point(
    predictor: Predictor,
    dataset: DataSet,
    profile: Profile,
    settings: ReplaySettings,
    ledger: Path,
    observer: Observer,
) -> tuple[_Point | None, str | None]:
    """Return the point that the map turns at, or why there is none."""
    bundle = predictor.bundle
    sealed = bundle.manifest.operating_point
    if sealed is not None and sealed.profile == profile.name:
        return _Point(Origin.BUNDLE, sealed.threshold, None, frozenset()), None
    run = f"subnet score {bundle.digest[:16]} {profile.name}"
    found = open_select(bundle, dataset, run=run, ledger=ledger)
    if found.too_few is not None:
        return None, f"{found.too_few} {_other_point(sealed, profile.name)}"
    try:
        fit = fit_operating_point(predictor, found, profile, settings=settings, observer=observer)
    except DataError as error:
        # What is wrong with `select` says nothing against a score of plain answers on other pictures.
        return None, f"No point can be fitted on `select`: {error} {_other_point(sealed, profile.name)}"
    groups = frozenset(picture.group for picture in found.pictures)
    return _Point(Origin.SELECT, fit.threshold, fit, groups), None


def _other_point(point: OperatingPoint | None, wanted: str) -> str:
    if point is None:
        return f"The bundle has no operating point either, for '{wanted}' or any other profile."
    return f"The bundle's operating point is for profile '{point.profile}', not for '{wanted}'."


def _mapped(
    predictor: Predictor, point: _Point, profile: Profile, logits: Logits, settings: ReplaySettings
) -> Mapped:
    """Return the reward at the point, and what it is more than that of the plain probability at 0.5.

    The gain is a paired one: both are decided on the same challenges.
    """
    judged = judge(
        point.threshold,
        logits.logits,
        logits.labels,
        logits.groups,
        fitted_on=point.fitted_on,
        baseline=logit_at_half(predictor.bundle.calibrator),
        weights=answer_weights(logits, profile),
        n_resamples=settings.n_resamples,
        seed=settings.seed,
    )
    reward = _reward(logits.at(point.threshold), profile, settings)
    return Mapped(point.origin, point.threshold, point.fit, reward, judged.gain)


def _by_confidence(
    predictor: Predictor, point: _Point | None, profile: Profile, logits: Logits, settings: ReplaySettings
) -> tuple[Reward, ...]:
    """Return the rewards of answers that are left out below a confidence: mapped ones, where there is a map."""
    if point is None:
        answers = Answers(*logits.columns, predictor.bundle.calibrator.apply(logits.logits))
    else:
        answers = logits.at(point.threshold)
    resamples = min(_GAP_RESAMPLES, settings.n_resamples)
    return reward_by_confidence(answers, profile, n_resamples=resamples, seed=settings.seed)


def _reward(answers: Answers, profile: Profile, settings: ReplaySettings) -> Reward:
    return expected_reward(answers, profile, n_resamples=settings.n_resamples, seed=settings.seed)
