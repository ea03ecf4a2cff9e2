"""A bundle's classifier as a model that `transformers` loads: two classes, softmax, 0.5 at the operating point.

Knows which of its classes read features off a network just as our head does; where none does, says so, and nothing is
written. One logit z becomes two, 0 and z − threshold, so that the softmax of the second is σ(z − threshold). What was
written is loaded again and asked beside the bundle's own `model.onnx`, about its golden pictures, before it counts.

The decision a reader would question: the table is short. `transformers` has classes for more networks, but they pool
otherwise (SigLIP's averages tokens where the backbone has an attention head; none takes maxima over the map), DINOv3
has none, and a head that was trained on other features is another model.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.reader import Bundle
from workzone.core.lazy import require
from workzone.engine.backend import open_backend
from workzone.engine.scorer import DEFAULT_BACKEND, score_sources
from workzone.imaging.decode import decode_image
from workzone.models.backbone_table import Pooling

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
PROCESSOR_NAME = "preprocessor_config.json"
LABELS: Mapping[int, str] = MappingProxyType({0: "None", 1: "Roadwork"})
DEFAULT_TOLERANCE = 1e-3
"""Of a logit: as for freezing."""
CLASSES: Mapping[tuple[str, Pooling], str] = MappingProxyType(
    {
        ("vit", Pooling.FIRST_TOKEN): "ViTForImageClassification",
        ("dinov2", Pooling.FIRST_TOKEN): "Dinov2ForImageClassification",
        ("dinov2_with_registers", Pooling.FIRST_TOKEN): "Dinov2WithRegistersForImageClassification",
        ("resnet", Pooling.FIRST_TOKEN): "ResNetForImageClassification",
    }
)
"""Network and how its features are read → the class whose head reads the same; DINOv2's also reads the patches' mean,
which gets weight 0."""
_MAX_HEADER_BYTES = 16 << 20
_NETWORK = "backbone.network."


@dataclass(frozen=True, slots=True)
class Convertible:
    """That there is a class for a bundle's network.

    Attributes:
        architecture: The class's name.
        config: Of the network, as `transformers` reads it.
    """

    architecture: str
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NotConvertible:
    """Why `transformers` cannot load a bundle's model: one sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written to a directory: weights, configuration and processor.

    Attributes:
        architecture: The class that loads it.
        path: The directory.
        max_abs_logit: Largest difference of a logit from the bundle's `model.onnx`, asked about the same pixels.
        n_pictures: On how many golden pictures.
        processor_shift: Largest difference of a probability where `transformers` prepares the pictures too.
    """

    architecture: str
    path: Path
    max_abs_logit: float
    n_pictures: int
    processor_shift: float


def find_class(bundle: Bundle) -> Convertible | NotConvertible:
    """Return the class that loads a bundle's classifier, or why there is none; without torch."""
    described = _described(bundle.path / WEIGHTS_NAME)
    if described is None:
        return NotConvertible(f"its `{WEIGHTS_NAME}` does not say which network it belongs to.")
    pooling, config = described
    if pooling is None:
        return NotConvertible("its backbone is an ONNX network, which `transformers` does not know.")
    if bundle.manifest.views != 1:
        return NotConvertible(f"it looks at {bundle.manifest.views} views of a picture, a class at one.")
    if bundle.preprocessing.channel_order != "RGB":
        return NotConvertible("it reads blue, green, red, for which `preprocessor_config.json` has no word.")
    model_type = str(config.get("model_type", ""))
    architecture = CLASSES.get((model_type, pooling))
    if architecture is None:
        return NotConvertible(
            f"no class of `transformers` classifies pictures by a `{model_type[:60]}` network whose features are read "
            f"off as this head reads them (`{pooling.value}`)."
        )
    return Convertible(architecture, config)


def convert(
    bundle: Bundle,
    found: Convertible,
    output: Path,
    *,
    processor: bytes,
    threshold: float = 0.0,
    tolerance: float = DEFAULT_TOLERANCE,
) -> Converted | NotConvertible:
    """Write the model to `output`, load it again, and compare it with the bundle's.

    Args:
        bundle: A verified bundle.
        found: What `find_class` said of it.
        output: A new directory; there is none afterwards where the model cannot be written.
        processor: Content of `preprocessor_config.json`, written beside it.
        threshold: The logit that becomes probability 0.5.
        tolerance: Largest difference of a logit that is let through.

    Raises:
        BundleError: The bundle's `model.onnx` cannot be loaded.
        DataError: A golden picture cannot be decoded.
        MissingExtraError: torch or transformers is not installed.
    """
    require("torch", "train")
    require("transformers", "train")
    output.mkdir(parents=True)
    with _quiet():
        try:
            _write(bundle, found, output, threshold)
            (output / PROCESSOR_NAME).write_bytes(processor)
            made = _compared(bundle, found, output, threshold, tolerance)
        except _UnfitError as error:
            made = NotConvertible(str(error))
        except BaseException:
            shutil.rmtree(output)
            raise
    if isinstance(made, NotConvertible):
        shutil.rmtree(output)
    return made


class _UnfitError(Exception):
    """The weights are not those of the class, or it says something else."""


def _described(weights: Path) -> tuple[Pooling | None, Mapping[str, Any]] | None:
    """Read what `freeze` wrote about the network into the head of its weights; no tensor is read, and no torch needed.

    Returns:
        How features are read (None of an ONNX backbone) and the network's configuration; None where nothing says.
    """
    with weights.open("rb") as handle:
        length = handle.read(8)
        if len(length) < 8 or (size := struct.unpack("<Q", length)[0]) > _MAX_HEADER_BYTES:
            return None
        head = handle.read(size)
    try:
        value = json.loads(json.loads(head)["__metadata__"]["workzone"])
        backbone, config = value["classifier"]["backbone"], value["backbone_config"]
        pooling = Pooling(backbone["pooling"]) if backbone["kind"] == "torch" else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return (pooling, config) if isinstance(config, dict) else None


def _write(bundle: Bundle, found: Convertible, output: Path, threshold: float) -> None:
    import torch
    import transformers
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / CONFIG_NAME).write_text(json.dumps(dict(found.config)), encoding="utf-8")
        config = transformers.AutoConfig.from_pretrained(scratch, local_files_only=True)
    config.num_labels = len(LABELS)
    config.id2label = dict(LABELS)
    config.label2id = {name: number for number, name in LABELS.items()}
    config.problem_type = "single_label_classification"
    model = getattr(transformers, found.architecture)(config).float().eval()
    try:
        weights = load_file(bundle.path / WEIGHTS_NAME)
        network = {
            key.removeprefix(_NETWORK): value for key, value in weights.items() if key.startswith(_NETWORK)
        }
        missing, extra = getattr(model, model.base_model_prefix).load_state_dict(network, strict=False)
        # A pooler that the head does not read is none of the class's.
        strange = [key for key in extra if not key.startswith("pooler.")]
        if missing or strange:
            raise _UnfitError(
                f"its weights are not those of `{found.architecture}` ('{[*missing, *strange][0]}')."
            )
        _set_head(model, weights["head.weight"], weights["head.bias"], threshold)
    except (SafetensorError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise _UnfitError(f"its weights are not those of `{found.architecture}` ({reason}).") from error
    with torch.inference_mode():
        model.save_pretrained(output)


def _set_head(model: Any, weight: Any, bias: Any, threshold: float) -> None:
    """Make of one logit two: 0, and ours minus the threshold. What the class reads beside our features counts 0."""
    import torch

    head = [module for module in model.classifier.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        head.weight[1, : weight.shape[1]] = weight[0]
        # In float64: a threshold far from 0 must not cost the bias its last digits twice.
        head.bias[1] = (bias[0].double() - threshold).float()


def _compared(
    bundle: Bundle, found: Convertible, output: Path, threshold: float, tolerance: float
) -> Converted | NotConvertible:
    """Load what was written as a stranger would, and ask it and the bundle about the golden pictures."""
    import transformers

    model, said = transformers.AutoModelForImageClassification.from_pretrained(
        output, local_files_only=True, output_loading_info=True
    )
    if said["missing_keys"] or type(model).__name__ != found.architecture:
        raise _UnfitError(f"what was written is not loaded as a whole `{found.architecture}`.")
    pictures, preprocessing = bundle.golden.pictures, bundle.preprocessing
    backend = open_backend(
        DEFAULT_BACKEND, bundle.path / "model.onnx", bundle.manifest.model, max_batch=preprocessing.max_batch
    )
    sealed, _ = score_sources(backend, preprocessing, pictures)
    step = preprocessing.max_batch
    parts = [pictures[start : start + step] for start in range(0, len(pictures), step)]
    logits = (
        np.concatenate([_margins(model.eval(), preprocessing.prepare(part)) for part in parts]) + threshold
    )
    off = float(np.abs(logits - sealed).max())
    if not off <= tolerance:  # so that a NaN fails
        return NotConvertible(
            f"`{found.architecture}` with its weights differs from its `model.onnx` by {off:.3g} in the logit of a "
            f"golden picture; at most {tolerance:g} is let through."
        )
    processor = transformers.AutoImageProcessor.from_pretrained(output, local_files_only=True)
    theirs = np.concatenate([_margins(model, _prepared(processor, part)) for part in parts])
    shift = float(np.abs(_sigmoid(theirs) - _sigmoid(sealed - threshold)).max())
    return Converted(found.architecture, output, off, len(pictures), shift)


def _margins(model: Any, pixels: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the second logit minus the first, float64 [B], of pixels float32 [B, 3, H, W]."""
    import torch

    with torch.inference_mode():
        logits = model(torch.from_numpy(pixels)).logits.double().numpy()
    margins: NDArray[np.float64] = logits[:, 1] - logits[:, 0]
    return margins


def _prepared(processor: Any, pictures: tuple[bytes, ...]) -> NDArray[np.float32]:
    """Return pixels float32 [B, 3, H, W] as `transformers` makes them."""
    arrays = [decode_image(picture) for picture in pictures]
    pixels: NDArray[np.float32] = np.concatenate(
        [np.asarray(processor(images=a, return_tensors="np")["pixel_values"], np.float32) for a in arrays]
    )
    return pixels


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -logits))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep `transformers`' bars and remarks off the console."""
    log = require("transformers.utils.logging", "train")
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
