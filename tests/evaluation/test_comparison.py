"""A comparison against direct computation, known systems, and its own promises by simulation."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import matthews_corrcoef

from workzone.core.errors import DataError
from workzone.evaluation.comparison import compare
from workzone.evaluation.comparison_records import Finding, Shown
from workzone.evaluation.grouped import Sampling
from workzone.evaluation.paired_tests import one_per_group
from workzone.evaluation.system_answers import SystemAnswers
from workzone.metrics.bootstrap import bootstrap_statistics
from workzone.metrics.selective import selective_counts

RATES = {
    "selective_fnr": "selective FNR",
    "false_alarm_rate": "false-alarm rate",
    "coverage": "coverage",
}
FEW = Sampling(n_resamples=400, confidence=0.95, seed=1)


def system(
    name: str,
    skill: float,
    n_groups: int = 120,
    frames: int = 2,
    seed: int = 0,
    own: int = 1,
    t_lo: float = 0.2,
) -> SystemAnswers:
    """Pictures and labels follow `seed`, the system's noise `own`; answers none below `t_lo`, road work from 0.7."""
    rng, noise = np.random.default_rng(seed), np.random.default_rng(1000 + own)
    groups = np.repeat(np.arange(n_groups), frames)
    positive = (np.arange(n_groups) % 2 == 0)[groups]
    n = len(groups)
    shared = rng.normal(size=n_groups)[groups]
    logits = np.where(positive, skill, -skill) + 0.5 * shared + noise.normal(size=n)
    probs = 1 / (1 + np.exp(-logits))
    return SystemAnswers(
        name=name,
        ids=np.array([f"{i:05d}" for i in range(n)]),
        groups=np.array([f"g{g:03d}" for g in groups]),
        positive=positive,
        probs=probs,
        codes=np.where(probs >= 0.7, 1, np.where(probs < t_lo, 0, -1)).astype(np.int8),
    )


def with_errors(like: SystemAnswers, wrong: np.ndarray, codes: np.ndarray | None = None) -> SystemAnswers:
    """A system that is wrong, at probability 0.5, just where it is said to be; by default it answers everything."""
    called = like.positive ^ wrong
    answered = called.astype(np.int8) if codes is None else codes
    return replace(like, probs=np.where(called, 0.9, 0.1), codes=answered)


def test_every_number_equals_its_direct_computation() -> None:
    a, b = system("old", 1.0), system("new", 1.3, own=2)
    found = compare(a, b, sampling=FEW)
    for one, side in ((a, "a"), (b, "b")):
        counts = selective_counts(one.positive.astype(int), one.codes)
        for name in ("selective_fnr", "committed_miss_rate", "false_alarm_rate", "coverage"):
            assert getattr(found.measure(name), side).estimate == pytest.approx(getattr(counts, name))
        mcc = matthews_corrcoef(one.positive, one.probs >= 0.5)
        assert getattr(found.measure("mcc_at_half"), side).estimate == pytest.approx(mcc)

    def difference(rows: np.ndarray) -> np.ndarray:
        y = a.positive[rows]
        return np.array(
            [matthews_corrcoef(y, b.probs[rows] >= 0.5) - matthews_corrcoef(y, a.probs[rows] >= 0.5)]
        )

    slow = bootstrap_statistics(a.groups, difference, 400, 0.95, 1)[0]
    mcc = found.measure("mcc_at_half").difference
    assert (mcc.estimate, mcc.low, mcc.high) == pytest.approx((slow.estimate, slow.low, slow.high))
    assert (found.n, found.n_groups, found.n_positives, found.largest_group) == (240, 120, 120, 2)


def test_a_clearly_better_system_is_found_and_a_clearly_worse_one_too() -> None:
    a, b = system("old", 0.5), system("new", 2.5, own=2)
    found = compare(a, b, sampling=FEW)
    assert found.finding is Finding.B_BETTER
    assert found.statement.startswith("B is better. MCC at probability 0.5 is ")
    turned = compare(b, a, sampling=FEW)
    assert turned.finding is Finding.A_BETTER
    assert turned.statement.startswith("A is better.")
    one, other = found.measure("mcc_at_half").difference, turned.measure("mcc_at_half").difference
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_a_difference_that_is_not_shown_says_what_would_have_been_seen() -> None:
    found = compare(system("old", 1.0), system("new", 1.05, own=2), sampling=FEW)
    assert found.finding is Finding.NOT_SHOWN
    mcc, accuracy, *rates = found.detectable
    assert "not shown that B is better" in found.statement
    assert "With 80% chance this comparison would have shown a true difference of" in found.statement
    for size, name in ((mcc, "MCC"), (accuracy, "accuracy"), *zip(rates, RATES.values(), strict=True)):
        assert f"{size.difference:.3f} in {name}" in found.statement
    assert [rate.name for rate in rates] == list(RATES)
    for rate in rates:
        d = found.measure(rate.name).difference
        assert rate.difference == pytest.approx(2.8 * (d.high - d.low) / 3.92, rel=0.15)
    d = found.measure("mcc_at_half").difference
    assert mcc.difference == pytest.approx(2.8 * (d.high - d.low) / 3.92, rel=0.15)


def test_more_right_answers_do_not_make_up_for_missed_road_work() -> None:
    base = system("base", 1.0, n_groups=200, frames=1)
    negative = np.flatnonzero(~base.positive)
    positive = np.flatnonzero(base.positive)
    wrong_a, wrong_b = np.zeros(200, dtype=bool), np.zeros(200, dtype=bool)
    wrong_a[negative[:60]] = True  # A raises many false alarms and misses nothing
    wrong_b[positive[:12]] = True  # B is right far more often, but misses road work
    found = compare(with_errors(base, wrong_a), with_errors(base, wrong_b), sampling=FEW)
    assert found.measure("mcc_at_half").difference.low > 0
    assert found.measure("selective_fnr").difference.low > 0
    assert found.finding is Finding.NOT_SHOWN
    assert "do not make up for more missed road work" in found.statement


def test_the_tests_are_mcnemars_on_the_right_pictures() -> None:
    base = system("base", 1.0, n_groups=200, frames=1)
    wrong_a, wrong_b = np.zeros(200, dtype=bool), np.zeros(200, dtype=bool)
    wrong_a[:25] = True
    wrong_b[25:35] = True
    found = compare(with_errors(base, wrong_a), with_errors(base, wrong_b), sampling=FEW)
    assert found.group_tests == ()
    every, positives = found.mcnemar
    assert (every.only_a_right, every.only_b_right) == (10, 25)
    assert every.exact_p == pytest.approx(0.0166738, abs=5e-8)
    assert every.mid_p == pytest.approx(0.0113310, abs=5e-8)
    assert "independent" in every.note
    assert (positives.pictures, positives.n) == ("positives", 100)
    assert (positives.only_a_right, positives.only_b_right) == (5, 13)
    assert positives.exact_p == pytest.approx(stats.binomtest(5, 18).pvalue)


def test_groups_of_several_pictures_get_the_tests_that_are_valid_for_them() -> None:
    base = system("base", 1.0, n_groups=20, frames=12)
    group = np.repeat(np.arange(20), 12)
    found = compare(
        with_errors(base, np.isin(group, [0, 1, 2, 4])), with_errors(base, group == 3), sampling=FEW
    )
    every, single, positives, single_positives = found.mcnemar
    assert every.mid_p < 1e-5  # as if 60 frames were 60 pictures
    assert "rely on" in every.note
    assert (single.sampling, single.n) == ("one per group", 20)
    assert (single.only_a_right, single.only_b_right) == (1, 4)
    assert single.exact_p == pytest.approx(stats.binomtest(1, 5).pvalue)
    assert (positives.n, single_positives.n) == (120, 10)
    swaps, swaps_positive = found.group_tests
    assert swaps.p == pytest.approx(2 * 6 / 32)  # 5 groups of equal size: the sign test
    assert swaps.exact
    assert (swaps.n_groups, swaps.n_groups_differing) == (20, 5)
    assert swaps_positive.pictures == "positives"


def test_one_picture_a_group_is_chosen_without_looking_at_answers() -> None:
    base = system("base", 1.0, n_groups=6, frames=5)
    rows = np.arange(30)
    chosen = one_per_group(base.ids, base.groups, rows)
    assert sorted(base.groups[chosen]) == sorted(set(base.groups))
    shuffled = np.random.default_rng(0).permutation(30)
    again = one_per_group(base.ids[shuffled], base.groups[shuffled], rows)
    assert base.ids[shuffled][again].tolist() == base.ids[chosen].tolist()


def test_equal_systems_show_nothing_and_claim_no_certainty() -> None:
    a = system("same", 1.0)
    found = compare(a, replace(a, name="copy"), sampling=FEW)
    assert found.finding is Finding.NOT_SHOWN
    assert found.same_answers
    assert all(p.shown is Shown.NOT_DISTINGUISHABLE for p in found.policies)
    mcc = found.measure("mcc_at_half").difference
    assert (mcc.estimate, mcc.interval) == (0, "exact")
    assert mcc.low < 0 < mcc.high
    assert "a difference of exactly 0 (95% interval -0." in found.statement
    assert "not distinguishable in selective FNR (+0.000, -0." in found.statement
    assert (
        "How large a difference in selective FNR, false-alarm rate and coverage could have" in found.statement
    )
    assert all(d.difference is None and d.reason for d in found.detectable)
    constant = with_errors(a, ~a.positive)  # calls everything road work
    blind = compare(a, constant, sampling=FEW).measure("mcc_at_half").b
    assert (blind.estimate, blind.low) == (0, None)
    coverage = found.measure("coverage").difference
    width = 1 - 0.025 ** (1 / 120)
    assert (coverage.low, coverage.high) == pytest.approx((-width, width))
    assert coverage.interval == "exact"
    assert found.mcnemar[0].exact_p == 1
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize("label", [True, False])
def test_one_class_has_no_mcc(label: bool) -> None:
    a, b = system("old", 1.0), system("new", 1.5, own=2)
    kept = a.positive == label

    def part(s: SystemAnswers) -> SystemAnswers:
        arrays = {f: getattr(s, f)[kept] for f in ("ids", "groups", "positive", "probs", "codes")}
        return replace(s, **arrays)

    found = compare(part(a), part(b), sampling=FEW)
    assert found.finding is Finding.NOT_SHOWN
    assert found.measure("mcc_at_half").difference.estimate is None
    assert "both classes" in found.statement
    assert (found.mcnemar[-1].exact_p is None) is not label
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize("n_groups", [1, 2])
def test_next_to_nothing_shows_nothing(n_groups: int) -> None:
    a, b = (system(name, skill, n_groups=n_groups, frames=1) for name, skill in (("a", 1.0), ("b", 3.0)))
    found = compare(a, b, sampling=FEW)
    assert found.finding is Finding.NOT_SHOWN
    json.dumps(found.to_json(), allow_nan=False)


def test_a_system_that_defers_everything_has_no_fnr_and_the_verdict_says_so() -> None:
    a, b = system("old", 0.5), system("new", 2.5, own=2)
    found = compare(a, replace(b, codes=np.full(len(b.ids), -1, dtype=np.int8)), sampling=FEW)
    assert found.measure("selective_fnr").b.estimate is None
    assert "not comparable in selective FNR (no picture" in found.statement
    assert "shown worse in coverage (-" in found.statement


def policy_of(like: SystemAnswers, name: str, misses: int, alarms: int, deferred: int) -> SystemAnswers:
    """The same model under a policy with so many misses, false alarms and, of the others, deferrals."""
    codes = like.positive.astype(np.int8)
    positive, negative = np.flatnonzero(like.positive), np.flatnonzero(~like.positive)
    codes[positive[:misses]], codes[negative[:alarms]] = 0, 1
    half = deferred // 2
    codes[np.concatenate([positive[len(positive) - half :], negative[len(negative) - half :]])] = -1
    return replace(like, name=name, codes=codes)


@pytest.mark.parametrize(
    ("old", "new", "finding", "head", "better", "worse"),
    [
        ((0, 40, 40), (0, 4, 80), Finding.TRADE, "A trade: B is better in false-alarm rate and worse in coverage.",
         "false_alarm_rate", "coverage"),
        ((10, 40, 40), (10, 4, 40), Finding.B_BETTER, "B is better.", "false_alarm_rate", None),
        ((0, 40, 80), (0, 40, 40), Finding.B_BETTER, "B is better.", "coverage", None),
        ((4, 4, 40), (40, 4, 40), Finding.A_BETTER, "A is better.", None, "selective_fnr"),
        ((10, 10, 40), (11, 11, 40), Finding.NOT_SHOWN, "It is not shown that B is better.", None, None),
    ],
)  # fmt: skip
def test_two_policies_of_one_model_are_judged_as_policies(old, new, finding, head, better, worse) -> None:
    base = system("base", 1.5, n_groups=600, frames=1)
    found = compare(policy_of(base, "old", *old), policy_of(base, "new", *new), sampling=FEW)
    assert found.same_answers
    assert found.finding is finding
    assert found.statement.startswith(f"{head} At probability 0.5 both give the same answer to every picture")
    shown = {policy.name: policy.shown for policy in found.policies}
    for name, words in RATES.items():
        wanted = {better: Shown.BETTER, worse: Shown.WORSE}.get(name, Shown.NOT_DISTINGUISHABLE)
        assert shown[name] is wanted
        d = found.measure(name).difference
        assert f"{words} ({d.estimate:+.3f}, {d.low:+.3f} to {d.high:+.3f})" in found.statement
    for words, name in (("shown better in", better), ("shown worse in", worse)):
        assert (f"{words} {RATES.get(name)} (" in found.statement) == (name is not None)
    assert "in MCC" not in found.statement.split("Their policies decide.")[1]
    json.dumps(found.to_json(), allow_nan=False)


def test_a_model_that_differs_is_judged_by_mcc_however_its_policy_does() -> None:
    base = system("base", 1.5, n_groups=600, frames=1)
    old, new = policy_of(base, "old", 10, 40, 40), policy_of(base, "new", 10, 4, 40)
    other = new.probs.copy()
    other[0] = 1 - other[0]
    found = compare(old, replace(new, probs=other), sampling=FEW)
    assert not found.same_answers
    assert found.finding is Finding.NOT_SHOWN
    assert "shown better in false-alarm rate" in found.statement


def test_equal_policies_are_seldom_called_better() -> None:
    """Three measures have three chances of 2.5 % each to be shown better: 7.5 % at most, as the docs say."""
    rng, base = np.random.default_rng(4), system("base", 1.5, n_groups=400, frames=1)

    def policy() -> SystemAnswers:
        wrong, deferred = rng.random(400) < 0.1, rng.random(400) < 0.2
        return replace(base, codes=np.where(deferred, -1, base.positive ^ wrong).astype(np.int8))

    few = Sampling(200, 0.95, 0)
    found = [compare(policy(), policy(), sampling=few).finding for _ in range(150)]
    for one in (Finding.B_BETTER, Finding.A_BETTER):
        assert found.count(one) / 150 <= 0.075 + 3 * np.sqrt(0.075 / 150)


def test_the_power_stated_for_a_rate_is_the_power_had() -> None:
    rng, base = np.random.default_rng(5), system("base", 1.5, n_groups=400, frames=1)

    def policy(coverage: float) -> SystemAnswers:
        return replace(base, codes=np.where(rng.random(400) < coverage, base.positive, -1).astype(np.int8))

    few = Sampling(200, 0.95, 0)
    equals = [compare(policy(0.6), policy(0.6), sampling=few) for _ in range(20)]
    size = np.median([next(d for d in c.detectable if d.name == "coverage").difference for c in equals])
    assert size == pytest.approx(2.8 * np.sqrt(2 * 0.6 * 0.4 / 400), rel=0.05)
    unequal = [compare(policy(0.6), policy(0.6 + size), sampling=few) for _ in range(100)]
    shown = np.mean([c.measure("coverage").difference.low > 0 for c in unequal])
    assert shown == pytest.approx(0.8, abs=0.12)


def test_other_pictures_or_broken_answers_are_refused() -> None:
    a, b = system("old", 1.0), system("new", 1.0, own=2)
    for change in ({"ids": b.ids[::-1]}, {"groups": b.groups[::-1]}, {"positive": ~b.positive}):
        with pytest.raises(DataError, match="same pictures"):
            compare(a, replace(b, **change))
    with pytest.raises(DataError, match="one"):
        replace(a, probs=a.probs[1:])
    with pytest.raises(DataError, match="each once"):
        replace(a, ids=np.full(len(a.ids), "x"))
    with pytest.raises(DataError, match="probability"):
        replace(a, probs=np.full(len(a.ids), np.nan))
    with pytest.raises(DataError, match="code"):
        replace(a, codes=np.full(len(a.ids), 3, dtype=np.int8))
    with pytest.raises(DataError, match="resamples"):
        compare(a, b, sampling=Sampling(0, 0.95, 0))


def test_equally_good_systems_are_seldom_called_better_and_the_power_stated_is_the_power_had() -> None:
    """100 comparisons each: of equals, and at the difference said to be shown with 80 % chance."""
    sampling = Sampling(n_resamples=200, confidence=0.95, seed=0)
    n, n_wrong = 300, 0.12

    def drawn(rng: np.random.Generator, better: float) -> tuple[SystemAnswers, SystemAnswers]:
        base = system("base", 1.0, n_groups=n, frames=1)
        wrong = [rng.random(n) < rate for rate in (n_wrong, n_wrong - better)]
        deferred = np.full(n, -1, dtype=np.int8)
        return with_errors(base, wrong[0], deferred), with_errors(base, wrong[1], deferred)

    rng = np.random.default_rng(0)
    equals = [compare(*drawn(rng, 0.0), sampling=sampling) for _ in range(100)]
    assert np.mean([c.finding is Finding.B_BETTER for c in equals]) <= 0.025 + 3 * np.sqrt(0.025 / 100)
    # MCC of balanced classes with symmetric errors is 1 - 2 · error rate: half of its difference in accuracy.
    detectable = np.median([c.detectable[0].difference for c in equals])
    other = np.median([c.detectable[1].difference for c in equals])
    assert other == pytest.approx(detectable / 2, rel=0.1)
    unequal = [compare(*drawn(rng, detectable / 2), sampling=sampling) for _ in range(100)]
    shown = np.mean([c.finding is Finding.B_BETTER for c in unequal])
    assert 0.7 < shown <= 0.97  # fewer errors vary less, so at the difference the power is a little more
