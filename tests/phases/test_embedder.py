"""Which embedder a text names, and that its vectors are what the network gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from workzone.core.errors import BundleError, ConfigError
from workzone.data.embedding import normalised
from workzone.imaging.geometry import Geometry, resize_to
from workzone.phases.embedder import BundleEmbedder, OnnxEmbedder, embedder_of

WEIGHT = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def mean_network(path: Path, side: int | str = 8) -> Path:
    """`pooled` [n, 5] = WEIGHT · mean of each channel; `mean` [n, 3] is an output of its own."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["mean", "w"], ["pooled"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, side, side])],
        [
            helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["n", 5]),
        ],
        [numpy_helper.from_array(WEIGHT, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def pictures(n: int = 40) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (*rng.integers(9, 60, 2), 3), dtype=np.uint8) for _ in range(n)]


def means(images: list[np.ndarray], side: int) -> np.ndarray:
    fitted = np.stack([resize_to(image, side, Geometry.SQUASH) for image in images])
    return (fitted.mean(axis=(1, 2)) / 255 - MEAN) / STD


def test_the_descriptor_needs_no_embedder():
    assert embedder_of("descriptor") is None


@pytest.mark.parametrize(("side", "fitted"), [(8, 8), ("any", 224)])
def test_an_onnx_network_gives_its_output_on_imagenets_statistics(tmp_path, side, fitted):
    embedder = embedder_of(f"onnx:{mean_network(tmp_path / 'net.onnx', side)}")
    assert isinstance(embedder, OnnxEmbedder)
    assert embedder.name == "net.onnx"
    images = pictures()
    np.testing.assert_allclose(embedder(images), normalised(means(images, fitted) @ WEIGHT.T), atol=1e-4)


def test_another_output_can_be_named(tmp_path):
    embedder = embedder_of(f"onnx:{mean_network(tmp_path / 'net.onnx')}#mean")
    assert embedder is not None
    assert embedder.name == "net.onnx#mean"
    images = pictures(3)
    np.testing.assert_allclose(embedder(images), normalised(means(images, 8)), atol=1e-4)


def test_a_bundles_features_are_those_that_its_engine_gives(colour_bundle):
    from workzone.engine.predictor import open_predictor

    embedder = embedder_of(str(colour_bundle))
    assert isinstance(embedder, BundleEmbedder)
    predictor = open_predictor(colour_bundle)
    assert embedder.name == f"{colour_bundle.name} {predictor.identity[:12]}"
    images = pictures()
    found = embedder(images)
    _, features = predictor.score(images)
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(found * lengths, features, rtol=1e-4, atol=1e-6)


def test_a_changed_bundle_embeds_nothing(colour_bundle):
    (colour_bundle / "CARD.md").write_text("another")
    with pytest.raises(BundleError, match="changed"):
        embedder_of(str(colour_bundle))


def test_what_names_no_embedder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="names no embedder"):
        embedder_of("descriptors")
    with pytest.raises(ConfigError, match="no ONNX file"):
        embedder_of(f"onnx:{tmp_path / 'absent.onnx'}")
    with pytest.raises(ConfigError, match="no output"):
        embedder_of(f"onnx:{mean_network(tmp_path / 'net.onnx')}#absent")


def test_no_embedder_needs_torch(tmp_path, colour_bundle):
    network = mean_network(tmp_path / "net.onnx")
    program = (
        "import sys; from workzone.phases.embedder import embedder_of; "
        f"embedder_of('onnx:{network}'); embedder_of({str(colour_bundle)!r}); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
