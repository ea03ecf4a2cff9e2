"""Who gets which model: what must hold for any queue, and what a plan reaches beside the best there is."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from workzone.core.errors import ConfigError
from workzone.serving.axon.lanes.plan import LaneState, Request, plan, run_times

LANES = st.builds(
    lambda rest, each, overhead, run, room: LaneState(
        rest, tuple(overhead + each * size for size in range(1, run + 1)), room
    ),
    rest=st.floats(0, 3), each=st.floats(0.01, 2), overhead=st.floats(0, 1), run=st.integers(1, 4),
    room=st.none() | st.integers(0, 3),
)  # fmt: skip
QUEUES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 5.0, 100.0]), st.floats(0, 8) | st.just(math.inf), st.booleans(), st.booleans()
    ),
    max_size=14,
).map(
    lambda rows: [Request(stake, at, left, not no_large, not no_small) for at, (stake, left, no_large, no_small)
                  in enumerate(rows)]
)  # fmt: skip


def one_by_one(each_s, rest_s=0.0):
    return LaneState(rest_s, (each_s,))


def finishes(state, order):
    """When each is done, in the order of starting, by running full batches one after the other."""
    done, now = [], state.rest_s
    for at in range(0, len(order), len(state.run_s)):
        size = len(order[at : at + len(state.run_s)])
        now += state.run_s[size - 1]
        done += [now] * size
    return done


def in_time(state, requests, order, spare_s=-1e-9):
    return all(
        requests[i].left_s >= done + spare_s for i, done in zip(order, finishes(state, order), strict=True)
    )


@given(QUEUES, LANES | st.none(), LANES | st.none())
def test_everyone_is_placed_once_and_nobody_where_it_must_not_or_cannot_be(requests, large, small):
    found = plan(requests, large, small)
    assert sorted((*found.large, *found.small, *found.nothing)) == list(range(len(requests)))
    for state, order, name in ((large, found.large, "large"), (small, found.small, "small")):
        assert all(getattr(requests[index], name) for index in order)
        if state is None:
            assert not order
        else:
            assert in_time(state, requests, order)
            assert state.room is None or len(order) <= state.room


@given(QUEUES, LANES | st.none(), LANES | st.none())
def test_nobody_gets_nothing_where_a_lane_would_fit(requests, large, small):
    found = plan(requests, large, small)
    lanes = ((large, found.large, "large"), (small, found.small, "small"))
    for index, (state, order, name) in itertools.product(found.nothing, lanes):
        if state is None or not getattr(requests[index], name):
            continue
        if state.room is not None and len(order) >= state.room:
            continue
        orders = (
            itertools.permutations((*order, index))
            if len(order) < 5
            else [_by_deadline(requests, order, index)]
        )
        assert not any(in_time(state, requests, tuple(one), 1e-9) for one in orders)


def _by_deadline(requests, order, index):
    return sorted((*order, index), key=lambda i: requests[i].left_s)


@given(QUEUES, LANES | st.none(), LANES | st.none(), st.data())
def test_a_higher_stake_is_never_worse_off_than_an_equal_one_with_a_lower(requests, large, small, data):
    if not requests:
        return
    twin = data.draw(st.sampled_from(requests))
    requests = [*requests, replace(twin, stake=twin.stake + 1.0, arrived=len(requests))]
    found = plan(requests, large, small)
    worth = {
        index: place
        for place, indices in enumerate((found.large, found.small, found.nothing))
        for index in indices
    }
    assert worth[len(requests) - 1] <= worth[requests.index(twin)]


@given(QUEUES, LANES | st.none(), LANES | st.none(), st.randoms())
def test_the_order_in_which_they_are_listed_changes_nothing(requests, large, small, random):
    mixed = random.sample(range(len(requests)), len(requests))
    straight = plan(requests, large, small)
    again = plan([requests[index] for index in mixed], large, small)
    for name in ("large", "small", "nothing"):
        there = [requests[index].arrived for index in getattr(straight, name)]
        here = [requests[mixed[index]].arrived for index in getattr(again, name)]
        assert sorted(there) == sorted(here)


def test_the_highest_stakes_get_the_large_model_the_next_the_small_one_and_the_rest_nothing():
    stakes = [3.0, 9.0, 1.0, 7.0, 5.0]
    requests = [Request(stake, at, 2.0) for at, stake in enumerate(stakes)]
    found = plan(requests, one_by_one(1.0), one_by_one(1.5))
    assert (found.large, found.small, found.nothing) == ((1, 3), (4,), (0, 2))


def test_among_equal_stakes_the_earlier_comes_first():
    requests = [Request(1.0, arrived, 1.0) for arrived in (2, 0, 1)]
    assert plan(requests, one_by_one(0.5), None).large == (1, 2)


def test_one_in_a_hurry_goes_before_a_higher_stake_that_can_wait():
    requests = [Request(9.0, 0, 10.0), Request(1.0, 1, 1.0)]
    assert plan(requests, one_by_one(1.0), None).large == (1, 0)
    assert plan([requests[0], replace(requests[1], left_s=2.0)], one_by_one(1.0), None).large == (0, 1)


def test_a_run_of_many_ends_for_all_of_them_at_once():
    lane = LaneState(0.0, (1.0, 1.2, 1.4))
    hurried = Request(1.0, 0, 1.1)
    patient = [Request(0.0, at, 5.0) for at in (1, 2)]
    assert plan([hurried, patient[0]], lane, None).nothing == (
        1,
    )  # it would join the first run and make it late
    assert plan([replace(hurried, left_s=1.4), *patient], lane, None).large == (0, 1, 2)


def test_what_a_model_already_has_comes_first():
    assert plan([Request(0.0, 0, 1.0)], one_by_one(0.5, rest_s=0.6), one_by_one(0.9)).small == (0,)


def test_a_trial_takes_one():
    requests = [Request(0.0, at, 9.0) for at in range(3)]
    found = plan(requests, LaneState(0.0, (0.1,), room=1), one_by_one(0.1))
    assert (found.large, found.small) == ((0,), (1, 2))


def best(requests, lanes):
    """The most that can be answered at all: requests to places in time, as a matching, whatever their ranks."""
    places = [state.rest_s + state.run_s[0] * (k + 1) for state in lanes for k in range(len(requests))]
    possible = np.array([[place <= request.left_s for place in places] for request in requests], dtype=float)
    rows, columns = linear_sum_assignment(possible, maximize=True)
    return int(possible[rows, columns].sum())


@pytest.mark.parametrize("load", [0.5, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("alike", [True, False], ids=["equal deadlines", "deadlines of their own"])
def test_a_plan_answers_as_many_as_can_be(load, alike):
    rng = np.random.default_rng(int(10 * load) + alike)
    shares = []
    for _ in range(20):
        lanes = [one_by_one(rng.uniform(0.2, 0.6)), one_by_one(rng.uniform(0.1, 0.6))]
        number = max(1, round(load * sum(6 / state.run_s[0] for state in lanes)))
        left = np.full(number, 6.0) if alike else rng.uniform(1.0, 6.0, number)
        requests = [Request(float(rng.integers(0, 9)), at, float(left[at])) for at in range(number)]
        found = plan(requests, *lanes)
        shares.append((len(found.large) + len(found.small)) / best(requests, lanes))
    assert max(shares) <= 1.0
    assert min(shares) >= (1.0 if alike else 0.95)


def test_with_one_model_nobody_is_lost_by_ranking():
    rng = np.random.default_rng(3)
    for _ in range(50):
        lane = one_by_one(rng.uniform(0.2, 1.0))
        requests = [Request(float(rng.integers(0, 9)), at, float(rng.uniform(0, 6))) for at in range(20)]
        assert len(plan(requests, lane, None).large) == best(requests, [lane])


def test_run_times_never_decrease():
    assert run_times(lambda size: {1: 0.5, 2: 0.3, 3: 0.9}[size], 3) == (0.5, 0.5, 0.9)


@pytest.mark.parametrize(
    ("rest_s", "run_s"), [(-1.0, (1.0,)), (0.0, ()), (0.0, (-1.0,)), (0.0, (2.0, 1.0)), (math.nan, (1.0,))]
)
def test_a_lane_that_makes_no_sense_is_refused(rest_s, run_s):
    with pytest.raises(ConfigError, match="A lane has"):
        LaneState(rest_s, run_s)
