"""The contenders of the benchmark answer the same question."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from benchmarks.near_duplicates import CONTENDERS, brute_force, planted_hashes


@pytest.mark.parametrize("name", [name for name in CONTENDERS if "FAISS" not in name or find_spec("faiss")])
@pytest.mark.parametrize("max_distance", [0, 5, 8])
def test_every_contender_finds_the_pairs_of_brute_force(name, max_distance):
    hashes = planted_hashes(3000)
    truth = brute_force(hashes, max_distance)
    assert (len(truth) > 50) == (max_distance > 0)
    np.testing.assert_array_equal(CONTENDERS[name](hashes, max_distance), truth)
