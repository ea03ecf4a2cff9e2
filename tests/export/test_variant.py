"""A variant is the same network in another precision, or it is not written."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.bundle.manifest import BackboneInfo, model_spec
from workzone.bundle.model import ModelRecord, ParityReport, open_model, write_record
from workzone.core.errors import ArtifactError, ConfigError, DataError
from workzone.engine.scorer import open_model as load
from workzone.engine.scorer import score_sources
from workzone.export.variant import freeze_variant
from workzone.imaging.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(size_px=16, mean=(120, 115, 110), scale=(0.02, 0.018, 0.017), max_batch=4)
PICTURES = [np.full((40, 50, 3), level, np.uint8) for level in (3, 41, 77, 120, 158, 201, 250)]
PARITY = ParityReport(n_pictures=1, tolerance=1e-3, max_abs_logit=0, mean_abs_logit=0, max_abs_feature=0,
                      logit_std=1, n_sign_changes=0)  # fmt: skip


@pytest.fixture
def frozen(tmp_path, factory):
    directory = tmp_path / "model"
    directory.mkdir()
    factory.mean_colour_network(directory / "model.onnx")
    (directory / "model.safetensors").write_bytes(b"weights")
    record = ModelRecord(
        preprocessing=PREPROCESSING,
        spec=model_spec(16, 3),
        backbone=BackboneInfo(name="mean colour", licence="Apache-2.0"),
        parity=PARITY,
    )
    write_record(directory, record)
    return directory


@pytest.mark.parametrize(("backend", "precision"), [("openvino-bf16", "bf16"), ("openvino-fp32", "fp32")])
def test_it_has_the_same_files_and_says_what_serves_it(frozen, tmp_path, backend, precision):
    made = freeze_variant(frozen, tmp_path / "twin", PICTURES, backend=backend, tolerance=0.5)
    assert (made.record.backend, made.record.precision) == (backend, precision)
    assert made.record.parity.n_pictures == len(PICTURES)
    assert (made.record.parity.max_abs_logit > 1e-4) == (precision == "bf16")
    for name in ("model.onnx", "model.safetensors"):
        assert (made.path / name).read_bytes() == (frozen / name).read_bytes()
    assert open_model(frozen).record.backend == "onnxruntime"  # its ancestor is as it was


def test_what_is_loaded_is_the_runtime_that_it_was_frozen_for(frozen, tmp_path):
    twin = freeze_variant(frozen, tmp_path / "twin", PICTURES, backend="openvino-bf16", tolerance=0.5)
    exact, _ = score_sources(load(frozen).backend, PREPROCESSING, PICTURES)
    said, _ = score_sources(load(twin.path).backend, PREPROCESSING, PICTURES)
    again, _ = score_sources(load(twin.path, backend="onnxruntime").backend, PREPROCESSING, PICTURES)
    np.testing.assert_array_equal(again, exact)
    # another batch may sum in another order: parity asks the first picture alone
    assert np.abs(said - exact).max() == pytest.approx(twin.record.parity.max_abs_logit, rel=0.2)


def test_beyond_its_tolerance_nothing_is_written(frozen, tmp_path):
    with pytest.raises(ArtifactError, match="is let through"):
        freeze_variant(frozen, tmp_path / "twin", PICTURES, backend="openvino-bf16", tolerance=1e-6)
    assert not (tmp_path / "twin").exists()


def test_an_unknown_runtime_and_no_pictures_are_refused(frozen, tmp_path):
    with pytest.raises(ConfigError, match="openvino-bf16"):
        freeze_variant(frozen, tmp_path / "twin", PICTURES, backend="openvino-bf61", tolerance=1)
    with pytest.raises(DataError, match="parity"):
        freeze_variant(frozen, tmp_path / "twin", [], backend="openvino-bf16", tolerance=1)
