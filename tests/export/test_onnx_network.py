"""Foreign ONNX backbones: every way they are fed, against ONNX Runtime on the bare backbone."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from workzone.core.errors import ArtifactError
from workzone.engine.scorer import open_model, score_sources
from workzone.export.freeze import freeze
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.checkpoint import CheckpointRecord, backbone_record, save_checkpoint
from workzone.models.classifier import RoadWorkClassifier
from workzone.models.onnx_backbone import OnnxBackbone

SIZE, WIDTH = 8, 5
PREPROCESSING = Preprocessing(size_px=SIZE, mean=(120, 115, 110), scale=(0.02, 0.018, 0.017), max_batch=4)
TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


def convolution(path, *, batch="n", dtype="float32", rank=4, channels_last=False, stubborn=False, opset=17):
    """A convolution of 3 to 5 channels; `stubborn` reshapes by constants that hold the batch."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(WIDTH, 3, 2, 2)).astype(dtype)
    constants = [numpy_helper.from_array(weight, "images")]  # a name that the composed graph uses itself
    nodes = []
    source = "logits"  # so is this
    if channels_last:
        nodes.append(helper.make_node("Transpose", [source], ["nchw"], perm=[0, 3, 1, 2]))
        source = "nchw"
    nodes.append(helper.make_node("Conv", [source, "images"], ["map"], strides=[2, 2]))
    last, shape = "map", [batch, WIDTH, SIZE // 2, SIZE // 2]
    side = SIZE // 2
    if rank == 3:
        constants.append(
            numpy_helper.from_array(np.array([batch if stubborn else -1, WIDTH, side**2], np.int64), "flat")
        )
        nodes += [
            helper.make_node("Reshape", ["map", "flat"], ["flattened"]),
            helper.make_node("Transpose", ["flattened"], ["tokens"], perm=[0, 2, 1]),
        ]
        last, shape = "tokens", [batch, side**2, WIDTH]
    elif rank == 2:
        nodes += [
            helper.make_node("GlobalAveragePool", ["map"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["vector"]),
        ]
        last, shape = "vector", [batch, WIDTH]
    elif channels_last:
        nodes.append(helper.make_node("Transpose", ["map"], ["nhwc"], perm=[0, 2, 3, 1]))
        last, shape = "nhwc", [batch, side, side, WIDTH]
    picture = [batch, SIZE, SIZE, 3] if channels_last else [batch, 3, SIZE, SIZE]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("logits", TYPES[dtype], picture)],
        [helper.make_tensor_value_info(last, TYPES[dtype], shape)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def checkpoint_of(path, network):
    backbone = OnnxBackbone(network)
    classifier = RoadWorkClassifier(backbone)
    with torch.no_grad():
        classifier.head.weight.copy_(torch.linspace(-2, 2, WIDTH)[None])
        classifier.head.bias.fill_(0.3)
    record = CheckpointRecord(
        backbone=backbone_record(backbone),
        method="probe",
        preprocessing=PREPROCESSING.to_json(),
        size_px=SIZE,
        feature_dim=backbone.feature_dim,
        metric="mcc",
        metric_value=0.5,
        epoch=1,
        seed=0,
    )
    save_checkpoint(path, classifier.eval(), record)
    return path


def by_hand(network, pictures, channels_last, rank):
    """Features from the bare backbone, one picture at a time."""
    session = ort.InferenceSession(network)
    read = session.get_inputs()[0]
    found = []
    for picture in pictures:
        pixels = PREPROCESSING.prepare([picture])
        fed = pixels.transpose(0, 2, 3, 1) if channels_last else pixels
        fed = fed.astype(np.float16 if "16" in read.type else np.float32)
        output = session.run(None, {read.name: fed})[0][0].astype(np.float64)
        axes = {4: (0, 1) if channels_last else (1, 2), 3: (0,), 2: ()}[rank]
        found.append(output.mean(axis=axes))
    return np.array(found)


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(2)
    return [rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(6)]


@pytest.mark.parametrize(
    "network",
    [
        {},
        {"rank": 3},
        {"rank": 2},
        {"batch": 1},
        {"batch": 1, "rank": 3, "stubborn": True},
        {"channels_last": True},
        {"channels_last": True, "batch": 1},
        {"dtype": "float16"},
        {"dtype": "float16", "batch": 1, "rank": 3, "stubborn": True},
        {"opset": 11},
        {"opset": 20},
    ],
    ids=str,
)
def test_backbone_and_head_in_one_graph(tmp_path, pictures, network):
    file = convolution(tmp_path / "net.onnx", **network)
    frozen = freeze(
        checkpoint_of(tmp_path / "checkpoint", file), tmp_path / "model", pictures, tolerance=5e-3
    )
    model = open_model(frozen.path)
    logits, features = score_sources(model.backend, model.preprocessing, pictures)
    expected = by_hand(file, pictures, network.get("channels_last", False), network.get("rank", 4))
    atol = 5e-3 if network.get("dtype") == "float16" else 1e-5
    np.testing.assert_allclose(features, expected, atol=atol)
    np.testing.assert_allclose(logits, expected @ np.linspace(-2, 2, WIDTH) + 0.3, atol=4 * atol)
    assert frozen.record.backbone.name == "onnx:net.onnx"
    assert str(tmp_path).encode() not in frozen.model_path.read_bytes()


def test_a_stubborn_batch_goes_picture_by_picture(tmp_path, pictures):
    file = convolution(tmp_path / "net.onnx", batch=1, rank=3, stubborn=True)
    frozen = freeze(checkpoint_of(tmp_path / "checkpoint", file), tmp_path / "model", pictures)
    assert "Scan" in {node.op_type for node in onnx.load(frozen.model_path).graph.node}


def test_one_picture_is_enough_to_see_that_the_batch_is_not_free(tmp_path, pictures):
    file = convolution(tmp_path / "net.onnx", batch=1, rank=3, stubborn=True)
    frozen = freeze(checkpoint_of(tmp_path / "checkpoint", file), tmp_path / "model", pictures[:1])
    model = open_model(frozen.path)
    assert len(score_sources(model.backend, model.preprocessing, pictures)[0]) == len(pictures)


def test_a_free_batch_does_not(tmp_path, pictures):
    file = convolution(tmp_path / "net.onnx", batch=1)
    frozen = freeze(checkpoint_of(tmp_path / "checkpoint", file), tmp_path / "model", pictures)
    assert "Scan" not in {node.op_type for node in onnx.load(frozen.model_path).graph.node}


def test_a_stubborn_batch_of_another_size_is_refused(tmp_path, pictures):
    file = convolution(tmp_path / "net.onnx", batch=3, rank=3, stubborn=True)
    with pytest.raises(ArtifactError, match="only 3 at once"):
        freeze(checkpoint_of(tmp_path / "checkpoint", file), tmp_path / "model", pictures)
    assert list((tmp_path / "model").iterdir()) == []
