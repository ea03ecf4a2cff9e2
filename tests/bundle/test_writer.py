"""Writing: whole or not at all, never over something else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from workzone.bundle.golden import GoldenSet, golden_from_bytes, golden_to_bytes
from workzone.bundle.writer import write_bundle
from workzone.core.errors import ArtifactError, BundleError, ConfigError
from workzone.core.types import Opening, Role


def test_a_directory_with_files_is_left_alone(tmp_path, parts):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    with pytest.raises(ConfigError, match="not empty"):
        write_bundle(tmp_path / "photos", parts)
    assert (tmp_path / "photos" / "one.jpg").read_bytes() == b"x"


def test_an_empty_directory_is_filled(tmp_path, parts):
    (tmp_path / "new").mkdir()
    assert write_bundle(tmp_path / "new", parts).path == tmp_path / "new"


def test_a_bundle_may_not_know_test(tmp_path, parts):
    knows = dataclasses.replace(parts, lineage=parts.lineage | {Opening("a" * 64, Role.TEST)})
    with pytest.raises(ArtifactError, match="test"):
        write_bundle(tmp_path / "bundle", knows)
    assert not (tmp_path / "bundle").exists()


def test_nan_in_the_metrics_is_refused(tmp_path, parts):
    with pytest.raises(ValueError, match="JSON"):
        write_bundle(tmp_path / "bundle", dataclasses.replace(parts, metrics={"mcc": float("nan")}))
    assert not (tmp_path / "bundle").exists()


def test_golden_pictures_survive_the_file(parts):
    read = golden_from_bytes(golden_to_bytes(parts.golden))
    assert read.pictures == parts.golden.pictures
    assert read.tolerances == parts.golden.tolerances
    np.testing.assert_array_equal(read.probs, parts.golden.probs)


@pytest.mark.parametrize(
    "changes",
    [
        {"pictures": ()},
        {"logits": np.array([0.0])},
        {"logits": np.array([0.0, np.nan])},
        {"probs": np.array([0.5, 1.5])},
        {"tolerances": {}},
        {"tolerances": {"fp32": 0.0}},
    ],
)
def test_golden_pictures_must_be_consistent(parts, changes):
    fields = {f.name: getattr(parts.golden, f.name) for f in dataclasses.fields(GoldenSet)}
    with pytest.raises(BundleError, match="Golden"):
        GoldenSet(**(fields | changes))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x93NUMPY", b"x" * 100])
def test_what_is_no_golden_file_is_refused(data):
    with pytest.raises(BundleError, match=r"golden\.npz"):
        golden_from_bytes(data)
