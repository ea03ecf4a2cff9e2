"""A trained classifier as a directory that is rebuilt without a hub and without pickle.

```
classifier.json        CheckpointRecord
model.safetensors      every weight: `backbone.network.*`, `head.weight` [1, D], `head.bias` [1]
backbone/config.json   the architecture, as transformers reads it          (backbone kind "torch")
backbone.onnx          the frozen network; the head alone is in safetensors (backbone kind "onnx")
```

Does not write atomically: the caller's directory becomes an artifact as a whole. Holds the preprocessing as
the JSON text of its record, because this package knows no pictures.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from workzone.core.errors import ArtifactError
from workzone.models.backbone_table import Pooling
from workzone.models.backbones import Backbone, rebuild_backbone
from workzone.models.classifier import RoadWorkClassifier
from workzone.models.onnx_backbone import OnnxBackbone

RECORD_NAME = "classifier.json"
WEIGHTS_NAME = "model.safetensors"
BACKBONE_DIRECTORY = "backbone"
ONNX_NAME = "backbone.onnx"
MAX_RECORD_BYTES = 1 << 20


class BackboneKind(StrEnum):
    """What runs the backbone."""

    TORCH = "torch"
    ONNX = "onnx"


class BackboneRecord(BaseModel):
    """Which backbone it is and how its features are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: BackboneKind
    source: str = Field(description="The name it was asked by.")
    licence: str
    pooling: Pooling | None = Field(None, description="Of a torch backbone.")
    onnx: dict[str, str | int | bool | None] | None = Field(
        None, description="Of an ONNX backbone: the fields of `OnnxLayout`, for whoever composes the graph."
    )


class CheckpointRecord(BaseModel):
    """What `classifier.json` says.

    Attributes:
        preprocessing: JSON text of the preprocessing record; `Preprocessing.from_json` reads it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: BackboneRecord
    method: str = Field(description="probe or finetune.")
    preprocessing: str
    size_px: int = Field(ge=1, description="Side of the square input.")
    feature_dim: int = Field(ge=1)
    metric: str = Field(description="What the checkpoint was chosen by, on `select`.")
    metric_value: float
    epoch: int = Field(ge=0, description="The epoch it was chosen at, from 1; of a probe, the candidate.")
    seed: int


def backbone_record(backbone: Backbone | OnnxBackbone) -> BackboneRecord:
    """Describe a backbone."""
    if isinstance(backbone, OnnxBackbone):
        return BackboneRecord(
            kind=BackboneKind.ONNX,
            source=backbone.source,
            licence=backbone.licence,
            onnx=asdict(backbone.layout),
        )
    return BackboneRecord(
        kind=BackboneKind.TORCH, source=backbone.source, licence=backbone.licence, pooling=backbone.pooling
    )


def save_checkpoint(directory: Path, classifier: RoadWorkClassifier, record: CheckpointRecord) -> None:
    """Write a checkpoint's files into `directory`, which is made if it does not exist."""
    directory.mkdir(parents=True, exist_ok=True)
    backbone = classifier.backbone
    if isinstance(backbone, OnnxBackbone):
        shutil.copyfile(backbone.path, directory / ONNX_NAME)
    else:
        (directory / BACKBONE_DIRECTORY).mkdir(exist_ok=True)
        _write_json(directory / BACKBONE_DIRECTORY / "config.json", backbone.config)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in classifier.state_dict().items()}
    save_file(weights, directory / WEIGHTS_NAME)
    _write_json(directory / RECORD_NAME, record.model_dump(mode="json"))


def read_record(directory: Path) -> CheckpointRecord:
    """Read `classifier.json`.

    Raises:
        ArtifactError: It is missing or not valid.
    """
    path = directory / RECORD_NAME
    if not path.is_file() or path.stat().st_size > MAX_RECORD_BYTES:
        raise ArtifactError(f"'{directory}' is no checkpoint: '{RECORD_NAME}' is missing or too large.")
    try:
        return CheckpointRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ArtifactError(f"'{path}' is not valid ({faults}). Train again.") from error


def load_checkpoint(directory: Path) -> tuple[RoadWorkClassifier, CheckpointRecord]:
    """Rebuild the classifier, in evaluation mode on the CPU, with the very weights that were saved.

    Raises:
        ArtifactError: A file is missing or broken, or the weights are not those of the architecture.
    """
    record = read_record(directory)
    classifier = RoadWorkClassifier(_rebuild(directory, record.backbone))
    try:
        weights = load_file(directory / WEIGHTS_NAME)
        classifier.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ArtifactError(
            f"The weights of checkpoint '{directory}' cannot be loaded: {reason} Train again."
        ) from error
    return classifier.eval(), record


def _rebuild(directory: Path, record: BackboneRecord) -> Backbone | OnnxBackbone:
    if record.kind is BackboneKind.ONNX:
        output = (record.onnx or {}).get("output_name")
        return OnnxBackbone(directory / ONNX_NAME, str(output) if output else None, record.source)
    config = directory / BACKBONE_DIRECTORY
    if not (config / "config.json").is_file() or record.pooling is None:
        raise ArtifactError(f"Checkpoint '{directory}' lacks its backbone's architecture. Train again.")
    return rebuild_backbone(config, record.pooling, record.source, record.licence)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
