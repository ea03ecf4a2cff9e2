"""What runs a frozen network, and the table of runtimes that can.

Knows arrays in and arrays out; does not know pictures, policies or bundles' files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

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


BACKENDS: Mapping[str, str] = MappingProxyType(
    {"onnxruntime": "workzone.engine.onnxruntime_backend:open_onnxruntime"}
)
"""Name → factory (model file, ModelSpec, max_batch, threads or None) → Backend."""


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
        ConfigError: There is no such runtime.
        BundleError: The file cannot be loaded or is not as `spec` says.
    """
    if name not in BACKENDS:
        raise ConfigError(f"There is no inference backend '{name}'.{nearest(name, BACKENDS)}")
    backend: Backend = resolve(BACKENDS[name])(model, spec, max_batch=max_batch, threads=threads)
    return backend


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
