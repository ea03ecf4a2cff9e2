"""The backend against the network computed by hand, and every way a model file can be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.bundle.manifest import model_spec
from workzone.core.errors import BundleError, ConfigError, InferenceError
from workzone.core.lazy import resolve
from workzone.engine.backend import BACKENDS, open_backend


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(3, 1, 3, 16, 16)).astype(np.float32)


def open_network(path, spec=None, max_batch=4):
    return open_backend("onnxruntime", path, spec or model_spec(16, 3), max_batch=max_batch)


def test_output_is_the_network_by_hand(tmp_path, factory, images):
    output = open_network(factory.mean_colour_network(tmp_path / "m.onnx")).run(images)
    means = images.astype(np.float64).mean(axis=(1, 3, 4))
    np.testing.assert_allclose(output.features, means, atol=1e-6)
    np.testing.assert_allclose(output.logits, means @ np.array(factory.WEIGHTS) + factory.BIAS, atol=1e-5)
    assert output.logits.dtype == output.features.dtype == np.float32


@pytest.mark.parametrize(
    "shape", [(5, 1, 3, 16, 16), (0, 1, 3, 16, 16), (2, 2, 3, 16, 16), (2, 3, 16, 16), (2, 1, 3, 16, 17)]
)
def test_only_what_the_network_reads_is_given_to_it(tmp_path, factory, shape):
    backend = open_network(factory.mean_colour_network(tmp_path / "m.onnx"))
    with pytest.raises(InferenceError, match=r"float32 \[1 to 4, 1, 3, 16, 16\]"):
        backend.run(np.zeros(shape, dtype=np.float32))


def test_another_dtype_is_refused(tmp_path, factory, images):
    backend = open_network(factory.mean_colour_network(tmp_path / "m.onnx"))
    with pytest.raises(InferenceError, match="float64"):
        backend.run(images.astype(np.float64))


@pytest.mark.parametrize(
    ("network", "spec"),
    [
        ({"size": 32}, model_spec(16, 3)),
        ({}, model_spec(16, 4)),
        ({}, model_spec(16, 3, views=2)),
        ({"batch": 4}, model_spec(16, 3)),
    ],
)
def test_a_model_of_another_shape_is_refused(tmp_path, factory, network, spec):
    path = factory.mean_colour_network(tmp_path / "m.onnx", **network)
    with pytest.raises(BundleError, match=r"m\.onnx.*expected"):
        open_network(path, spec)


def test_other_names_are_refused(tmp_path, factory):
    import onnx

    model = onnx.load(factory.mean_colour_network(tmp_path / "m.onnx"))
    model.graph.output[0].name = model.graph.node[-1].output[0] = "scores"
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(BundleError, match="scores"):
        open_network(tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a" * 50])
def test_what_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"m\.onnx"):
        open_network(tmp_path / "m.onnx")


def test_a_missing_model_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r"m\.onnx"):
        open_network(tmp_path / "m.onnx")


def test_an_unknown_backend_names_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'onnxruntime'"):
        open_backend("onnxruntme", tmp_path, model_spec(16, 3), max_batch=1)


@pytest.mark.parametrize("name", BACKENDS)
def test_every_entry_of_the_table_resolves(name):
    assert callable(resolve(BACKENDS[name]))
