"""The frozen model: the directory that `freeze` writes and `predict` and `pack` read, without torch.

`model.onnx` (its layout is `ModelSpec`), `model.safetensors` (the torch weights, for retraining) and
`model.json`, which says how to feed it and how closely it follows its torch ancestor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from workzone.bundle.manifest import BackboneInfo, ModelSpec, Section
from workzone.core.errors import ArtifactError
from workzone.imaging.preprocessing import Preprocessing
from workzone.storage.atomic import write_bytes

RECORD_NAME = "model.json"
MODEL_NAME = "model.onnx"
WEIGHTS_NAME = "model.safetensors"
_MAX_RECORD_BYTES = 1 << 20


class ParityReport(Section):
    """How far the frozen model's answers are from its ancestor's on the parity pictures."""

    n_pictures: int = Field(ge=1)
    tolerance: float = Field(gt=0, description="Largest difference of a logit that is let through.")
    max_abs_logit: float = Field(ge=0)
    mean_abs_logit: float = Field(ge=0)
    max_abs_feature: float = Field(ge=0)
    logit_std: float = Field(ge=0, description="Of the ancestor's logits: the scale of the differences.")
    n_sign_changes: int = Field(ge=0, description="Pictures whose logit changed its sign.")


class ModelRecord(Section):
    """What `model.json` says."""

    preprocessing: Preprocessing
    spec: ModelSpec
    backbone: BackboneInfo
    precision: str = "fp32"
    backend: str = Field("onnxruntime", description="The runtime that gave its answers here, and serves.")
    parity: ParityReport


@dataclass(frozen=True, slots=True)
class FrozenModel:
    """A frozen model's files and record."""

    path: Path
    record: ModelRecord

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return self.path / MODEL_NAME

    @property
    def weights_path(self) -> Path:
        """The torch weights."""
        return self.path / WEIGHTS_NAME


def write_record(directory: Path, record: ModelRecord) -> None:
    """Write `model.json`."""
    write_bytes(directory / RECORD_NAME, (record.model_dump_json(indent=2) + "\n").encode())


def open_model(directory: Path) -> FrozenModel:
    """Open a frozen model. Its hashes are its artifact's: verify that first.

    Raises:
        ArtifactError: A file is missing, or the record is not valid.
    """
    for name in (RECORD_NAME, MODEL_NAME, WEIGHTS_NAME):
        if not (directory / name).is_file():
            raise ArtifactError(f"'{directory}' is no frozen model: it lacks '{name}'. Run `freeze` again.")
    record = directory / RECORD_NAME
    if record.stat().st_size > _MAX_RECORD_BYTES:
        raise ArtifactError(f"'{record}' is larger than 1 MiB; a model's record is a page of JSON.")
    try:
        return FrozenModel(directory, ModelRecord.model_validate_json(record.read_bytes(), strict=True))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors()[:3])
        raise ArtifactError(f"'{record}' is not a model's record ({faults}). Run `freeze` again.") from error
