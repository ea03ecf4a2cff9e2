"""What runs a frozen network, and the table of runtimes that can.

Knows arrays in and arrays out; does not know pictures, policies or bundles' files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.manifest import ModelSpec
from workzone.core.errors import ConfigError, InferenceError, nearest
from workzone.core.lazy import resolve


@dataclass(frozen=True, slots=True)
class BackendOutput:
    """What the network says of B pictures.

    Attributes:
        logits: float32 [B].
        features: float32 [B, D].
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]


class Backend(Protocol):
    """A frozen network, loaded."""

    def run(self, images: NDArray[np.float32]) -> BackendOutput:
        """Run the network.

        Args:
            images: float32 [B, V, 3, H, W], normalised, B from 1 to the largest batch.

        Raises:
            InferenceError: The array has another shape or type, or the runtime failed.
        """


@runtime_checkable
class Terminable(Protocol):
    """A backend that can end a run which takes too long."""

    def terminate(self) -> None:
        """Ask the runs in progress to end, from another thread; they then raise InferenceError.

        A runtime looks between two operators whether it was asked: one that hangs inside an operator goes on.
        Runs that begin later are not affected.
        """


BACKENDS: Mapping[str, str] = MappingProxyType(
    {
        "onnxruntime": "workzone.engine.onnxruntime_backend:open_onnxruntime",
        "onnxruntime-cuda": "workzone.engine.onnxruntime_gpu:open_cuda",
        "onnxruntime-tensorrt-fp16": "workzone.engine.onnxruntime_gpu:open_tensorrt_fp16",
        "openvino-fp32": "workzone.engine.openvino_backend:open_fp32",
        "openvino-bf16": "workzone.engine.openvino_backend:open_bf16",
    }
)
"""Name → factory (model file, ModelSpec, max_batch, threads or None) → Backend."""

PRECISIONS: Mapping[str, str] = MappingProxyType(
    {
        "onnxruntime": "fp32",
        "onnxruntime-cuda": "fp32",
        "onnxruntime-tensorrt-fp16": "fp16",
        "openvino-fp32": "fp32",
        "openvino-bf16": "bf16",
    }
)
"""Name → the precision that the network is computed in."""

PACKAGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "openvino-fp32": ("openvino", "openvino"),
        "openvino-bf16": ("openvino", "openvino"),
    }
)
"""Name → (package, extra that brings it), where a runtime needs more than the base."""


def open_backend(
    name: str, model: Path, spec: ModelSpec, *, max_batch: int, threads: int | None = None
) -> Backend:
    """Load a frozen network in the named runtime.

    Args:
        name: A key of `BACKENDS`.
        model: The ONNX file.
        spec: What it must read and give.
        max_batch: The most pictures that `run` takes at once.
        threads: Of the runtime; None: as many as the process may use.

    Raises:
        ConfigError: There is no such runtime, or it cannot work on this machine.
        MissingExtraError: Its package is not installed.
        BundleError: The file cannot be loaded or is not as `spec` says.
    """
    if name not in BACKENDS:
        raise ConfigError(f"There is no inference backend '{name}'.{nearest(name, BACKENDS)}")
    backend: Backend = resolve(BACKENDS[name])(model, spec, max_batch=max_batch, threads=threads)
    return backend


def check_precision(name: str, precision: str) -> None:
    """Refuse a runtime that computes in another precision than a bundle was certified in.

    Its logits differ by more than rounding, so that thresholds, probabilities and certificate are not for it.

    Args:
        name: A key of `BACKENDS`.
        precision: Of the bundle: its manifest's `serving.precision`.

    Raises:
        ConfigError: There is no such runtime, or it computes in another precision.
    """
    if name not in BACKENDS:
        raise ConfigError(f"There is no inference backend '{name}'.{nearest(name, BACKENDS)}")
    if PRECISIONS[name] != precision:
        fitting = ", ".join(f"'{other}'" for other, kind in PRECISIONS.items() if kind == precision)
        raise ConfigError(
            f"The inference backend '{name}' computes in {PRECISIONS[name]}; this bundle was calibrated and "
            f"certified in {precision}, and its promise does not hold in another. For {precision} there is: "
            f"{fitting or 'none'}."
        )


def check_images(images: NDArray[np.float32], spec: ModelSpec, max_batch: int) -> None:
    """Check what is given to `run`, once, at the boundary.

    Raises:
        InferenceError: The array is none that the network reads.
    """
    expected = tuple(spec.input.shape[1:])
    found = images.shape
    if images.dtype != np.float32 or found[1:] != expected or not 1 <= found[0] <= max_batch:
        raise InferenceError(
            f"The network reads float32 [1 to {max_batch}, {', '.join(map(str, expected))}], "
            f"it was given {images.dtype} {list(found)}."
        )
