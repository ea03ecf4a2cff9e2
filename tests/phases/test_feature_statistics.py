"""What `train` wrote of its features is what a gate is given, or it is refused."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.core.errors import ArtifactError
from workzone.phases.feature_statistics import MAX_BYTES, read_feature_statistics
from workzone.policy.gate_features import MAX_FEATURES
from workzone.training.feature_statistics import STATISTICS_NAME, write_feature_statistics


def test_what_train_wrote_is_read(tmp_path):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 3)).astype(np.float32)
    labels = (np.arange(50) % 2).astype(np.int8)
    write_feature_statistics(tmp_path, features, labels)
    found = read_feature_statistics(tmp_path)
    assert found.mean.dtype == found.std.dtype == np.float64
    assert found.mean[1] == pytest.approx(features[labels == 1].mean(axis=0), abs=1e-6)
    assert found.std[0] == pytest.approx(features[labels == 0].std(axis=0), abs=1e-6)


def test_the_widest_features_that_a_gate_takes_fit(tmp_path):
    wide = np.zeros((2, MAX_FEATURES), dtype=np.float32)
    np.savez(tmp_path / STATISTICS_NAME, mean=wide, std=wide, count=np.zeros(2, dtype=np.int64))
    assert (tmp_path / STATISTICS_NAME).stat().st_size < MAX_BYTES
    assert read_feature_statistics(tmp_path).mean.shape == (2, MAX_FEATURES)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"mean": np.zeros((2, 3), np.float32)}, "expected the numbers"),
        ({"mean": np.zeros((2, 3), np.int64), "std": np.ones((2, 3), np.float32)}, "expected the numbers"),
        ({"mean": np.zeros((3, 3)), "std": np.ones((3, 3))}, "shapes"),
        ({"mean": np.full((2, 3), np.nan), "std": np.ones((2, 3))}, "not finite"),
        ({"mean": np.zeros((2, 3)), "std": -np.ones((2, 3))}, "negative deviation"),
        ({"mean": np.zeros((2, 2 * MAX_FEATURES)), "std": np.zeros((2, 2 * MAX_FEATURES))}, "at most"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path, arrays, said):
    np.savez(tmp_path / STATISTICS_NAME, **arrays)
    with pytest.raises(ArtifactError, match=said):
        read_feature_statistics(tmp_path)
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_feature_statistics(tmp_path / "nowhere")
