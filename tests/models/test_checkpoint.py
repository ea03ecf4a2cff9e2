"""A checkpoint is rebuilt to the same outputs, from safetensors and JSON alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from workzone.core.errors import ArtifactError
from workzone.models.backbones import build_backbone
from workzone.models.checkpoint import CheckpointRecord, backbone_record, load_checkpoint, save_checkpoint
from workzone.models.classifier import RoadWorkClassifier
from workzone.models.onnx_backbone import OnnxBackbone


def record(classifier: RoadWorkClassifier) -> CheckpointRecord:
    return CheckpointRecord(
        backbone=backbone_record(classifier.backbone), method="finetune", preprocessing="{}", size_px=32,
        feature_dim=classifier.backbone.feature_dim, metric="mcc", metric_value=0.5, epoch=1, seed=0,
    )  # fmt: skip


def tiny_onnx(path: Path) -> Path:
    weight = numpy_helper.from_array(np.ones((4, 3, 2, 2), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 16, 16])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("name", ["embedded/convnext", "embedded/vit", "onnx"])
def test_a_checkpoint_comes_back_with_the_same_outputs(tmp_path: Path, name: str) -> None:
    backbone = (
        OnnxBackbone(tiny_onnx(tmp_path / "n.onnx")) if name == "onnx" else build_backbone(name, seed=5)
    )
    classifier = RoadWorkClassifier(backbone, dropout=0.3, seed=6).eval()
    save_checkpoint(tmp_path / "checkpoint", classifier, record(classifier))
    (tmp_path / "n.onnx").unlink(missing_ok=True)
    again, read = load_checkpoint(tmp_path / "checkpoint")
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for expected, found in zip(classifier(x), again(x), strict=True):
        assert torch.equal(expected, found)
    assert read == record(classifier)
    assert sorted(again.state_dict())[-2:] == ["head.bias", "head.weight"]


def test_nothing_is_pickled(tmp_path: Path) -> None:
    classifier = RoadWorkClassifier(build_backbone("embedded/convnext"))
    save_checkpoint(tmp_path, classifier, record(classifier))
    files = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {"classifier.json", "model.safetensors", "backbone/config.json"}


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    for name in ("embedded/convnext", "embedded/vit"):
        classifier = RoadWorkClassifier(build_backbone(name))
        save_checkpoint(tmp_path / name, classifier, record(classifier))
    weights = tmp_path / "embedded/convnext/model.safetensors"
    weights.write_bytes((tmp_path / "embedded/vit/model.safetensors").read_bytes())
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        load_checkpoint(tmp_path / "embedded/convnext")
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        load_checkpoint(tmp_path / "embedded/convnext")
    weights.unlink()
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        load_checkpoint(tmp_path / "embedded/convnext")


def test_an_unknown_key_in_the_record_is_refused(tmp_path: Path) -> None:
    classifier = RoadWorkClassifier(build_backbone("embedded/convnext"))
    save_checkpoint(tmp_path, classifier, record(classifier))
    path = tmp_path / "classifier.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "extra": 1}))
    with pytest.raises(ArtifactError, match="extra"):
        load_checkpoint(tmp_path)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"classifier\.json"):
        load_checkpoint(tmp_path)
