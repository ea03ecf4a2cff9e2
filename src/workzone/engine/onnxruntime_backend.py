"""ONNX Runtime on the processor.

Threads never spin while they wait: on a shared or throttled machine spinning takes the time from the next
request's decoding, and it shows in nobody's benchmark.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.manifest import ModelSpec, TensorSpec
from workzone.core.errors import BundleError, InferenceError
from workzone.core.onnx_runtime import ort, ort_state
from workzone.engine.backend import BackendOutput, check_images
from workzone.engine.threads import usable_threads

# The runtime's exceptions have no common class below Exception.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    *(kind for kind in vars(ort_state).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    RuntimeError,
)
_TYPES = {"float32": "tensor(float)"}
_ERROR_LEVEL = 3


class OnnxRuntimeBackend:
    """One session of ONNX Runtime; may be called from several threads."""

    def __init__(self, session: ort.InferenceSession, spec: ModelSpec, max_batch: int) -> None:
        self._session = session
        self._spec = spec
        self._max_batch = max_batch
        self._outputs = [output.name for output in spec.outputs]
        self._running: set[ort.RunOptions] = set()

    def run(self, images: NDArray[np.float32]) -> BackendOutput:
        """Run the network; see `Backend.run`."""
        check_images(images, self._spec, self._max_batch)
        options = ort.RunOptions()  # its own for each run: a set flag ends every run it is given to
        options.log_severity_level = _ERROR_LEVEL
        self._running.add(options)
        try:
            logits, features = self._session.run(self._outputs, {self._spec.input.name: images}, options)
        except _RUNTIME_ERRORS as error:
            raise InferenceError(f"ONNX Runtime failed on {len(images)} pictures: {_line(error)}") from error
        finally:
            self._running.discard(options)
        batch = len(images)
        if logits.shape != (batch,) or features.shape != (batch, self._spec.feature_dim):
            raise InferenceError(
                f"The network gave logits {list(logits.shape)} and features {list(features.shape)} for "
                f"{batch} pictures; expected [{batch}] and [{batch}, {self._spec.feature_dim}]."
            )
        return BackendOutput(logits, features)

    def terminate(self) -> None:
        """End the runs in progress; see `Terminable`."""
        for options in tuple(self._running):
            options.terminate = True


def open_onnxruntime(
    model: Path, spec: ModelSpec, *, max_batch: int, threads: int | None = None
) -> OnnxRuntimeBackend:
    """Load an ONNX file; see `open_backend`.

    Raises:
        BundleError: It cannot be loaded, or its inputs and outputs are not as `spec` says.
    """
    session = load_session(model, spec, session_options(threads), [("CPUExecutionProvider", {})])
    return OnnxRuntimeBackend(session, spec, max_batch)


def session_options(threads: int | None) -> ort.SessionOptions:
    """Return the options of every session; `threads` None: as many as the process may use."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or usable_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _ERROR_LEVEL
    return options


def load_session(
    model: Path, spec: ModelSpec, options: ort.SessionOptions, providers: list[tuple[str, dict[str, str]]]
) -> ort.InferenceSession:
    """Load an ONNX file with these execution providers, name and options each, and no others.

    Raises:
        BundleError: It cannot be loaded, or its inputs and outputs are not as `spec` says.
    """
    try:
        session = ort.InferenceSession(str(model), options, providers=providers, enable_fallback=0)
    except _RUNTIME_ERRORS as error:
        raise BundleError(f"'{model}' cannot be loaded by ONNX Runtime: {_line(error)}") from error
    _check_tensors(model, "input", session.get_inputs(), (spec.input,))
    _check_tensors(model, "output", session.get_outputs(), spec.outputs)
    return session


def _check_tensors(
    model: Path, what: str, found: list[ort.NodeArg], expected: tuple[TensorSpec, ...]
) -> None:
    names = [node.name for node in found]
    if names != [tensor.name for tensor in expected]:
        raise BundleError(
            f"'{model}' has the {what}s {', '.join(names)}; expected {', '.join(t.name for t in expected)}."
        )
    for node, tensor in zip(found, expected, strict=True):
        if node.type != _TYPES[tensor.dtype] or not _same_shape(node.shape, tensor.shape):
            raise BundleError(
                f"'{model}': {what} '{node.name}' is {node.type} {node.shape}, "
                f"expected {_TYPES[tensor.dtype]} {list(tensor.shape)}."
            )


def _same_shape(found: list[int | str | None], expected: tuple[int | str, ...]) -> bool:
    """Fixed sizes must be equal; what varies must vary, under any name."""
    return len(found) == len(expected) and all(
        not isinstance(f, int) if isinstance(e, str) else f == e for f, e in zip(found, expected, strict=True)
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
