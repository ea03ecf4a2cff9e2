"""Tests of "A and B are right equally often" on the same pictures, with what each takes for granted.

Knows who was right; does not know probabilities or policies. Where groups hold several pictures McNemar's test on
every picture is still given, since people ask for it, but beside it stand the two that are valid then.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.evaluation.comparison_records import DetectableDifference, GroupTest, PairedTest
from workzone.metrics.mcnemar import discordant_counts, mcnemar, smallest_difference
from workzone.metrics.paired import sign_flip_test

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]

EVERY_PICTURE = "every picture"
ONE_PER_GROUP = "one per group"
INDEPENDENCE_NOTE = "McNemar's test takes the pictures for independent of one another."
ALIKE_NOTE = (
    "Here groups hold several, which are alike, so its p is too small as a rule: rely on the test of one per "
    "group, or of whole groups."
)


@dataclass(frozen=True, slots=True)
class PairedAnswers:
    """N pictures and who was right.

    Attributes:
        ids: str [N].
        groups: str [N].
        positive: bool [N], whether the label is road work.
        correct_a: bool [N].
        correct_b: bool [N].
    """

    ids: NDArray[np.str_]
    groups: NDArray[np.str_]
    positive: Mask
    correct_a: Mask
    correct_b: Mask


def paired_tests(answers: PairedAnswers, seed: int) -> tuple[tuple[PairedTest, ...], tuple[GroupTest, ...]]:
    """Return McNemar's tests, and the tests by whole groups where a group holds several pictures.

    Args:
        answers: Of both systems.
        seed: Of random swaps, where there are too many groups to count all.
    """
    everyone = np.arange(len(answers.ids), dtype=np.intp)
    alike = len(np.unique(answers.groups)) < len(everyone)
    tests, group_tests = [], []
    for pictures, rows in (("all", everyone), ("positives", everyone[answers.positive])):
        note = f"{INDEPENDENCE_NOTE} {ALIKE_NOTE}" if alike else INDEPENDENCE_NOTE
        tests.append(_mcnemar(answers, pictures, EVERY_PICTURE, rows, note))
        if alike:
            few = one_per_group(answers.ids, answers.groups, rows)
            tests.append(_mcnemar(answers, pictures, ONE_PER_GROUP, few, INDEPENDENCE_NOTE))
            group_tests.append(_swapped(answers, pictures, rows, seed))
    return tuple(tests), tuple(group_tests)


def one_per_group(ids: NDArray[np.str_], groups: NDArray[np.str_], rows: Rows) -> Rows:
    """Return the row of least sha256(group | id) of each group, by group: no seed can be tried until it pleases.

    Args:
        ids: str [N].
        groups: str [N].
        rows: Among which to choose.
    """
    chosen: dict[str, tuple[bytes, int]] = {}
    for row in rows.tolist():
        group = str(groups[row])
        digest = hashlib.sha256(f"{group}|{ids[row]}".encode()).digest()
        if group not in chosen or digest < chosen[group][0]:
            chosen[group] = (digest, row)
    return np.array([chosen[group][1] for group in sorted(chosen)], dtype=np.intp)


def detectable_accuracy(tests: tuple[PairedTest, ...], power: float, level: float) -> DetectableDifference:
    """Return the smallest true difference in accuracy that the mid-p test shows with the chance `power`.

    Taken from the test of all pictures, one per group where groups hold several, at the discordant rate it saw.
    """
    test = [t for t in tests if t.pictures == "all"][-1]
    method = (
        f"exact unconditional power of McNemar's mid-p test, {test.sampling}, at the discordant rate seen"
    )
    discordant = test.only_a_right + test.only_b_right
    if discordant == 0:
        reason = "there is no picture on which just one is right, so their rate is not known"
        return DetectableDifference("accuracy_at_half", None, power, method, reason)
    size = smallest_difference(test.n, discordant / test.n, power, level)
    if size is not None:
        return DetectableDifference("accuracy_at_half", size, power, method, None)
    reason = (
        f"just one is right on {discordant} of {test.n} pictures, too few to show any with {power:.0%} chance, "
        "however one-sided"
    )
    return DetectableDifference("accuracy_at_half", None, power, method, reason)


def _mcnemar(answers: PairedAnswers, pictures: str, sampling: str, rows: Rows, note: str) -> PairedTest:
    if len(rows) == 0:
        return PairedTest(pictures, sampling, 0, 0, 0, None, None, "There is no such picture.")
    only_a, only_b = discordant_counts(answers.correct_a[rows], answers.correct_b[rows])
    found = mcnemar(only_a, only_b)
    return PairedTest(pictures, sampling, len(rows), only_a, only_b, found.exact_p, found.mid_p, note)


def _swapped(answers: PairedAnswers, pictures: str, rows: Rows, seed: int) -> GroupTest:
    if len(rows) == 0:
        return GroupTest(pictures, 0, 0, None, False, "there is no such picture")
    differences = answers.correct_b[rows].astype(np.float64) - answers.correct_a[rows]
    found = sign_flip_test(differences, answers.groups[rows], seed=seed)
    return GroupTest(pictures, found.n_groups, found.n_groups_differing, found.p_value, found.exact, None)
