"""Freezing: the ONNX file says what torch says, every time in the same bytes, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open

from workzone.bundle.model import open_model as open_frozen
from workzone.core.errors import ArtifactError, DataError
from workzone.engine.scorer import open_model, score_sources
from workzone.export.freeze import freeze, public_source
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.backbones import build_backbone
from workzone.models.checkpoint import CheckpointRecord, backbone_record, load_checkpoint, save_checkpoint
from workzone.models.classifier import RoadWorkClassifier

SIZE = 32
PREPROCESSING = Preprocessing(size_px=SIZE, mean=(120, 115, 110), scale=(0.02, 0.018, 0.017), max_batch=4)


def record_for(backbone, **changes):
    fields = {
        "backbone": backbone_record(backbone),
        "method": "finetune",
        "preprocessing": PREPROCESSING.to_json(),
        "size_px": SIZE,
        "feature_dim": backbone.feature_dim,
        "metric": "mcc",
        "metric_value": 0.5,
        "epoch": 1,
        "seed": 0,
    }
    return CheckpointRecord(**(fields | changes))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "checkpoint"
    classifier = RoadWorkClassifier(build_backbone("embedded/convnext", 0, SIZE), seed=1)
    with torch.no_grad():
        classifier.head.weight.mul_(50)  # logits of a trained spread, so that the tolerance means something
    save_checkpoint(path, classifier.eval(), record_for(classifier.backbone))
    return path


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (40, 50, 3), dtype=np.uint8) for _ in range(7)]


@pytest.fixture(scope="module")
def frozen(checkpoint, pictures, tmp_path_factory):
    return freeze(checkpoint, tmp_path_factory.mktemp("frozen") / "model", pictures)


def test_the_engine_says_what_torch_says(checkpoint, frozen, pictures):
    classifier, _ = load_checkpoint(checkpoint)
    with torch.inference_mode():
        logits, features = classifier(torch.from_numpy(PREPROCESSING.prepare(pictures)))
    model = open_model(frozen.path)
    for batch in (1, 3, 4):
        found, found_features = score_sources(model.backend, model.preprocessing, pictures, batch)
        np.testing.assert_allclose(found, logits.numpy(), atol=1e-3)
        np.testing.assert_allclose(found_features, features.numpy(), atol=1e-3)
    assert logits.std() > 0.1


def test_the_record_says_how_close_it_is(frozen):
    parity = frozen.record.parity
    assert parity.n_pictures == 7
    assert parity.max_abs_logit <= parity.tolerance == 1e-3
    assert parity.logit_std > 0.1
    assert frozen.record.preprocessing == PREPROCESSING
    assert frozen.record.backbone.name == "embedded/convnext"
    assert open_frozen(frozen.path) == frozen


def test_a_second_export_has_the_same_bytes(checkpoint, frozen, pictures, tmp_path):
    again = freeze(checkpoint, tmp_path / "elsewhere", pictures)
    for name in ("model.onnx", "model.safetensors", "model.json"):
        assert (again.path / name).read_bytes() == (frozen.path / name).read_bytes()


def test_no_path_of_this_machine_is_in_the_file(frozen):
    content = frozen.model_path.read_bytes() + frozen.weights_path.read_bytes()[:100_000]
    for trace in (
        b"/site-packages",
        b".py",
        b"stack_trace",
        str(Path.cwd()).encode(),
        str(Path.home()).encode(),
    ):
        assert trace not in content
    model = onnx.load(frozen.model_path)
    assert not model.metadata_props
    assert all(not node.metadata_props and not node.doc_string for node in model.graph.node)


def test_the_weights_can_be_built_upon(checkpoint, frozen):
    classifier, _ = load_checkpoint(checkpoint)
    with safe_open(frozen.weights_path, "pt") as file:
        about = json.loads(file.metadata()["workzone"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert about["classifier"]["feature_dim"] == classifier.backbone.feature_dim
    assert about["backbone_config"]["model_type"] == "dinov3_convnext"
    for name, tensor in classifier.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=0)


def test_the_gate_refuses_what_is_beyond_the_tolerance(checkpoint, pictures, tmp_path):
    with pytest.raises(ArtifactError, match="differs from its ancestor"):
        freeze(checkpoint, tmp_path / "model", pictures, tolerance=1e-12)
    assert list((tmp_path / "model").iterdir()) == []


def test_without_pictures_there_is_no_gate(checkpoint, tmp_path):
    with pytest.raises(DataError, match="parity"):
        freeze(checkpoint, tmp_path / "model", [])


def test_a_model_that_gives_nan_is_refused(tmp_path, pictures):
    classifier = RoadWorkClassifier(build_backbone("embedded/convnext", 0, SIZE))
    torch.nn.init.constant_(classifier.head.bias, float("nan"))
    save_checkpoint(tmp_path / "checkpoint", classifier, record_for(classifier.backbone))
    with pytest.raises(ArtifactError, match="not finite"):
        freeze(tmp_path / "checkpoint", tmp_path / "model", pictures)


@pytest.mark.parametrize(
    ("source", "public"),
    [
        ("embedded/vit", "embedded/vit"),
        ("facebook/dinov2-small", "facebook/dinov2-small"),
        ("/srv/weights/dinov2", "dinov2"),
        ("../weights/dinov2", "dinov2"),
        ("onnx:/srv/net.onnx#out", "onnx:net.onnx#out"),
    ],
)
def test_sources_lose_their_directories(source, public):
    assert public_source(source) == public


@pytest.mark.slow
def test_another_process_writes_the_same_bytes(checkpoint, frozen, pictures, tmp_path):
    np.save(tmp_path / "pictures.npy", np.stack(pictures))
    code = (
        "import sys, pathlib, numpy as np\n"
        "from workzone.export.freeze import freeze\n"
        f"pictures = list(np.load({str(tmp_path / 'pictures.npy')!r}))\n"
        f"freeze(pathlib.Path({str(checkpoint)!r}), pathlib.Path(sys.argv[1]), pictures)\n"
    )
    for seed in ("1", "2"):
        out = tmp_path / f"model-{seed}"
        subprocess.run(
            [sys.executable, "-c", code, str(out)],
            check=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed},
            timeout=300,
        )
        for name in ("model.onnx", "model.safetensors"):
            assert (out / name).read_bytes() == (frozen.path / name).read_bytes()
