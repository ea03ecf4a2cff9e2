"""Scoring against the network computed by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from workzone.bundle.manifest import BackboneInfo, model_spec
from workzone.bundle.model import ModelRecord, ParityReport, write_record
from workzone.bundle.model import open_model as open_frozen
from workzone.core.errors import ArtifactError, BundleError, DataError, InferenceError
from workzone.engine.backend import open_backend
from workzone.engine.golden import check_golden
from workzone.engine.scorer import open_model, score_sources

PARITY = ParityReport(
    n_pictures=2,
    tolerance=1e-3,
    max_abs_logit=0,
    mean_abs_logit=0,
    max_abs_feature=0,
    logit_std=1,
    n_sign_changes=0,
)


@pytest.fixture
def model_dir(tmp_path, factory):
    path = tmp_path / "model"
    path.mkdir()
    factory.mean_colour_network(path / "model.onnx")
    (path / "model.safetensors").write_bytes(b"weights")
    write_record(
        path,
        ModelRecord(
            preprocessing=factory.PREPROCESSING,
            spec=model_spec(16, 3),
            backbone=BackboneInfo(name="mean-colour", licence="CC0-1.0"),
            parity=PARITY,
        ),
    )
    return path


def test_every_batch_size_gives_the_answers_by_hand(model_dir, factory):
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(9)]
    expected = [factory.expected_logit(p, factory.PREPROCESSING) for p in pictures]
    model = open_model(model_dir)
    seen = []

    class Recorder:
        def progress(self, task, done, total):
            seen.append((task, done, total))

        def note(self, message):
            raise AssertionError(message)

    for batch in (None, 1, 3, 4, 1000):
        seen.clear()
        logits, features = score_sources(
            model.backend, model.preprocessing, pictures, batch, observer=Recorder(), task="score"
        )
        np.testing.assert_allclose(logits, expected, atol=1e-4)
        assert (logits.dtype, features.dtype, features.shape) == (np.float64, np.float32, (9, 3))
        assert seen[0] == ("score", 0, 9)
        assert seen[-1] == ("score", 9, 9)


def test_bytes_paths_and_arrays_are_one_picture(model_dir, factory, tmp_path):
    picture = factory.plain(factory.ORANGE)
    (tmp_path / "x.png").write_bytes(factory.encoded(picture))
    model = open_model(model_dir)
    logits, _ = score_sources(
        model.backend, model.preprocessing, [picture, factory.encoded(picture), tmp_path / "x.png"]
    )
    assert len(set(logits)) == 1


def test_no_pictures_and_broken_pictures_are_data_errors(model_dir):
    model = open_model(model_dir)
    with pytest.raises(DataError, match="no pictures"):
        score_sources(model.backend, model.preprocessing, [])
    with pytest.raises(DataError):
        score_sources(model.backend, model.preprocessing, [b"no picture"])


def test_a_model_that_gives_nan_is_an_error_not_a_score(tmp_path, factory):
    path = factory.mean_colour_network(tmp_path / "m.onnx", scale=0.0)
    backend = open_backend("onnxruntime", path, model_spec(16, 3), max_batch=4)
    with pytest.raises(InferenceError, match="not finite"):
        score_sources(backend, factory.PREPROCESSING, [factory.plain(factory.ORANGE)])


@pytest.mark.parametrize("name", ["model.json", "model.onnx", "model.safetensors"])
def test_an_incomplete_frozen_model_is_refused(model_dir, name):
    (model_dir / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        open_model(model_dir)


def test_a_changed_record_is_refused(model_dir):
    record = model_dir / "model.json"
    record.write_text(record.read_text().replace('"precision"', '"presicion"'))
    with pytest.raises(ArtifactError, match="presicion"):
        open_frozen(model_dir)


def test_golden_pictures_are_compared(bundle_path, factory):
    from workzone.bundle.reader import open_bundle

    bundle = open_bundle(bundle_path)
    backend = open_backend("onnxruntime", bundle.model_path, bundle.manifest.model, max_batch=4)
    assert check_golden(bundle, backend) < 1e-5
    golden = bundle.golden
    for changes in (
        {"logits": golden.logits + np.array([0.0, 0.02])},
        {"probs": np.clip(golden.probs - np.array([0.02, 0.0]), 0, 1)},
        {"tolerances": {"int8": 0.01}},
        {"pictures": (golden.pictures[0], b"no picture")},
    ):
        wrong = dataclasses.replace(bundle, golden=dataclasses.replace(golden, **changes))
        with pytest.raises(BundleError):
            check_golden(wrong, backend)
