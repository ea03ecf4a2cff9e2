"""Composition against a picture-by-picture walk through the stages, and the check values of cascades."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workzone.core.errors import BundleError, ConfigError, DataError
from workzone.policy.cascade import CascadePath, asked_shares, check_paths, compose_codes, expected_price

codes = arrays(np.int8, (3, 12), elements=st.sampled_from([-1, 0, 1]))


@given(codes)
def test_the_first_stage_that_does_not_defer_answers(stages):
    composed = compose_codes(list(stages))
    by_hand = [next((c for c in picture if c != -1), -1) for picture in stages.T.tolist()]
    assert composed.tolist() == by_hand
    reached = [[all(c == -1 for c in picture[:k]) for picture in stages.T.tolist()] for k in range(3)]
    assert asked_shares(list(stages)) == pytest.approx([float(np.mean(r)) for r in reached])


@given(codes)
def test_identical_stages_answer_as_one(stages):
    assert compose_codes([stages[0]] * 3).tolist() == stages[0].tolist()


def test_what_a_picture_costs():
    never, always = np.zeros(10, dtype=np.int8), np.full(10, -1, dtype=np.int8)
    assert expected_price([never, never], (2.0, 30.0)) == 2.0  # nothing deferred: the first alone
    assert expected_price([always, never], (2.0, 30.0)) == 32.0  # everything: both
    half = np.repeat(np.array([-1, 1], dtype=np.int8), 5)
    assert expected_price([half, never], (2.0, 30.0)) == 17.0
    assert expected_price([half, half, never], (2.0, 30.0, 100.0)) == 67.0  # who defers both times


@pytest.mark.parametrize("stages", [[], [[1, 0], [1]], [[[1, 0]]], [[1, 2]], [[1, 0.5]]])
def test_codes_that_are_none_are_refused(stages):
    with pytest.raises(DataError):
        compose_codes(stages)


def test_prices_that_are_none_are_refused():
    for prices in ((1.0,), (1.0, -1.0), (1.0, float("nan"))):
        with pytest.raises(ConfigError, match="prices"):
            expected_price([[0], [0]], prices)
    with pytest.raises(DataError, match="needs pictures"):
        asked_shares([[], []])


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
