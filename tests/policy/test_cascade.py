"""Composition against a picture-by-picture walk through the stages, and the check values of cascades."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workzone.core.errors import BundleError, ConfigError, DataError
from workzone.policy.cascade import (
    CascadePath,
    Reach,
    check_paths,
    check_reach,
    compose_codes,
    count_reach,
    expected_price,
)

codes = arrays(np.int8, (3, 12), elements=st.sampled_from([-1, 0, 1]))


@given(codes)
def test_the_first_stage_that_does_not_defer_answers(stages):
    composed = compose_codes(list(stages))
    by_hand = [next((c for c in picture if c != -1), -1) for picture in stages.T.tolist()]
    assert composed.tolist() == by_hand
    labels, ambiguous = np.arange(12) % 3 - 1, np.arange(12) == 1
    reach = count_reach(list(stages), labels, ambiguous)
    for k in range(3):
        asked = [all(c == -1 for c in picture[:k]) for picture in stages.T.tolist()]
        kinds = [
            "undecided" if a or y < 0 else ("none", "roadwork")[y]
            for y, a in zip(labels, ambiguous, strict=True)
        ]
        for kind in ("roadwork", "none", "undecided"):
            by_hand = sum(one and of == kind for one, of in zip(asked, kinds, strict=True))
            assert getattr(reach, kind)[k] == by_hand
        assert reach.asked[k] == sum(asked)


@given(codes)
def test_identical_stages_answer_as_one(stages):
    assert compose_codes([stages[0]] * 3).tolist() == stages[0].tolist()


def price(stages, prices):
    n = len(stages[0])
    return expected_price(count_reach(stages, np.ones(n), np.zeros(n)).asked, prices)


def test_what_a_picture_costs():
    never, always = np.zeros(10, dtype=np.int8), np.full(10, -1, dtype=np.int8)
    assert price([never, never], (2.0, 30.0)) == 2.0  # nothing deferred: the first alone
    assert price([always, never], (2.0, 30.0)) == 32.0  # everything: both
    half = np.repeat(np.array([-1, 1], dtype=np.int8), 5)
    assert price([half, never], (2.0, 30.0)) == 17.0
    assert price([half, half, never], (2.0, 30.0, 100.0)) == 67.0  # who defers both times


@pytest.mark.parametrize("stages", [[], [[1, 0], [1]], [[[1, 0]]], [[1, 2]], [[1, 0.5]]])
def test_codes_that_are_none_are_refused(stages):
    with pytest.raises(DataError):
        compose_codes(stages)


def test_prices_that_are_none_are_refused():
    for prices in ((1.0,), (1.0, -1.0), (1.0, float("nan"))):
        with pytest.raises(ConfigError, match="prices"):
            expected_price([5, 2], prices)
    for asked in ([], [0, 0]):
        with pytest.raises(DataError, match="needs pictures"):
            expected_price(asked, (1.0, 1.0))
    for labels in ([], [1, 0]):
        with pytest.raises(DataError, match="each with its label"):
            count_reach([[], []] if not labels else [[1], [1]], labels, [False] * len(labels))


def test_counts_that_no_cascade_gives_are_refused(promise):
    for wrong in (((3, 4), (1, 1), (0, 0)), ((3, -1), (1, 1), (0, 0)), ((3,), (1, 1), (0, 0))):
        with pytest.raises(BundleError, match="reach"):
            Reach(*wrong)
    said = promise.coverage
    left = said.positives - said.positives_answered, said.negatives - said.negatives_answered
    paths = [CascadePath(n, promise, None) for n in (1, 2)]
    good = Reach((said.positives, left[0]), (said.negatives, left[1]), (7, 2))
    total = said.positives + said.negatives + 7
    check_reach(good, paths, total)
    for reach, n in (
        (good, total + 1),
        (Reach((said.positives,), (said.negatives,), (7,)), total),
        (dataclasses.replace(good, roadwork=(said.positives + 1, left[0])), total + 1),
        (dataclasses.replace(good, none=(said.negatives, left[1] + 1)), total),
    ):
        with pytest.raises(BundleError, match="reach"):
            check_reach(reach, paths, n)


@pytest.fixture
def promise(certificate):
    return dataclasses.replace(certificate, walk=None)


def test_a_path_has_a_certificate_or_a_reason_and_nothing_that_was_walked(promise, certificate):
    assert CascadePath(2, promise, None).certified
    assert not CascadePath(2, None, "too few").certified
    for wrong in (
        (2, None, None),
        (2, None, ""),
        (2, promise, "why"),
        (0, promise, None),
        (2, certificate, None),
        (2, dataclasses.replace(promise, kind="average"), None),
    ):
        with pytest.raises(BundleError, match="cascade"):
            CascadePath(*wrong)


def test_a_shorter_path_is_certified_only_after_the_longer(promise):
    yes = [CascadePath(n, promise, None) for n in (1, 2, 3)]
    no = [CascadePath(n, None, "too few") for n in (1, 2, 3)]
    for good in (yes, no, [no[0], yes[1], yes[2]], [no[0], no[1], yes[2]]):
        check_paths(good)
    for bad in ([yes[0], no[1], no[2]], [no[0], yes[1], no[2]], [yes[0], no[1], yes[2]], yes[1:], yes[::-1]):
        with pytest.raises(BundleError, match="paths"):
            check_paths(bad)


def test_all_paths_promise_the_same_of_the_same_pictures(promise):
    other = dataclasses.replace(promise, calibration_sha256="d" * 64)
    with pytest.raises(BundleError, match="different things"):
        check_paths([CascadePath(1, other, None), CascadePath(2, promise, None)])
