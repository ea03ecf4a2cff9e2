"""Which of two systems is better, and why, in words.

Knows differences and their intervals; computes none. "B is better" takes more right answers at probability 0.5 and
road work not missed more often. Where both answer alike there, as two policies of one model do, the policies decide
instead: better in one measure, worse in none. Three measures have three chances to be shown better by luck, each of
half the level, so equal policies are called better in up to 7.5 % of comparisons at 95 %, not in 2.5 %; the intervals
stay those that are printed, so that a reader can follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from workzone.evaluation.comparison_records import (
    ComparedMeasure,
    Comparison,
    DetectableDifference,
    Finding,
    PolicyFinding,
    Shown,
)
from workzone.evaluation.grouped import counted

POLICY_MEASURES = ("selective_fnr", "false_alarm_rate", "coverage")
"""By which policies are judged; in coverage more is better."""
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "mcc_at_half": "MCC",
        "accuracy_at_half": "accuracy",
        "selective_fnr": "selective FNR",
        "false_alarm_rate": "false-alarm rate",
        "coverage": "coverage",
    }
)


def judge_policies(measures: Mapping[str, ComparedMeasure]) -> tuple[PolicyFinding, ...]:
    """Return what is shown of B's policy in each of `POLICY_MEASURES`.

    Args:
        measures: By name.
    """
    return tuple(PolicyFinding(name, _shown(measures[name])) for name in POLICY_MEASURES)


def find_better(mcc: ComparedMeasure, policies: Sequence[PolicyFinding], *, same_answers: bool) -> Finding:
    """Return who is better.

    Args:
        mcc: At probability 0.5.
        policies: What is shown of B's policy.
        same_answers: Whether MCC cannot differ, so that the policies decide.
    """
    shown = {policy.name: policy.shown for policy in policies}
    if same_answers:
        better, worse = Shown.BETTER in shown.values(), Shown.WORSE in shown.values()
        if better and worse:
            return Finding.TRADE
        return Finding.B_BETTER if better else Finding.A_BETTER if worse else Finding.NOT_SHOWN
    low, high = mcc.difference.low, mcc.difference.high
    if low is not None and low > 0 and shown["selective_fnr"] is not Shown.WORSE:
        return Finding.B_BETTER
    return Finding.A_BETTER if high is not None and high < 0 else Finding.NOT_SHOWN


def verdict_in_words(found: Comparison) -> str:
    """Return the verdict: what is shown, by which numbers, of the policies too, and what could have been seen."""
    mcc = found.measure("mcc_at_half")
    sentences = [_head(found), _mcc_words(mcc, found)]
    if found.finding is Finding.NOT_SHOWN and not found.same_answers and (mcc.difference.low or 0) > 0:
        sentences.append("More right answers do not make up for more missed road work.")
    return " ".join([*sentences, _policy_words(found), *_detectable_words(found)])


def _shown(measure: ComparedMeasure) -> Shown:
    low, high = measure.difference.low, measure.difference.high
    if low is None or high is None:
        return Shown.NOT_COMPARABLE
    if measure.name != "coverage":
        low, high = -high, -low
    return Shown.BETTER if low > 0 else Shown.WORSE if high < 0 else Shown.NOT_DISTINGUISHABLE


def _head(found: Comparison) -> str:
    if found.finding is Finding.TRADE:
        better, worse = (
            _listed([_NAMES[p.name] for p in found.policies if p.shown is shown])
            for shown in (Shown.BETTER, Shown.WORSE)
        )
        return f"A trade: B is better in {better} and worse in {worse}."
    return {
        Finding.B_BETTER: "B is better.",
        Finding.A_BETTER: "A is better.",
        Finding.NOT_SHOWN: "It is not shown that B is better.",
    }[found.finding]


def _mcc_words(mcc: ComparedMeasure, found: Comparison) -> str:
    d = mcc.difference
    if d.estimate is None:
        return f"Their MCC cannot be compared: {d.reason}."
    over = f"over {counted(d.n, 'picture')} from {counted(d.n_groups, 'group')}"
    interval = "" if d.low is None else f"{found.confidence:.0%} interval {d.low:+.3f} to {d.high:+.3f}"
    if found.same_answers:
        return (
            f"At probability 0.5 both give the same answer to every picture, so MCC cannot tell them apart: "
            f"{mcc.a.estimate:.3f} for both, a difference of exactly 0 ({interval or d.reason}) {over}. Their "
            "policies decide."
        )
    if not interval:
        return f"MCC at probability 0.5 of B minus A is {d.estimate:+.3f} {over}; {d.reason}."
    return (
        f"MCC at probability 0.5 is {mcc.a.estimate:.3f} for A and {mcc.b.estimate:.3f} for B, a difference of "
        f"{d.estimate:+.3f} ({interval}) {over}."
    )


def _policy_words(found: Comparison) -> str:
    said = []
    for shown, words in _SHOWN_WORDS.items():
        names = [p.name for p in found.policies if p.shown is shown]
        if names:
            said.append(f"{words} {_listed([_policy_number(found.measure(name)) for name in names])}")
    return f"B's policy against A's ({found.confidence:.0%} intervals of B − A): {'; '.join(said)}."


_SHOWN_WORDS = {
    Shown.BETTER: "shown better in",
    Shown.WORSE: "shown worse in",
    Shown.NOT_DISTINGUISHABLE: "not distinguishable in",
    Shown.NOT_COMPARABLE: "not comparable in",
}


def _policy_number(measure: ComparedMeasure) -> str:
    name, d = _NAMES[measure.name], measure.difference
    if d.low is None or d.high is None:
        return f"{name} ({d.reason})"
    return f"{name} ({d.estimate:+.3f}, {d.low:+.3f} to {d.high:+.3f})"


def _detectable_words(found: Comparison) -> list[str]:
    """What could have been seen; not of MCC and accuracy where both answer alike, which was said."""
    relevant = [d for d in found.detectable if not found.same_answers or d.name in POLICY_MEASURES]
    known = [d for d in relevant if d.difference is not None]
    sentences = []
    if known:
        sizes = _listed([f"{d.difference:.3f} in {_NAMES[d.name]}" for d in known])
        sentences.append(
            f"With {known[0].power:.0%} chance this comparison would have shown a true difference of {sizes}."
        )
    return sentences + [_unknown_words(relevant, reason) for reason in _reasons(relevant)]


def _reasons(detectable: Sequence[DetectableDifference]) -> list[str]:
    return list(dict.fromkeys(d.reason for d in detectable if d.reason is not None))


def _unknown_words(detectable: Sequence[DetectableDifference], reason: str) -> str:
    names = _listed([_NAMES[d.name] for d in detectable if d.reason == reason])
    return f"How large a difference in {names} could have been seen cannot be said: {reason}."


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
