"""Which batch pays, on a network whose cost is known because it moves the clock itself."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.engine.backend import BackendOutput
from workzone.engine.warm_up import warm_up
from workzone.imaging.preprocessing import Preprocessing


def preprocessing(max_batch):
    return Preprocessing(size_px=4, mean=(0, 0, 0), scale=(1, 1, 1), max_batch=max_batch)


class Costly:
    def __init__(self, clock, cost_s, first_s=0.0):
        self.clock, self.cost_s, self.first_s, self.sizes = clock, cost_s, first_s, []

    def run(self, images):
        size = len(images)
        self.clock.advance(self.cost_s(size) + (0 if size in self.sizes else self.first_s))
        self.sizes.append(size)
        return BackendOutput(np.zeros(size, np.float32), np.zeros((size, 1), np.float32))


@pytest.mark.parametrize(
    ("cost_s", "best"),
    [
        (lambda n: 0.01 * n, 1),  # a batch gains nothing
        (lambda n: 0.01 * n * 0.96 ** (n > 1), 1),  # 4 %: not worth waiting for
        (lambda n: 0.01 * n * 0.9 ** (n > 1), 2),  # 10 % for two, nothing more after it
        (lambda n: 0.01 + 0.001 * n, 8),
        (lambda n: 0.01 * n if n < 8 else 0.05, 8),  # pays only from 8 on
    ],
)
def test_a_larger_batch_is_taken_where_it_pays(clock, cost_s, best):
    found = warm_up(Costly(clock, cost_s), preprocessing(8), clock=clock)
    assert found.best_batch == best
    assert [size for size, _ in found.seconds_per_batch] == [1, 2, 4, 8]
    assert dict(found.seconds_per_batch)[4] == pytest.approx(cost_s(4))


@pytest.mark.parametrize(("largest", "sizes"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6])])
def test_the_largest_batch_of_the_bundle_is_the_last_that_is_tried(clock, largest, sizes):
    network = Costly(clock, lambda n: 0.001)
    assert warm_up(network, preprocessing(largest), clock=clock).best_batch == largest
    assert sorted(set(network.sizes)) == sizes


def test_the_first_run_of_a_size_does_not_count(clock):
    found = warm_up(
        Costly(clock, lambda n: 0.01 * n, first_s=3.0), preprocessing(2), clock=clock, budget_s=99
    )
    assert found.seconds_per_batch == (pytest.approx((1, 0.01)), pytest.approx((2, 0.02)))


def test_it_ends_in_its_time_and_measures_at_least_one_picture(clock):
    start = clock()
    found = warm_up(Costly(clock, lambda n: 0.5 * n), preprocessing(4096), clock=clock, budget_s=10.0)
    assert clock() - start <= 10.0
    assert [size for size, _ in found.seconds_per_batch] == [1, 2]
    slow = warm_up(Costly(clock, lambda n: 60.0), preprocessing(4), clock=clock, budget_s=1.0)
    assert [size for size, _ in slow.seconds_per_batch] == [1]
