"""What a model would earn: from its answers to a replay to the expected reward, with an interval.

Knows answers, groups and the profile's shares; does not know pictures or models. Each challenge is asked once; all
else is arithmetic. Validators draw challenges independently, so what is earned in the long run depends only on how
often road work is called on either label, and is computed from those rates (`expectation`), weighted by the profile's
shares of sources and levels. What spreads about that mean, and how a new hotkey begins, is simulated.

The decision to question: intervals resample *groups* of pictures, not challenges. Asking about the same ten street
corners ten thousand times says little about the next corner. They hold for pictures like these; they know nothing of
pictures that the data lack (`Reward.missing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, DataError
from workzone.core.observer import NullObserver, Observer, track
from workzone.metrics.bootstrap import Interval, bootstrap_totals
from workzone.subnet.answers import Answers
from workzone.subnet.expectation import steady_reward, steady_reward_with_gaps
from workzone.subnet.profiles import Profile, Source
from workzone.subnet.protocol import NO_ANSWER
from workzone.subnet.rates import Rates, RateTable
from workzone.subnet.reward import MCC_WINDOW, score_ema, step_rewards

F64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

TASK = "simulated sequences"
INTERVALS = "intervals by level and source"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Below which `reward_by_confidence` gives no answer; 0.5: always answers."""
_WINDOWS = 50_000  # drawn where not everything is answered: a standard error of about 0.001
_WINDOWS_OF_A_RESAMPLE = 400  # one of about 0.01, beside a spread among resamples of several times that
_SEQUENCES_AT_ONCE = 500
SCORE_REACHED = 0.9
"""Share of the expected reward from which on a score counts as having reached it."""


@dataclass(frozen=True, slots=True)
class SliceReward:
    """What would be earned if only these challenges were sent, labels evenly."""

    name: str
    n: int
    """Challenges."""
    n_groups: int
    recall: float
    """Share of the answered road work that is called so."""
    false_alarm_rate: float
    """Share of the answered none that is called road work."""
    answered: float
    """Share of the challenges with an answer, labels evenly."""
    mean: float
    """Expected reward of a step; nan where a label is missing."""
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reward:
    """What would be earned per step, in [0, 1], once a hotkey's first hundred answers are behind it."""

    profile: str
    mean: float
    low: float
    """Of the interval by resampled groups; nan with fewer than two groups."""
    high: float
    confidence: float
    abstain_below: float
    n: int
    n_groups: int
    overall: SliceReward
    by_level: tuple[SliceReward, ...]
    by_source: tuple[SliceReward, ...]
    window_quantiles: tuple[tuple[float, float], ...]
    """(share, mean reward over 100 steps in a row that this share of such windows stay below)."""
    warm_up: float
    """Mean reward of a new hotkey's first 100 steps."""
    score_after: int | None
    """Steps after which a new hotkey's score with a validator (`score_ema`), on average, is nine tenths of `mean`;
    None: more than 200, or nothing is earned."""
    missing: tuple[tuple[int, Source], ...]
    """Labels and sources that the profile sends and no answer is of; their shares went to the others."""


def expected_reward(
    answers: Answers,
    profile: Profile,
    *,
    abstain_below: float = 0.0,
    n_resamples: int = 2000,
    n_sequences: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    observer: Observer | None = None,
) -> Reward:
    """Return what these answers earn per step in the long run under a profile.

    Args:
        answers: To a replay of the profile.
        profile: Its shares of sources and levels.
        abstain_below: An answer whose confidence max(p, 1 - p) is below this becomes -1; 0 or 0.5: none does.
        n_resamples: Of groups, for the intervals.
        n_sequences: Simulated hotkeys, for the quantiles and the warm-up.
        confidence: Of the intervals.
        seed: Of everything drawn.
        observer: Is told the progress.

    Raises:
        ConfigError: `abstain_below` is outside [0, 1], or there is no sequence.
        DataError: Nothing was asked of one of the labels, or a bootstrap argument is out of range.
    """
    if not 0 <= abstain_below <= 1 or n_sequences < 1:
        raise ConfigError(
            f"Confidence {abstain_below} and {n_sequences} sequences; expected 0 to 1, and at least one sequence."
        )
    table = RateTable.of(answers, profile, abstain_below)
    rates = table.rates(table.where(), table.totals)
    if np.isnan(rates.answered).any():
        raise DataError(
            f"The {len(answers)} answers are of one label under profile '{profile.name}', or of none; validators ask "
            "for both equally often. Replay pictures of both."
        )
    slices = _slices(table, profile)
    rng = np.random.default_rng(seed)
    watcher = observer or NullObserver()

    def rewards(totals: F64) -> F64:
        parts = track(slices, watcher, INTERVALS)
        return np.stack([_rewards(table, chosen, totals, rng) for _, chosen in parts], axis=1)

    intervals = bootstrap_totals(answers.groups, table.columns, rewards, n_resamples, confidence, seed)
    overall, *parts = (
        _sliced(table, name, chosen, found, answers)
        for (name, chosen), found in zip(slices, intervals, strict=True)
    )
    paid = _simulated(rates, n_sequences, rng, watcher)
    quantiles = np.quantile(paid[:, MCC_WINDOW:].mean(axis=1), QUANTILES).tolist()
    return Reward(
        profile=profile.name,
        mean=overall.mean,
        low=overall.low,
        high=overall.high,
        confidence=confidence,
        abstain_below=abstain_below,
        n=overall.n,
        n_groups=overall.n_groups,
        overall=overall,
        by_level=tuple(parts[: len(profile.levels)]),
        by_source=tuple(parts[len(profile.levels) :]),
        window_quantiles=tuple(zip(QUANTILES, quantiles, strict=True)),
        warm_up=float(paid[:, :MCC_WINDOW].mean(axis=1).mean()),
        score_after=_score_after(paid, overall.mean),
        missing=table.missing,
    )


def reward_by_confidence(
    answers: Answers,
    profile: Profile,
    confidences: Sequence[float] = CONFIDENCES,
    *,
    n_resamples: int = 500,
    seed: int = 0,
    observer: Observer | None = None,
) -> tuple[Reward, ...]:
    """Return `expected_reward` for several confidences below which no answer is given.

    Choosing the best of them on the same answers flatters it; choose on other groups than are reported on.
    """
    return tuple(
        expected_reward(
            answers, profile, abstain_below=below, n_resamples=n_resamples, seed=seed, observer=observer
        )
        for below in confidences
    )


def _slices(table: RateTable, profile: Profile) -> list[tuple[str, Flags]]:
    """Everything, then each level, then each source that was asked of."""
    sources = [(source.value, table.where(source=source)) for source in profile.sources]
    return [
        ("all", table.where()),
        *((f"level {level.number}", table.where(level=level.number)) for level in profile.levels),
        *((name, chosen) for name, chosen in sources if table.rows(chosen).any()),
    ]


def _rewards(table: RateTable, chosen: Flags, totals: F64, rng: np.random.Generator) -> F64:
    rates = table.rates(chosen, totals)
    if table.complete:
        return steady_reward(rates.recall, rates.false_alarm_rate)
    n_windows = _WINDOWS if len(totals) == 1 else _WINDOWS_OF_A_RESAMPLE
    return steady_reward_with_gaps(rates.recall, rates.false_alarm_rate, rates.answered, rng, n_windows)


def _sliced(table: RateTable, name: str, chosen: Flags, found: Interval, answers: Answers) -> SliceReward:
    rates, rows = table.rates(chosen, table.totals), table.rows(chosen)
    return SliceReward(
        name=name,
        n=int(rows.sum()),
        n_groups=len(np.unique(answers.groups[rows])),
        recall=float(rates.recall[0]),
        false_alarm_rate=float(rates.false_alarm_rate[0]),
        answered=float(rates.answered[0].mean()),
        mean=found.estimate,
        low=found.low,
        high=found.high,
    )


def _simulated(rates: Rates, n_sequences: int, rng: np.random.Generator, observer: Observer) -> F64:
    """Rewards of new hotkeys' first 200 steps, [n_sequences, 200]."""
    answered, called = rates.answered[0], np.array([rates.false_alarm_rate[0], rates.recall[0]])
    paid = np.empty((n_sequences, 2 * MCC_WINDOW))
    for start in range(0, n_sequences, _SEQUENCES_AT_ONCE):
        observer.progress(TASK, start, n_sequences)
        part = slice(start, min(n_sequences, start + _SEQUENCES_AT_ONCE))
        labels = rng.integers(2, size=paid[part].shape)
        # A rate of nan stands for a label that is never answered: nothing is below it.
        decisions = (rng.random(labels.shape) < called[labels]).astype(np.float64)
        silent = rng.random(labels.shape) >= answered[labels]
        paid[part] = step_rewards(np.where(silent, NO_ANSWER, decisions), labels)
    observer.progress(TASK, n_sequences, n_sequences)
    return paid


def _score_after(paid: F64, mean: float) -> int | None:
    scores = score_ema(paid.mean(axis=0))  # an average of averages: the order does not matter
    reached = scores >= SCORE_REACHED * mean
    return int(np.argmax(reached)) + 1 if mean > 0 and reached.any() else None
