"""Canonical bytes: what does not compute is gone, what computes is unchanged."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

from workzone.bundle.manifest import model_spec
from workzone.core.errors import ArtifactError
from workzone.export.graph import canonical_bytes


@pytest.fixture
def model(tmp_path, factory):
    return onnx.load(factory.mean_colour_network(tmp_path / "m.onnx"))


def dirty(model):
    """As an exporter leaves it."""
    secret = "/home/someone/project/net.py"
    model.doc_string = model.graph.doc_string = secret
    model.producer_name, model.producer_version = "exporter", "1.2.3"
    model.metadata_props.add(key="path", value=secret)
    model.graph.metadata_props.add(key="path", value=secret)
    model.graph.name = secret
    for i, node in enumerate(model.graph.node):
        node.name, node.doc_string = f"{secret}:{i}", secret
        node.metadata_props.add(key="stack_trace", value=secret)
    for tensor in model.graph.initializer:
        tensor.doc_string = secret
    value = helper.make_tensor_value_info("column", 1, ["s77", 1])
    value.doc_string = secret
    model.graph.value_info.append(value)
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "s77"
    return model


def test_dirt_does_not_show_and_the_answer_stays(model):
    clean = canonical_bytes(model, model_spec(16, 3))
    again = canonical_bytes(dirty(model), model_spec(16, 3))
    assert again == clean
    assert b"someone" not in again
    assert b"s77" not in again
    images = np.random.default_rng(0).normal(size=(3, 1, 3, 16, 16)).astype(np.float32)
    before = ort.InferenceSession(model.SerializeToString()).run(["logits"], {"images": images})
    after = ort.InferenceSession(again).run(["logits"], {"images": images})
    np.testing.assert_array_equal(before, after)


def test_cleaning_leaves_the_given_model_alone(model):
    before = dirty(model).SerializeToString()
    canonical_bytes(model, model_spec(16, 3))
    assert model.SerializeToString() == before


def test_other_outputs_are_refused(model):
    model.graph.output[0].name = "scores"
    with pytest.raises(ArtifactError, match="scores"):
        canonical_bytes(model, model_spec(16, 3))


def test_an_invalid_graph_is_refused(model):
    model.graph.node[0].input[0] = "nowhere"
    with pytest.raises(ArtifactError, match="not a valid ONNX"):
        canonical_bytes(model, model_spec(16, 3))
