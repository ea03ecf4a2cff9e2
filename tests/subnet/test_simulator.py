"""What answers earn, against sequences drawn from them one by one, and intervals against their coverage."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest

from workzone.core.errors import ConfigError, DataError
from workzone.subnet.answers import Answers, ask
from workzone.subnet.expectation import steady_reward
from workzone.subnet.profiles import Source, profile
from workzone.subnet.rates import RateTable
from workzone.subnet.replay import Deck, replay
from workzone.subnet.reward import step_rewards
from workzone.subnet.simulator import expected_reward, reward_by_confidence

JANUARY = profile("2026-01")


def answers_of(
    n: int = 800,
    skill: float = 2.0,
    seed: int = 0,
    group_size: int = 4,
    shift_by_level: float = 0.0,
    common: float = 0.0,
) -> Answers:
    """A model whose logits are Gaussian by label, harder with the level, alike within a group."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) // group_size % 2).astype(np.int8)
    levels = rng.integers(4, size=n).astype(np.int8)
    groups = np.arange(n) // group_size
    shared = common * rng.standard_normal(groups.max() + 1)[groups]
    noise = math.sqrt(1 - common**2) * rng.standard_normal(n) + shared
    logits = np.where(labels == 1, 1, -1) * skill + 2 * noise + shift_by_level * levels
    sources = rng.choice(["real", "synthetic"], n)
    return Answers(
        labels, sources, levels, groups.astype(str), np.arange(n).astype(str), 1 / (1 + np.exp(-logits))
    )


def drawn_from(answers: Answers, probs: np.ndarray, n_steps: int = 60_000) -> float:
    """Mean reward of one long sequence: label, source and level drawn as validators do, then an answer of these."""
    rng = np.random.default_rng(3)
    cells = {
        (y, s, k): np.flatnonzero((answers.labels == y) & (answers.sources == s) & (answers.levels == k))
        for y in (0, 1)
        for s in ("synthetic", "real")
        for k in range(4)
    }
    keys = list(cells)
    picked = np.array([rng.choice(cells[keys[i]]) for i in rng.integers(16, size=n_steps)])
    return float(step_rewards(probs[picked], answers.labels[picked])[100:].mean())


@pytest.mark.parametrize("abstain_below", [0.0, 0.8])
def test_it_is_what_a_long_sequence_of_drawn_answers_earns(abstain_below: float) -> None:
    answers = answers_of(shift_by_level=0.8)
    found = expected_reward(answers, JANUARY, abstain_below=abstain_below, n_resamples=20, n_sequences=400)
    confident = np.maximum(answers.probs, 1 - answers.probs) >= abstain_below
    assert found.mean == pytest.approx(
        drawn_from(answers, np.where(confident, answers.probs, -1.0)), abs=0.015
    )
    assert found.overall.answered == pytest.approx(confident.mean(), abs=0.03)
    assert dict(found.window_quantiles)[0.5] == pytest.approx(found.mean, abs=0.03)
    assert found.warm_up < found.mean + 0.01
    # 0.95^45 is a tenth; the first answers of all are paid otherwise.
    assert found.score_after == pytest.approx(45, abs=6)


def test_a_perfect_model_earns_everything_and_a_coin_little(
    pictures: Callable[..., list], brightness: Callable[[bytes], float]
) -> None:
    deck = Deck.of(pictures(n=6, sources=(Source.SYNTHETIC, Source.REAL)), profile("2026-05"))
    sent = list(replay(deck, np.random.default_rng(0), 40))
    perfect = expected_reward(ask(brightness, sent), profile("2026-05"), n_resamples=50, n_sequences=50)
    assert (perfect.mean, perfect.low, perfect.high) == pytest.approx((1.0, 1.0, 1.0))
    assert perfect.missing == ((0, Source.CUSTOMER), (1, Source.CUSTOMER))
    assert [one.name for one in perfect.by_level] == ["level 0"]
    assert [one.name for one in perfect.by_source] == ["synthetic", "real"]
    assert perfect.warm_up == pytest.approx(1.0, abs=0.02)  # the first steps have one label only
    assert perfect.n == 40
    never = expected_reward(ask(lambda _: -1.0, sent), profile("2026-05"), n_resamples=50, n_sequences=50)
    assert (never.mean, never.low, never.high, never.warm_up) == (0, 0, 0, 0)
    assert never.score_after is None
    assert perfect.score_after == pytest.approx(45, abs=2)
    assert math.isnan(never.overall.recall)
    one_half = expected_reward(ask(lambda _: 0.5, sent), profile("2026-05"), n_resamples=50, n_sequences=50)
    assert one_half.overall.recall == one_half.overall.false_alarm_rate == 0  # 0.5 is "none"
    assert one_half.mean == pytest.approx(steady_reward([0.0], [0.0])[0])


def test_levels_and_sources_are_reported_apart_and_weighed_by_the_profile() -> None:
    answers = answers_of(n=1600, shift_by_level=1.5)
    # Level 0 twice as often as the others in the replay: the whole must not follow that.
    keep = np.flatnonzero((answers.levels == 0) | (np.arange(1600) % 2 == 0))
    answers = Answers(*(column[keep] for column in answers.columns), answers.probs[keep])
    found = expected_reward(answers, JANUARY, n_resamples=20, n_sequences=20)
    assert [one.name for one in found.by_level] == ["level 0", "level 1", "level 2", "level 3"]
    rates = [one.false_alarm_rate for one in found.by_level]
    assert rates == sorted(rates)
    assert found.overall.false_alarm_rate == pytest.approx(np.mean(rates), abs=0.02)
    assert (
        sum(one.n for one in found.by_level) == sum(one.n for one in found.by_source) == found.n == len(keep)
    )
    for one in found.by_level:
        rows = answers.levels == int(one.name[-1])
        assert one.n == rows.sum()
        assert one.n_groups == len(np.unique(answers.groups[rows]))
        assert one.mean == pytest.approx(steady_reward([one.recall], [one.false_alarm_rate])[0])


def test_intervals_are_of_groups() -> None:
    """The same answers four times over are no more evidence; each for itself they would be."""
    answers = answers_of(n=240, group_size=4, common=1.0)
    repeated = expected_reward(answers, JANUARY, n_resamples=400, n_sequences=10)
    alone = dataclasses.replace(answers, groups=np.arange(240).astype(str))
    apart = expected_reward(alone, JANUARY, n_resamples=400, n_sequences=10)
    assert repeated.mean == apart.mean
    assert repeated.high - repeated.low > 1.5 * (apart.high - apart.low)
    assert (repeated.n_groups, apart.n_groups) == (60, 240)
    assert repeated.low < repeated.mean < repeated.high


def test_intervals_cover_what_such_a_model_earns() -> None:
    may, p = profile("2026-05"), NormalDist().cdf(2.0 / 2)
    truth = steady_reward([p], [1 - p])[0]
    covered = 0
    for seed in range(40):
        answers = answers_of(n=400, seed=seed, common=0.7)
        easiest = dataclasses.replace(answers, levels=np.zeros(400, dtype=np.int8))
        found = expected_reward(easiest, may, n_resamples=150, n_sequences=2)
        covered += found.low <= truth <= found.high
    assert covered >= 33  # 38 expected; fewer than 33 is less likely than 1 in 100


def test_a_calibrated_model_gains_by_silence_where_it_is_unsure() -> None:
    """A Gaussian model of accuracy 0.93 with calibrated probabilities: 0.72 becomes 0.76 below confidence 0.7."""
    d = 2 * NormalDist().inv_cdf(0.93)
    n = 40_000
    labels = (np.arange(n) % 2).astype(np.int8)
    quantiles = (np.arange(n) // 2 + 0.5) / (n // 2)
    normal = np.array([NormalDist().inv_cdf(q) for q in quantiles])
    logits = np.where(labels == 1, 1, -1) * d * d / 2 + d * normal
    names = (np.arange(n) // 400).astype(str)
    answers = Answers(
        labels,
        np.full(n, "real"),
        np.zeros(n, dtype=np.int8),
        names,
        names,
        1 / (1 + np.exp(-logits)),
    )
    always, sure, surest = reward_by_confidence(answers, JANUARY, (0.5, 0.7, 0.99), n_resamples=2)
    assert always.overall.recall == pytest.approx(0.93, abs=1e-3)
    assert always.mean == pytest.approx(0.7245, abs=0.003)
    assert sure.mean == pytest.approx(0.762, abs=0.003)
    assert sure.overall.answered == pytest.approx(0.922, abs=0.003)
    assert surest.mean < always.mean  # silence is not free


def test_a_seed_repeats_it_and_the_observer_hears() -> None:
    class Counter:
        def __init__(self) -> None:
            self.done: list[tuple[str, int, int | None]] = []

        def progress(self, task: str, done: int, total: int | None) -> None:
            self.done.append((task, done, total))

        def note(self, message: str) -> None: ...

    watcher = Counter()
    one, again, other = (
        expected_reward(
            answers_of(n=100),
            profile("2026-05"),
            abstain_below=0.7,
            n_resamples=5,
            n_sequences=30,
            seed=seed,
            observer=watcher,
        )
        for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other
    assert watcher.done[-1] == ("simulated sequences", 30, 30)


def test_one_group_has_no_interval() -> None:
    answers = dataclasses.replace(answers_of(n=40), groups=np.full(40, "one"))
    found = expected_reward(answers, JANUARY, n_resamples=10, n_sequences=10)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.mean > 0


def test_a_slice_without_a_label_has_no_reward() -> None:
    answers = answers_of(n=80)
    real = Answers(
        *answers.columns[:1],
        np.where(answers.labels == 1, "real", "synthetic"),
        *answers.columns[2:],
        answers.probs,
    )
    found = expected_reward(real, JANUARY, n_resamples=10, n_sequences=10)
    assert [math.isnan(one.mean) for one in found.by_source] == [True, True]
    assert found.missing == ((0, Source.REAL), (1, Source.SYNTHETIC))
    assert not math.isnan(found.mean)


def test_rates_without_a_place_go_to_the_others() -> None:
    answers = Answers(
        labels=np.array([1, 1, 1, 0], dtype=np.int8),
        sources=np.array(["real", "real", "synthetic", "real"]),
        levels=np.array([0, 3, 0, 1], dtype=np.int8),
        groups=np.array(list("abcd")),
        pictures=np.array(list("abcd")),
        probs=np.array([0.9, 0.2, 0.4, 0.7]),
    )
    table = RateTable.of(answers, JANUARY)
    rates = table.rates(table.where(), table.totals)
    assert (rates.recall[0], rates.false_alarm_rate[0]) == pytest.approx((1 / 3, 1.0))
    real = table.rates(table.where(source=Source.REAL), table.totals)
    assert real.recall[0] == pytest.approx(0.5)
    assert RateTable.of(answers, JANUARY, abstain_below=0.8).complete is False
    assert table.complete


def test_what_cannot_be_computed_is_refused() -> None:
    answers = answers_of(n=40)
    for wrong in (-0.1, 1.1):
        with pytest.raises(ConfigError, match="expected 0 to 1"):
            expected_reward(answers, JANUARY, abstain_below=wrong)
    with pytest.raises(ConfigError, match="0 sequences"):
        expected_reward(answers, JANUARY, n_sequences=0)
    positive = answers.labels == 1
    ones = Answers(*(column[positive] for column in answers.columns), answers.probs[positive])
    with pytest.raises(DataError, match="of one label"):
        expected_reward(ones, JANUARY)
    with pytest.raises(DataError, match="resamples"):
        expected_reward(answers, JANUARY, n_resamples=0)
