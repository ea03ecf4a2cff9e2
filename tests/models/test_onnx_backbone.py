"""Any ONNX network as a frozen extractor: layouts, types, fixed batches, against numpy's answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from workzone.core.errors import ConfigError
from workzone.models.features import frozen, open_backbone
from workzone.models.onnx_backbone import OnnxBackbone

WEIGHT = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def network(
    path: Path,
    *,
    batch: Any = "n",
    channels_last: bool = False,
    dtype: int = TensorProto.FLOAT,
    side: Any = 16,
) -> Path:
    """A 1×1 convolution, `map` [n, 5, h, w], and its mean over the map, `pooled` [n, 5]."""
    kind = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16}[dtype]
    shape = [batch, side, side, 3] if channels_last else [batch, 3, side, side]
    nodes = [helper.make_node("Transpose", ["images"], ["x"], perm=[0, 3, 1, 2])] if channels_last else []
    source = "x" if channels_last else "images"
    nodes += [
        helper.make_node("Conv", [source, "w"], ["map"]),
        helper.make_node("ReduceMean", ["map"], ["pooled"], axes=[2, 3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", dtype, shape)],
        [
            helper.make_tensor_value_info("pooled", dtype, [batch, 5]),
            helper.make_tensor_value_info("map", dtype, [batch, 5, None, None]),
        ],
        [numpy_helper.from_array(WEIGHT.reshape(5, 3, 1, 1).astype(kind), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def pixels(n: int, side: int = 16) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).normal(size=(n, 3, side, side)).astype(np.float32)


@pytest.mark.parametrize("batch", ["n", 1, 4])
@pytest.mark.parametrize("output", [None, "pooled", "map"])
def test_features_are_the_means_that_numpy_gives(tmp_path: Path, batch: Any, output: str | None) -> None:
    backbone = OnnxBackbone(network(tmp_path / "n.onnx", batch=batch), output)
    x = pixels(7)
    assert backbone.feature_dim == 5
    np.testing.assert_allclose(backbone.extract(x), x.mean(axis=(2, 3)) @ WEIGHT.T, atol=1e-5)
    assert backbone.extract(x[:0]).shape == (0, 5)


def test_half_precision_inputs_are_cast(tmp_path: Path) -> None:
    backbone = OnnxBackbone(network(tmp_path / "n.onnx", dtype=TensorProto.FLOAT16))
    features = backbone.extract(pixels(3))
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, pixels(3).mean(axis=(2, 3)) @ WEIGHT.T, atol=2e-3)


def test_channels_last_networks_are_fed_so(tmp_path: Path) -> None:
    backbone = OnnxBackbone(network(tmp_path / "n.onnx", channels_last=True), "pooled")
    assert backbone.layout.channels_last
    np.testing.assert_allclose(backbone.extract(pixels(3)), pixels(3).mean(axis=(2, 3)) @ WEIGHT.T, atol=1e-5)


def test_the_size_is_read_from_its_input(tmp_path: Path) -> None:
    path = network(tmp_path / "n.onnx")
    assert OnnxBackbone(path).layout.size_px == 16
    with pytest.raises(ConfigError, match=r"reads 16 pixels only; preprocessing\.size_px is 32"):
        open_backbone(f"onnx:{path}", 0, 32)
    free = network(tmp_path / "free.onnx", side=None)
    assert open_backbone(f"onnx:{free}#pooled", 0, 32).feature_dim == 5


def test_it_is_an_extractor_and_a_module(tmp_path: Path) -> None:
    backbone = open_backbone(f"onnx:{network(tmp_path / 'n.onnx')}", 0, 16)
    np.testing.assert_array_equal(
        backbone(torch.from_numpy(pixels(2))).numpy(), frozen(backbone).extract(pixels(2))
    )
    assert list(backbone.parameters()) == []


def test_the_hash_knows_the_file_and_the_output(tmp_path: Path) -> None:
    one, two = network(tmp_path / "1.onnx"), network(tmp_path / "2.onnx", batch=4)
    hashes = {OnnxBackbone(one).sha256(), OnnxBackbone(one, "pooled").sha256(), OnnxBackbone(two).sha256()}
    assert len(hashes) == 3
    assert OnnxBackbone(one).sha256() in hashes


def test_what_is_no_such_network_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(ConfigError, match="cannot be opened"):
        OnnxBackbone(broken)
    with pytest.raises(ConfigError, match="no ONNX file"):
        OnnxBackbone(tmp_path / "absent.onnx")
    with pytest.raises(ConfigError, match="Did you mean 'pooled'"):
        OnnxBackbone(network(tmp_path / "n.onnx"), "poole")


def test_weights_outside_the_file_are_refused(tmp_path: Path) -> None:
    path = network(tmp_path / "n.onnx")
    model = onnx.load(path)
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ConfigError, match="weights inside"):
        OnnxBackbone(path)
