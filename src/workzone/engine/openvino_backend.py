"""OpenVINO on the processor, in float32 or in bfloat16.

Knows the ONNX file's way into OpenVINO; does not know which precision a bundle may be answered in
(`engine.backend.check_precision`).

The precision is always said: left alone, OpenVINO computes in bfloat16 wherever the processor offers it, and a
certificate of the float32 network would not hold. What is read and given is float32 in both.

Importing OpenVINO counts the import: its package `openvino_telemetry` writes to `~/intel` and sends an event to
its maker. A service that a road operator runs does neither, so the import is done as if that package were not
there, which OpenVINO provides for.

A network whose batch size varies costs OpenVINO about half a millisecond a call, which small networks feel, and
one picture is the commonest batch. So the network is compiled twice, for one picture and for any number. The
answers were the same bit for bit where this was measured (AVX-512), and a test holds it; the memory is that of
both.

OpenVINO's processor plugin gives the thread that first asks for it an alternate signal stack, and frees that memory
with the plugin, wherever that happens. A signal that reaches the thread later ends the process with a segmentation
fault (seen with 2026.4.1; Python's handlers run on such a stack). So the plugin is made in a thread that ends at once.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.manifest import ModelSpec, TensorSpec
from workzone.core.errors import BundleError, ConfigError, InferenceError
from workzone.core.lazy import require
from workzone.engine.backend import BackendOutput, check_images
from workzone.engine.threads import usable_threads

_TELEMETRY = "openvino_telemetry"
_HINTS = {"fp32": "f32", "bf16": "bf16"}
"""Precision → OpenVINO's name for it."""
_CAPABILITIES = {"fp32": "FP32", "bf16": "BF16"}


class OpenVinoBackend:
    """One network in OpenVINO; may be called from several threads, whose runs follow one another."""

    def __init__(
        self, single: Any, several: Any, spec: ModelSpec, max_batch: int, errors: tuple[type[Exception], ...]
    ) -> None:
        self._single = single  # InferRequest for one picture
        self._several = several  # InferRequest for any number
        self._spec = spec
        self._max_batch = max_batch
        self._errors = errors
        self._lock = threading.Lock()  # a request holds its outputs: it serves one caller at a time
        self._running: Any = None

    def run(self, images: NDArray[np.float32]) -> BackendOutput:
        """Run the network; see `Backend.run`."""
        check_images(images, self._spec, self._max_batch)
        batch = len(images)
        with self._lock:
            self._running = self._single if batch == 1 else self._several
            try:
                logits, features = _infer(self._running, images)
            except self._errors as error:
                raise InferenceError(f"OpenVINO failed on {batch} pictures: {_line(error)}") from error
            finally:
                self._running = None
        if logits.shape != (batch,) or features.shape != (batch, self._spec.feature_dim):
            raise InferenceError(
                f"The network gave logits {list(logits.shape)} and features {list(features.shape)} for "
                f"{batch} pictures; expected [{batch}] and [{batch}, {self._spec.feature_dim}]."
            )
        return BackendOutput(logits, features)

    def terminate(self) -> None:
        """End the run in progress; see `Terminable`. Callers that wait for their turn then get it."""
        running = self._running
        if running is not None:
            running.cancel()


def open_fp32(model: Path, spec: ModelSpec, *, max_batch: int, threads: int | None = None) -> OpenVinoBackend:
    """Load an ONNX file, computed in float32; see `open_backend`.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        BundleError: It cannot be loaded, or its inputs and outputs are not as `spec` says.
    """
    return _open(model, spec, "fp32", max_batch, threads)


def open_bf16(model: Path, spec: ModelSpec, *, max_batch: int, threads: int | None = None) -> OpenVinoBackend:
    """Load an ONNX file, computed in bfloat16 where OpenVINO has it for an operator; see `open_backend`.

    It pays where the processor multiplies bfloat16 itself (`avx512_bf16`, `amx_bf16` in /proc/cpuinfo). OpenVINO
    also offers it on processors that must imitate it, with the same answers and no gain.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        ConfigError: It does not offer bfloat16 on this processor.
        BundleError: It cannot be loaded, or its inputs and outputs are not as `spec` says.
    """
    return _open(model, spec, "bf16", max_batch, threads)


def _open(
    model: Path, spec: ModelSpec, precision: str, max_batch: int, threads: int | None
) -> OpenVinoBackend:
    openvino = _import_openvino()
    errors = _runtime_errors(openvino)
    with ThreadPoolExecutor(1) as pool:  # see the module's text
        core, offered = pool.submit(_core_and_precisions, openvino).result()
    if _CAPABILITIES[precision] not in offered:
        raise ConfigError(
            f"OpenVINO does not offer {precision} on this processor, only {', '.join(sorted(offered))}. "
            "Use the backend 'openvino-fp32' or 'onnxruntime' and a bundle that was made for fp32."
        )
    settings = _settings(precision, threads or usable_threads())
    try:
        # The ONNX reader by name: asked to guess, OpenVINO tries a broken file in all formats it knows.
        reader = openvino.frontend.FrontEndManager().load_by_framework("onnx")
        network = reader.convert(reader.load(str(model)))
        _check_tensors(model, "input", network.inputs, (spec.input,))
        _check_tensors(model, "output", network.outputs, spec.outputs)
        several = core.compile_model(network, "CPU", settings)
        network.reshape([1, *spec.input.shape[1:]])
        single = core.compile_model(network, "CPU", settings)
    except errors as error:
        raise BundleError(f"'{model}' cannot be loaded by OpenVINO: {_line(error)}") from error
    for compiled in (single, several):
        used = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if used != _HINTS[precision]:
            raise ConfigError(f"OpenVINO was told to compute in {_HINTS[precision]} and chose {used}.")
    return OpenVinoBackend(
        single.create_infer_request(), several.create_infer_request(), spec, max_batch, errors
    )


def _core_and_precisions(openvino: Any) -> tuple[Any, list[str]]:
    core = openvino.Core()
    return core, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _infer(request: Any, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    # Not `request.infer`: with one thread that cannot be cancelled (seen in 2026.4.1).
    request.start_async([images], share_inputs=True)  # reads the array in place, until `wait` returns
    request.wait()
    # The request writes its next outputs to the same memory.
    return request.get_output_tensor(0).data.copy(), request.get_output_tensor(1).data.copy()


def _settings(precision: str, threads: int) -> dict[str, object]:
    return {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # nothing is quantised that the file does not quantise
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,  # one run at a time has all the threads
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # others share these cores: the kernel may move the threads
    }


def _import_openvino() -> Any:
    """Import OpenVINO without its telemetry; see the module's text.

    Raises:
        MissingExtraError: It is not installed.
    """
    if "openvino" in sys.modules:
        return require("openvino", "openvino")
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # Python's way to say "not installed"
    try:
        return require("openvino", "openvino")
    finally:
        del sys.modules[_TELEMETRY]
        if before is not None:
            sys.modules[_TELEMETRY] = before


def _runtime_errors(openvino: Any) -> tuple[type[Exception], ...]:
    """RuntimeError, and those of the reader, which have no common class below Exception."""
    reading = vars(openvino.frontend).values()
    return (
        RuntimeError,
        *(kind for kind in reading if isinstance(kind, type) and issubclass(kind, Exception)),
    )


def _check_tensors(model: Path, what: str, found: list[Any], expected: tuple[TensorSpec, ...]) -> None:
    names = [sorted(node.get_names()) for node in found]  # a tensor may have several
    if len(names) != len(expected) or any(
        tensor.name not in known for tensor, known in zip(expected, names, strict=True)
    ):
        raise BundleError(
            f"'{model}' has the {what}s {', '.join('/'.join(known) for known in names) or 'none'}; "
            f"expected {', '.join(tensor.name for tensor in expected)}."
        )
    for node, tensor in zip(found, expected, strict=True):
        kind, shape = node.get_element_type().to_dtype(), node.get_partial_shape()
        if kind != np.dtype(tensor.dtype) or not _same_shape(shape, tensor.shape):
            raise BundleError(
                f"'{model}': {what} '{tensor.name}' is {kind} {shape}, "
                f"expected {tensor.dtype} {list(tensor.shape)}."
            )


def _same_shape(found: Any, expected: tuple[int | str, ...]) -> bool:
    """Fixed sizes must be equal; what varies must vary."""
    return (
        found.rank.is_static
        and len(found) == len(expected)
        and all(
            size.is_dynamic if isinstance(e, str) else size.is_static and size.get_length() == e
            for size, e in zip(found, expected, strict=True)
        )
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
