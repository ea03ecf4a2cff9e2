"""A published model says what the bundle says: loaded by transformers alone, from the files alone."""

from __future__ import annotations

import dataclasses
import functools
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from workzone.bundle.golden import GoldenSet
from workzone.bundle.manifest import BackboneInfo, OperatingPoint, model_spec
from workzone.bundle.reader import Bundle, open_bundle
from workzone.bundle.writer import write_bundle
from workzone.export import transformers_model
from workzone.export.freeze import freeze
from workzone.export.transformers_model import (
    CLASSES,
    Converted,
    Convertible,
    NotConvertible,
    convert,
    find_class,
)
from workzone.imaging.geometry import Geometry
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.backbone_table import Pooling
from workzone.models.backbones import Backbone, build_backbone
from workzone.models.checkpoint import CheckpointRecord, backbone_record, save_checkpoint
from workzone.models.classifier import RoadWorkClassifier
from workzone.phases.publication import OURS, build_publication
from workzone.subnet.publishing.card import ModelCard
from workzone.subnet.publishing.readme import preprocessor_config

SIZE = 28
PREPROCESSING = Preprocessing(
    size_px=SIZE,
    geometry=Geometry.SQUASH,
    mean=(120, 115, 110),
    scale=(0.02, 0.018, 0.017),
    max_batch=4,
)
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 14,
    "image_size": SIZE,
}
NETWORKS = {
    "vit": {**SMALL, "intermediate_size": 32},
    "dinov2": SMALL,
    "dinov2_with_registers": {**SMALL, "num_register_tokens": 2},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 1], "layer_type": "basic"},
}
THRESHOLD = -0.75


def network(name: str) -> Backbone:
    torch.manual_seed(4)
    made = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(name, **NETWORKS[name]))
    return Backbone(made, Pooling.FIRST_TOKEN, f"someone/{name}", "Apache-2.0")


def make_bundle(
    folder: Path, builders, backbone: Backbone, preprocessing: Preprocessing = PREPROCESSING
) -> Path:
    """Save, freeze and seal a classifier, with golden pictures of noise."""
    classifier = RoadWorkClassifier(backbone, seed=1)
    with torch.no_grad():
        classifier.head.weight.mul_(50)
        classifier.head.bias.fill_(0.3)
    record = CheckpointRecord(
        backbone=backbone_record(backbone),
        method="finetune",
        preprocessing=preprocessing.to_json(),
        size_px=preprocessing.size_px,
        feature_dim=backbone.feature_dim,
        metric="mcc",
        metric_value=0.5,
        epoch=1,
        seed=0,
    )
    save_checkpoint(folder / "checkpoint", classifier.eval(), record)
    rng = np.random.default_rng(5)
    # Coarse noise: what survives shrinking, so that logits differ.
    pictures = [
        np.kron(rng.integers(0, 256, (4, 5, 3)), np.ones((12, 12, 1))).astype(np.uint8) for _ in range(6)
    ]
    frozen = freeze(folder / "checkpoint", folder / "frozen", pictures)
    with torch.inference_mode():
        logits = classifier(torch.from_numpy(preprocessing.prepare(pictures)))[0].double().numpy()
    parts = builders.make_parts(folder / "parts")
    parts = dataclasses.replace(
        parts,
        model=frozen.model_path,
        weights=frozen.weights_path,
        spec=model_spec(preprocessing.size_px, backbone.feature_dim),
        preprocessing=preprocessing,
        backbone=BackboneInfo(name=backbone.source, licence=backbone.licence),
        golden=GoldenSet(
            pictures=tuple(builders.encoded(p) for p in pictures),
            logits=logits,
            probs=parts.calibrator.apply(logits),
            tolerances={"fp32": 0.02},
        ),
    )
    return write_bundle(folder / "bundle", parts).path


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, colour_builders):
    """Name of a network → its bundle, made when it is first asked for."""

    @functools.cache
    def made(name: str) -> Path:
        return make_bundle(tmp_path_factory.mktemp(name), colour_builders, network(name))

    return made


@pytest.fixture(params=sorted(NETWORKS))
def bundle(request, bundles) -> Bundle:
    return open_bundle(bundles(request.param))


@pytest.fixture
def vit(bundles) -> Path:
    return bundles("vit")


def written(bundle: Bundle, output: Path, **options) -> Converted:
    found = find_class(bundle)
    assert isinstance(found, Convertible)
    made = convert(bundle, found, output, processor=preprocessor_config(bundle.preprocessing), **options)
    assert isinstance(made, Converted)
    return made


def ask(path: Path, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits and probabilities by transformers, from the directory alone."""
    model = transformers.AutoModelForImageClassification.from_pretrained(path, local_files_only=True)
    with torch.inference_mode():
        logits = model.eval()(torch.from_numpy(pixels)).logits
    return logits.numpy(), logits.softmax(-1).numpy()


def test_the_softmax_is_the_sigmoid_of_the_logit_above_the_operating_point(
    bundle: Bundle, tmp_path: Path
) -> None:
    made = written(bundle, tmp_path / "out", threshold=THRESHOLD)
    assert (
        made.architecture
        == CLASSES[json.loads((made.path / "config.json").read_text())["model_type"], Pooling.FIRST_TOKEN]
    )
    pixels = bundle.preprocessing.prepare(bundle.golden.pictures)
    logits, probs = ask(made.path, pixels)
    assert bundle.golden.logits.std() > 0.05
    np.testing.assert_array_equal(logits[:, 0], 0)
    np.testing.assert_allclose(logits[:, 1], bundle.golden.logits - THRESHOLD, atol=1e-4)
    expected = 1 / (1 + np.exp(THRESHOLD - bundle.golden.logits))
    np.testing.assert_allclose(probs[:, 1], expected, atol=1e-4)
    assert made.max_abs_logit < 1e-4
    assert made.n_pictures == 6
    assert 0 < made.processor_shift < 0.5


def test_the_files_are_those_that_a_stranger_needs(bundle: Bundle, tmp_path: Path) -> None:
    made = written(bundle, tmp_path / "out")
    assert sorted(p.name for p in made.path.iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    config = json.loads((made.path / "config.json").read_text())
    assert config["architectures"] == [made.architecture]
    assert config["id2label"] == {"0": "None", "1": "Roadwork"}
    assert config["label2id"] == {"None": 0, "Roadwork": 1}
    _, at_zero = ask(made.path, bundle.preprocessing.prepare(bundle.golden.pictures))
    np.testing.assert_allclose(at_zero[:, 1], 1 / (1 + np.exp(-bundle.golden.logits)), atol=1e-4)


def test_the_pipeline_names_the_classes(vit: Path, tmp_path: Path) -> None:
    bundle = open_bundle(vit)
    made = written(bundle, tmp_path / "out", threshold=float(np.median(bundle.golden.logits)))
    classify = transformers.pipeline("image-classification", model=str(made.path), device="cpu")
    from PIL import Image

    said = classify(Image.new("RGB", (40, 30), (200, 90, 20)))
    assert {row["label"] for row in said} == {"None", "Roadwork"}


def test_a_publication_holds_what_the_class_reads_and_says_so(
    vit: Path, tmp_path: Path, colour_builders
) -> None:
    point = OperatingPoint(profile="2026-01", threshold=THRESHOLD)
    backbone = BackboneInfo(name="vit/base", licence="Apache-2.0")
    bundle = reseal(vit, tmp_path, colour_builders, operating_point=point, backbone=backbone)
    card = ModelCard(
        "It", "Road work?", "1.0.0", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", 1_790_000_000
    )
    made = build_publication(bundle, card, tmp_path / "scratch", repo="some/one")
    assert {f.name for f in made.files} == OURS - {"model.onnx"}
    assert made.notes == ()
    folder = tmp_path / "stranger"
    folder.mkdir()
    for file in made.files:
        with file.open() as handle:
            (folder / file.name).write_bytes(handle.read())
    _, probs = ask(folder, bundle.preprocessing.prepare(bundle.golden.pictures))
    np.testing.assert_array_equal(probs[:, 1] > 0.5, bundle.golden.logits > THRESHOLD)
    readme = made.text("README.md")
    assert 'library_name: "transformers"' in readme
    assert 'base_model: "google/vit-base-patch16-224-in21k"' in readme
    assert 'AutoModelForImageClassification.from_pretrained("some/one")' in readme
    assert "logit -0.75, the operating point" in readme
    as_onnx = build_publication(bundle, card, tmp_path / "other", as_onnx=True)
    assert {f.name for f in as_onnx.files} == OURS - {"config.json"}
    assert "it was asked for without." in as_onnx.text("README.md")


def test_nothing_is_said_on_the_console(vit: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    written(open_bundle(vit), tmp_path / "out")
    assert capfd.readouterr() == ("", "")


def reseal(path: Path, target: Path, builders, **changes) -> Bundle:
    """Write a bundle like the one at `path`, with other parts."""
    opened = open_bundle(path)
    parts = dataclasses.replace(
        builders.make_parts(target / "parts"),
        model=path / "model.onnx",
        weights=path / "model.safetensors",
        spec=opened.manifest.model,
        preprocessing=opened.preprocessing,
        golden=opened.golden,
    )
    return write_bundle(target / "bundle", dataclasses.replace(parts, **changes))


def test_weights_that_are_not_the_sealed_models_are_found_out(
    vit: Path, tmp_path: Path, colour_builders
) -> None:
    """A bundle whose ONNX says something else than its weights: parity fails, and nothing is left."""
    weights = tmp_path / "other.safetensors"
    tensors = load_file(vit / "model.safetensors")
    tensors["head.bias"] += 0.01
    save_file(tensors, weights, metadata=metadata(vit / "model.safetensors"))
    bundle = reseal(vit, tmp_path, colour_builders, weights=weights)
    found = find_class(bundle)
    assert isinstance(found, Convertible)
    made = convert(bundle, found, tmp_path / "out", processor=preprocessor_config(bundle.preprocessing))
    assert isinstance(made, NotConvertible)
    assert "differs from its `model.onnx` by 0.01 in the logit" in made.reason
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fault", ["missing", "strange", "shape", "head"])
def test_weights_of_another_network_are_found_out(
    vit: Path, tmp_path: Path, colour_builders, fault: str
) -> None:
    weights = tmp_path / "other.safetensors"
    tensors = load_file(vit / "model.safetensors")
    name = next(key for key in sorted(tensors) if key.endswith("layernorm.weight"))
    if fault == "missing":
        del tensors[name]
    elif fault == "strange":
        tensors["backbone.network.adapter.weight"] = torch.zeros(3)
    elif fault == "shape":
        tensors[name] = torch.zeros(3)
    else:
        del tensors["head.bias"]
    save_file(tensors, weights, metadata=metadata(vit / "model.safetensors"))
    bundle = reseal(vit, tmp_path, colour_builders, weights=weights)
    found = find_class(bundle)
    assert isinstance(found, Convertible)
    made = convert(bundle, found, tmp_path / "out", processor=preprocessor_config(bundle.preprocessing))
    assert isinstance(made, NotConvertible)
    assert "its weights are not those of `ViTForImageClassification`" in made.reason
    assert not (tmp_path / "out").exists()


def test_a_broken_off_conversion_leaves_nothing(vit: Path, tmp_path: Path, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(transformers_model, "_compared", broken)
    bundle = open_bundle(vit)
    found = find_class(bundle)
    with pytest.raises(KeyboardInterrupt):
        convert(bundle, found, tmp_path / "out", processor=b"{}")
    assert not (tmp_path / "out").exists()


def metadata(path: Path) -> dict[str, str]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    found = json.loads(data[8 : 8 + length])["__metadata__"]
    assert isinstance(found, dict)
    return found


def header(**changes: object) -> bytes:
    """A safetensors file without tensors whose head describes a network."""
    record: dict[str, Any] = {
        "backbone": {"kind": "torch", "source": "x", "licence": "y", "pooling": "first_token", "onnx": None},
        "method": "probe",
        "preprocessing": "{}",
        "size_px": 16,
        "feature_dim": 3,
        "metric": "mcc",
        "metric_value": 0.5,
        "epoch": 1,
        "seed": 0,
    }
    config = {"model_type": changes.pop("model_type", "vit")}
    record["backbone"] |= changes
    text = json.dumps({"classifier": record, "backbone_config": config})
    head = json.dumps({"__metadata__": {"workzone": text}}).encode()
    return struct.pack("<Q", len(head)) + head


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "resnet", "pooling": "mean_max"}, "`resnet` network whose features .* (`mean_max`)"),
        ({"model_type": "dinov3_vit"}, "`dinov3_vit` network"),
        ({"model_type": "dinov3_convnext"}, "`dinov3_convnext` network"),
        ({"model_type": "siglip_vision_model", "pooling": "pooler"}, "`siglip_vision_model` network"),
        ({"kind": "onnx", "pooling": None}, "its backbone is an ONNX network"),
    ],
)
def test_a_network_without_a_class_is_told_so_without_torch(
    tmp_path: Path, colour_builders, changes: dict[str, object], says: str
) -> None:
    (tmp_path / "w").write_bytes(header(**changes))
    parts = dataclasses.replace(colour_builders.make_parts(tmp_path / "parts"), weights=tmp_path / "w")
    found = find_class(write_bundle(tmp_path / "bundle", parts))
    assert isinstance(found, NotConvertible)
    for fragment in says.split(".*"):
        assert fragment.strip() in found.reason


def test_looking_for_a_class_needs_neither_torch_nor_transformers(bundles) -> None:
    program = (
        "import sys; from pathlib import Path; from workzone.bundle.reader import open_bundle; "
        "from workzone.export.transformers_model import find_class; "
        "print(find_class(open_bundle(Path(sys.argv[1]))).architecture); "
        "print({'torch', 'transformers', 'safetensors'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, bundles("vit")], capture_output=True, text=True, check=True
    )
    assert said.stdout.split("\n")[:2] == ["ViTForImageClassification", "set()"]


def test_a_network_that_reads_bgr_is_told_so(tmp_path: Path, colour_builders) -> None:
    (tmp_path / "w").write_bytes(header())
    parts = colour_builders.make_parts(tmp_path / "parts")
    parts = dataclasses.replace(parts, weights=tmp_path / "w")
    assert isinstance(find_class(write_bundle(tmp_path / "rgb", parts)), Convertible)
    bgr = parts.preprocessing.model_copy(update={"channel_order": "BGR"})
    found = find_class(write_bundle(tmp_path / "bgr", dataclasses.replace(parts, preprocessing=bgr)))
    assert found == NotConvertible(
        "it reads blue, green, red, for which `preprocessor_config.json` has no word."
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"weights",
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 4) + b"nope",
        struct.pack("<Q", 60000) + b"[" * 60000,
        struct.pack("<Q", 36) + b'{"__metadata__": {"workzone": "[1]"}}'[:36],
        struct.pack("<Q", 37) + b'{"__metadata__": {"workzone": "[1]"}}',
        struct.pack("<Q", 23) + b'{"__metadata__": {"a":1}}'[:23],
    ],
)
def test_weights_that_do_not_say_whose_they_are(tmp_path: Path, colour_builders, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    parts = dataclasses.replace(colour_builders.make_parts(tmp_path / "parts"), weights=tmp_path / "w")
    found = find_class(write_bundle(tmp_path / "bundle", parts))
    assert isinstance(found, NotConvertible)
    assert "does not say which network" in found.reason


def test_the_embedded_backbones_have_no_class() -> None:
    for name in ("embedded/resnet", "embedded/vit", "embedded/convnext"):
        backbone = build_backbone(name)
        assert (backbone.network.config.model_type, backbone.pooling) not in CLASSES


def test_every_class_of_the_table_is_one_of_transformers() -> None:
    for (model_type, _), name in CLASSES.items():
        assert getattr(transformers, name).config_class.model_type == model_type
