"""The parts of a Brier score: the identity, known extremes, and the calibration error inside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from workzone.core.errors import DataError
from workzone.metrics.brier_decomposition import brier_decomposition
from workzone.metrics.calibration_error import Binning, debiased_calibration_error

ROWS = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=60)


@given(ROWS, st.integers(1, 20), st.sampled_from(Binning))
def test_the_parts_add_up_to_the_brier_score(rows, n_bins, binning) -> None:
    labels, probs = zip(*rows, strict=True)
    parts = brier_decomposition(labels, probs, n_bins, binning)
    assert parts.brier == pytest.approx(np.mean((np.array(probs) - np.array(labels)) ** 2), abs=1e-12)
    assert 0 <= parts.resolution <= parts.uncertainty + 1e-12
    assert parts.reliability >= 0
    assert parts.within_bin_variance >= 0


def test_equal_probabilities_in_each_bin_leave_murphys_three_terms() -> None:
    rng = np.random.default_rng(0)
    probs = rng.choice([0.1, 0.3, 0.5, 0.9], 400)
    labels = (rng.random(400) < probs).astype(int)
    parts = brier_decomposition(labels, probs, 10)
    assert parts.remainder == pytest.approx(0, abs=1e-15)
    murphy = parts.reliability - parts.resolution + parts.uncertainty
    assert murphy == pytest.approx(brier_score_loss(labels, probs))
    assert parts.uncertainty == pytest.approx(labels.mean() * (1 - labels.mean()))


def test_known_extremes() -> None:
    labels = np.array([0, 1, 1, 0])
    right = brier_decomposition(labels, labels.astype(float))
    assert (right.reliability, right.remainder, right.brier) == (0, 0, 0)
    assert right.resolution == right.uncertainty == 0.25
    base = brier_decomposition(labels, np.full(4, 0.5))
    assert (base.reliability, base.resolution, base.brier) == (0, 0, 0.25)
    wrong = brier_decomposition(labels, 1.0 - labels)
    assert wrong.brier == wrong.reliability == 1
    one = brier_decomposition([1], [0.2])
    assert one.brier == pytest.approx(0.64)
    assert one.uncertainty == 0


def test_reliability_less_its_chance_part_is_the_debiased_squared_error() -> None:
    rng = np.random.default_rng(1)
    probs = rng.random(500)
    labels = (rng.random(500) < probs).astype(int)
    chance = 0.0
    for b in range(10):
        residuals = (labels - probs)[np.clip((probs * 10).astype(int), 0, 9) == b]
        chance += residuals.var(ddof=1) / 500
    found = debiased_calibration_error(labels, probs, 10).squared
    assert found == pytest.approx(brier_decomposition(labels, probs, 10).reliability - chance)


def test_bad_input() -> None:
    with pytest.raises(DataError, match="labels for"):
        brier_decomposition([0, 1], [0.5])
    with pytest.raises(DataError, match="outside"):
        brier_decomposition([0, 1], [0.5, np.nan])
    with pytest.raises(DataError, match="bins"):
        brier_decomposition([0, 1], [0.5, 0.5], 0)
    with pytest.raises(DataError, match="only 0 and 1"):
        brier_decomposition([0, -1], [0.5, 0.5])
