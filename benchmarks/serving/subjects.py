"""What is served: two bundles with random weights, the same weights for `transformers`, and distinct pictures.

`costly` is a small ViT, whose inference takes many times the decoding of a picture; `tiny` is the network that the
demo trains. Run as a program, it writes them, so that whoever measures never holds torch in memory.

The decision a reader would question: the head's weights are small, not those of a trained network. A trained head
would turn the difference of two resizing filters (ours and the pipeline's) into a difference of probabilities, and
it could not be seen any more whether all servers run the same network.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.serving.processes import REPOSITORY

if TYPE_CHECKING:
    from workzone.imaging.preprocessing import Preprocessing
    from workzone.models.backbones import Backbone
    from workzone.models.classifier import RoadWorkClassifier

NAMES = ("costly", "tiny")
PICTURES = 64
PICTURE_PX = (1280, 720)
BUNDLE, TRANSFORMERS, PICTURE_FOLDER = "bundle", "transformers", "pictures"
VIT: dict[str, Any] = {
    "hidden_size": 384,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "intermediate_size": 1536,
    "image_size": 224,
    "patch_size": 16,
}
"""ViT-Small (Touvron et al., "Training data-efficient image transformers", 2021) with 8 of its 12 layers."""
_HEAD_GAIN = 10.0
_STAMP = "written.json"


def prepare(folder: Path) -> None:
    """Write all subjects below `folder`, unless they are there as they would be written now; takes a minute."""
    written = [folder / name / _STAMP for name in NAMES]
    if not all(path.exists() and path.read_text() == _stamp() for path in written):
        command = [sys.executable, "-m", "benchmarks.serving.subjects", str(folder)]
        subprocess.run(command, cwd=REPOSITORY, check=True)


def picture_paths(folder: Path) -> list[Path]:
    """Return the pictures that `prepare` wrote."""
    return sorted((folder / PICTURE_FOLDER).glob("*.jpg"))


def _stamp() -> str:
    from workzone.bundle.manifest import SCHEMA_VERSION

    return json.dumps({"schema": SCHEMA_VERSION, "vit": VIT, "head_gain": _HEAD_GAIN, "pictures": PICTURES})


def _write(folder: Path) -> None:
    from benchmarks.subjects import preprocessing_for, street_jpegs
    from workzone.models.backbones import build_backbone

    pictures = folder / PICTURE_FOLDER
    pictures.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(street_jpegs(PICTURES, *PICTURE_PX)):
        (pictures / f"{index:03d}.jpg").write_bytes(data)
    costly = folder / "costly"
    _write_subject(costly, _vit(), preprocessing_for("vit/base", VIT["image_size"]))
    tiny = folder / "tiny"
    _write_subject(tiny, build_backbone("embedded/resnet", 0), preprocessing_for("embedded/resnet"))


def _vit() -> Backbone:
    import torch
    from transformers import ViTConfig, ViTModel

    from workzone.models.backbone_table import Pooling
    from workzone.models.backbones import Backbone

    torch.manual_seed(0)
    return Backbone(ViTModel(ViTConfig(**VIT)), Pooling.FIRST_TOKEN, "vit-small-8", "Apache-2.0")


def _write_subject(folder: Path, backbone: Backbone, preprocessing: Preprocessing) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    import torch

    from workzone.models.classifier import RoadWorkClassifier

    classifier = RoadWorkClassifier(backbone, seed=1)
    with torch.no_grad():
        classifier.head.weight.mul_(_HEAD_GAIN)
        # transformers' ResNet classifier reads the mean of the map; ours its maximum too, which then says nothing.
        classifier.head.weight[:, _width(backbone) :] = 0.0
    _write_bundle(folder, classifier.eval(), preprocessing)
    _write_for_transformers(folder / TRANSFORMERS, classifier, preprocessing)
    (folder / _STAMP).write_text(_stamp())


def _width(backbone: Backbone) -> int:
    from workzone.models.backbone_table import Pooling

    return backbone.feature_dim // 2 if backbone.pooling is Pooling.MEAN_MAX else backbone.feature_dim


def _write_bundle(folder: Path, classifier: RoadWorkClassifier, preprocessing: Preprocessing) -> None:
    from benchmarks.subjects import T_HI, street_jpegs
    from workzone.bundle.seen import SeenPictures
    from workzone.core.types import Opening, Role
    from workzone.export.card import DataFacts
    from workzone.export.freeze import freeze
    from workzone.export.pack import pack
    from workzone.models.checkpoint import CheckpointRecord, backbone_record, save_checkpoint
    from workzone.policy.calibrators import TemperatureCalibrator
    from workzone.policy.settings import ThresholdSettings
    from workzone.policy.threshold import ThresholdPolicy

    record = CheckpointRecord(
        backbone=backbone_record(classifier.backbone), method="finetune", preprocessing=preprocessing.to_json(),
        size_px=preprocessing.size_px, feature_dim=classifier.backbone.feature_dim, metric="mcc", metric_value=0.0,
        epoch=0, seed=0,
    )  # fmt: skip
    save_checkpoint(folder / "checkpoint", classifier, record)
    freeze(folder / "checkpoint", folder / "model", street_jpegs(4))
    refusal = "The network is untrained: it is there to be timed."
    pack(
        folder / "model",
        folder / BUNDLE,
        name=f"benchmark-{folder.name}",
        created=datetime(2000, 1, 1, tzinfo=UTC),
        calibrator=TemperatureCalibrator(1.0),
        policy=ThresholdPolicy(float("-inf"), T_HI, ThresholdSettings(), certificate=None, refusal=refusal),
        golden_candidates=street_jpegs(12),
        lineage=frozenset(Opening("0" * 64, role) for role in (Role.TRAIN, Role.SELECT, Role.CALIB)),
        data=DataFacts("none", "", "", "0" * 64, 0, 0, synthetic=True),
        seen=SeenPictures.from_ids(train=["0" * 64], select=["1" * 64], calib=["2" * 64]),
    )


def _write_for_transformers(
    folder: Path, classifier: RoadWorkClassifier, preprocessing: Preprocessing
) -> None:
    """Write the same network as `transformers` saves it, and check on noise that it is the same."""
    import torch
    from transformers import AutoModelForImageClassification

    network: Any = classifier.backbone.network
    options = {k: v for k, v in network.config.to_dict().items() if k not in {"id2label", "label2id"}}
    config = type(network.config)(**options, num_labels=1)
    model = AutoModelForImageClassification.from_config(config).eval()
    base = getattr(model, model.base_model_prefix)
    absent, _ = base.load_state_dict(network.state_dict(), strict=False)
    assert not absent, absent  # what is left over is the pooler, which no logit depends on
    head = model.classifier if hasattr(model.classifier, "weight") else model.classifier[-1]
    noise = torch.rand(2, 3, preprocessing.size_px, preprocessing.size_px) - 0.5
    with torch.no_grad():
        head.weight.copy_(classifier.head.weight[:, : head.weight.shape[1]])
        head.bias.copy_(classifier.head.bias)
        torch.testing.assert_close(model(noise).logits[:, 0], classifier(noise)[0], atol=1e-4, rtol=0)
    model.save_pretrained(folder)
    _write_processor(folder, preprocessing)


def _write_processor(folder: Path, preprocessing: Preprocessing) -> None:
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    side = preprocessing.size_px
    ViTImageProcessorPil(
        size={"height": side, "width": side},
        image_mean=[mean / 255 for mean in preprocessing.mean],
        image_std=[1 / (255 * scale) for scale in preprocessing.scale],
        do_convert_rgb=True,
    ).save_pretrained(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    _write(parser.parse_args().folder)
