"""The operating point of a bundle under a challenge profile: fitted on its own `select`, and written into a copy.

Joins bundle, engine, data set and subnet; the fitting itself is `workzone.subnet.operating_point`'s, the writing
`workzone.bundle.operating_point`'s.

The decision a reader would question: where cross-fitting says that moving the threshold brings nothing, it stays where
the bundle's plain probability is one half. The choice is made on `select` alone, so what is reported elsewhere knows
nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workzone.bundle.manifest import OperatingPoint
from workzone.bundle.operating_point import check_target, write_with_operating_point
from workzone.bundle.reader import Bundle
from workzone.core.errors import DataError
from workzone.core.observer import Observer
from workzone.data.dataset import DataSet
from workzone.engine.predictor import Predictor
from workzone.phases.subnet_asking import (
    FIT_STREAM,
    ReplaySettings,
    ask_in_batches,
    check_sends,
    logit_at_half,
)
from workzone.phases.subnet_pictures import FittingPictures, PictureCounts, open_select
from workzone.subnet.answers import answer_weights
from workzone.subnet.operating_point import fit_threshold
from workzone.subnet.profiles import Profile
from workzone.subnet.replay import Deck


@dataclass(frozen=True, slots=True)
class PointFit:
    """An operating point, and what is known of it on the pictures that it was fitted on."""

    threshold: float
    moved: bool
    """False: cross-fitting saw no gain, so the threshold is where the plain probability is one half."""
    in_sample_reward: float
    """Of the fitted threshold, on what it was fitted on: rather too good, by the choice."""
    cross_fitted_reward: float
    cross_fitted_gain: float
    """Against plain answers; each group decided by a threshold that was fitted without it."""
    challenges: int
    counts: PictureCounts


def write_operating_point(
    predictor: Predictor,
    dataset: DataSet,
    profile: Profile,
    out: Path,
    *,
    settings: ReplaySettings,
    ledger: Path,
    observer: Observer,
) -> tuple[Bundle, PointFit]:
    """Fit the operating point of the predictor's bundle for a profile, and write a copy of the bundle that has it.

    Args:
        predictor: The bundle, through the engine.
        dataset: The one that the bundle was made with; only its pictures of the bundle's `select` are opened.
        profile: What validators send.
        out: A new directory.
        settings: How much is asked, and the seed.
        ledger: Where the look at them is written down.
        observer: Is told of progress.

    Raises:
        ConfigError: Nothing is sent under the profile, or `out` holds files already.
        DataError: As `fit_operating_point`.
        BundleError: A file of the bundle was changed since it was opened.
    """
    check_target(predictor.bundle.path, out)  # before minutes of fitting
    run = f"subnet point {predictor.bundle.digest[:16]} {profile.name}"
    found = open_select(predictor.bundle, dataset, run=run, ledger=ledger)
    fit = fit_operating_point(predictor, found, profile, settings=settings, observer=observer)
    point = OperatingPoint(profile=profile.name, threshold=fit.threshold)
    how = "fitted on" if fit.moved else "kept where the probability is one half, after a trial on"
    note = (
        f"It was {how} {fit.challenges:,} replayed challenges of {fit.counts.n:,} pictures of `select`; nothing else "
        "of this bundle was changed, and its certificate does not speak of it."
    )
    return write_with_operating_point(predictor.bundle, out, point, card_note=note), fit


def fit_operating_point(
    predictor: Predictor,
    found: FittingPictures,
    profile: Profile,
    *,
    settings: ReplaySettings,
    observer: Observer,
) -> PointFit:
    """Fit the logit at which the bundle should turn, on a label-balanced replay of its own `select`.

    Raises:
        ConfigError: Nothing is sent under the profile.
        DataError: The pictures of `select` are not there or too few, or the threshold cannot be fitted on them.
        InferenceError: The model gave no finite logit.
    """
    check_sends(profile)
    if found.too_few is not None:
        raise DataError(
            f"{found.too_few} Name the data set that the bundle was made with: a point that is fitted on what is "
            "certified or reported would flatter both."
        )
    deck = Deck.of(found.pictures, profile)
    logits = ask_in_batches(predictor, deck, settings, FIT_STREAM, observer, "challenges of select")
    fitted = fit_threshold(
        logits.logits,
        logits.labels,
        logits.groups,
        weights=answer_weights(logits, profile),
        baseline=logit_at_half(predictor.bundle.calibrator),
        seed=settings.seed,
    )
    moved = fitted.cross_fitted_gain > 0
    return PointFit(
        threshold=fitted.threshold if moved else fitted.baseline,
        moved=moved,
        in_sample_reward=fitted.in_sample_reward,
        cross_fitted_reward=fitted.cross_fitted_reward,
        cross_fitted_gain=fitted.cross_fitted_gain,
        challenges=settings.challenges,
        counts=found.counts,
    )
