"""`freeze`: from a checkpoint to the frozen model that is calibrated, certified and served.

Knows the order of the steps: load, export, make canonical, compare, write. A model that does not pass the
parity gate is not left behind.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import onnx
import torch
from safetensors.torch import load_file, save_file

from workzone.bundle.manifest import BackboneInfo, ModelSpec, model_spec
from workzone.bundle.model import (
    MODEL_NAME,
    WEIGHTS_NAME,
    FrozenModel,
    ModelRecord,
    ParityReport,
    open_model,
    write_record,
)
from workzone.core.errors import ArtifactError, BundleError, DataError, InferenceError
from workzone.core.observer import NullObserver, Observer
from workzone.engine.backend import open_backend
from workzone.engine.scorer import DEFAULT_BACKEND
from workzone.export.graph import canonical_bytes
from workzone.export.onnx_network import Batching, compose_onnx
from workzone.export.parity import F32, Ancestor, check_parity
from workzone.export.torch_network import export_torch
from workzone.imaging.decode import ImageInput
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.backbone_table import ONNX_PREFIX
from workzone.models.checkpoint import (
    BACKBONE_DIRECTORY,
    ONNX_NAME,
    BackboneKind,
    CheckpointRecord,
    load_checkpoint,
)
from workzone.models.classifier import RoadWorkClassifier
from workzone.models.onnx_backbone import OnnxBackbone

DEFAULT_TOLERANCE = 1e-3
log = logging.getLogger(__name__)
Build = Callable[[], onnx.ModelProto]


def freeze(
    checkpoint: Path,
    output: Path,
    pictures: Sequence[ImageInput],
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    backend: str = DEFAULT_BACKEND,
    observer: Observer | None = None,
) -> FrozenModel:
    """Write `model.onnx`, `model.safetensors` and `model.json` to `output`.

    Args:
        checkpoint: What training wrote.
        output: A directory; made if it does not exist.
        pictures: Of `select`: the parity set.
        tolerance: Largest difference of a logit between the frozen model and torch in float32.
        backend: The runtime of float32 that will serve it: through it the frozen model is asked.
        observer: Told of the parity pictures done.

    Raises:
        ArtifactError: The checkpoint is broken, cannot be exported, or the parity gate is not met.
        ConfigError: There is no such runtime, or it cannot work on this machine.
        DataError: There are no pictures, or one cannot be decoded.
        MissingExtraError: The runtime is not installed.
    """
    if not pictures:
        raise DataError("The parity gate needs pictures of `select` to compare; there are none.")
    classifier, record = load_checkpoint(checkpoint)
    preprocessing = Preprocessing.from_json(record.preprocessing)
    spec = model_spec(preprocessing.size_px, record.feature_dim)
    output.mkdir(parents=True, exist_ok=True)
    gate = partial(
        _passed,
        model=output / MODEL_NAME,
        spec=spec,
        preprocessing=preprocessing,
        ancestor=partial(_ask, classifier),
        pictures=pictures,
        tolerance=tolerance,
        serving=backend,
        observer=observer or NullObserver(),
    )
    report = _first_that_passes(_ways(checkpoint, classifier, spec), gate)
    save_file(
        load_file(checkpoint / WEIGHTS_NAME),
        output / WEIGHTS_NAME,
        # One key: more would be written in the order of a hash table.
        metadata={"workzone": _architecture(checkpoint, record)},
    )
    backbone = BackboneInfo(name=public_source(record.backbone.source), licence=record.backbone.licence)
    write_record(
        output,
        ModelRecord(
            preprocessing=preprocessing, spec=spec, backbone=backbone, backend=backend, parity=report
        ),
    )
    return open_model(output)


def public_source(source: str) -> str:
    """Return a backbone's name without the directories of the machine that it was read from.

    >>> public_source("onnx:/home/someone/net.onnx#features")
    'onnx:net.onnx#features'
    >>> public_source("/home/someone/dinov2-small")
    'dinov2-small'
    >>> public_source("facebook/dinov2-small")
    'facebook/dinov2-small'
    """
    if source.startswith(ONNX_PREFIX):
        return ONNX_PREFIX + PurePath(source.removeprefix(ONNX_PREFIX)).name
    local = source.startswith((".", "~")) or PurePath(source).is_absolute() or source.count("/") > 1
    return PurePath(source).name if local else source


def _ways(checkpoint: Path, classifier: RoadWorkClassifier, spec: ModelSpec) -> list[Build]:
    """Return the ways to export a classifier, the fastest model first."""
    backbone = classifier.backbone
    if not isinstance(backbone, OnnxBackbone):
        return [partial(export_torch, classifier, spec)]
    head = classifier.head.weight.detach().numpy(), classifier.head.bias.detach().numpy()
    batchings = [Batching.FREE] if backbone.layout.batch is None else [Batching.FREE, Batching.ONE_BY_ONE]
    return [
        partial(compose_onnx, checkpoint / ONNX_NAME, backbone.layout, *head, spec, batching)
        for batching in batchings
    ]


def _first_that_passes(ways: Sequence[Build], gate: Callable[[Build], ParityReport]) -> ParityReport:
    """Return the report of the first way that passes the gate; the last refusal where none does."""
    for build in ways[:-1]:
        try:
            return gate(build)
        except (ArtifactError, BundleError, InferenceError) as error:
            log.info("export way refused", extra={"reason": str(error)})
    return gate(ways[-1])


def _passed(
    build: Build,
    *,
    model: Path,
    spec: ModelSpec,
    preprocessing: Preprocessing,
    ancestor: Ancestor,
    pictures: Sequence[ImageInput],
    tolerance: float,
    serving: str,
    observer: Observer,
) -> ParityReport:
    """Write the model, load it as it will be served, and compare; without success there is no model."""
    try:
        model.write_bytes(canonical_bytes(build(), spec))
        backend = open_backend(serving, model, spec, max_batch=preprocessing.max_batch)
        return check_parity(ancestor, backend, preprocessing, pictures, tolerance, observer)
    except (BundleError, InferenceError) as error:
        model.unlink(missing_ok=True)
        raise ArtifactError(f"The exported model does not run: {error}") from error
    except BaseException:
        model.unlink(missing_ok=True)
        raise


def _ask(classifier: RoadWorkClassifier, pixels: F32) -> tuple[F32, F32]:
    """Ask the torch ancestor, in float32 on the CPU."""
    with torch.inference_mode():
        logits, features = classifier(torch.from_numpy(pixels))
    return logits.numpy(), features.numpy()


def _architecture(checkpoint: Path, record: CheckpointRecord) -> str:
    """Return what is needed to rebuild the network around the weights, as JSON text."""
    config: dict[str, Any] = {}
    if record.backbone.kind is BackboneKind.TORCH:
        text = (checkpoint / BACKBONE_DIRECTORY / "config.json").read_text(encoding="utf-8")
        config = {key: value for key, value in json.loads(text).items() if not key.startswith("_")}
    described = record.model_dump(mode="json")
    described["backbone"]["source"] = public_source(record.backbone.source)
    return json.dumps({"classifier": described, "backbone_config": config}, sort_keys=True)
