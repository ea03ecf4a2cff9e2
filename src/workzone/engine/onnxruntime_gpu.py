"""ONNX Runtime on an NVIDIA GPU: the CUDA provider in float32, TensorRT in float16.

No GPU has run this module: its tests replace the session by a stand-in. What they hold is that the network never
falls back to the processor: ONNX Runtime does that when a provider is not built in, when one cannot start and
when a run fails, each with a line on the screen at most, and a service that is many times slower than planned
looks like an overloaded one. Single operators may stay on the processor: ONNX Runtime puts the arithmetic on
shapes there, which a network with a varying batch size has, so that forbidding it (`disable_cpu_ep_fallback`)
would forbid our networks.

CUDA has no entry in float16: that needs another file, which `freeze` would have to write. TensorRT chooses the
precision of its kernels itself.
"""

from __future__ import annotations

from pathlib import Path

from workzone.bundle.manifest import ModelSpec
from workzone.core.errors import ConfigError
from workzone.core.onnx_runtime import ort
from workzone.engine.onnxruntime_backend import OnnxRuntimeBackend, load_session, session_options

_CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_FP32_CUDA = (_CUDA, {"use_tf32": "0"})
"""TF32 keeps 10 bits of a float32's 23, and is CUDA's default."""


def open_cuda(
    model: Path, spec: ModelSpec, *, max_batch: int, threads: int | None = None
) -> OnnxRuntimeBackend:
    """Load an ONNX file on the GPU, computed in float32; see `open_backend`. Untested on a GPU.

    Raises:
        ConfigError: This ONNX Runtime has no CUDA provider, or it does not start here.
        BundleError: The file cannot be loaded, or its inputs and outputs are not as `spec` says.
    """
    return _open(model, spec, max_batch, threads, "onnxruntime-cuda", [_FP32_CUDA])


def open_tensorrt_fp16(
    model: Path, spec: ModelSpec, *, max_batch: int, threads: int | None = None
) -> OnnxRuntimeBackend:
    """Load an ONNX file in TensorRT, which may use float16; see `open_backend`. Untested on a GPU.

    The engine is built for batches of 1 to `max_batch` at the first run, which takes minutes: without these
    bounds it would be built again whenever a larger batch came. What TensorRT does not take runs in CUDA, in
    float32.

    Raises:
        ConfigError: This ONNX Runtime has no TensorRT provider, or it does not start here.
        BundleError: The file cannot be loaded, or its inputs and outputs are not as `spec` says.
    """
    sizes = "x".join(map(str, spec.input.shape[1:]))
    largest = f"{spec.input.name}:{max_batch}x{sizes}"
    tensorrt = {
        "trt_fp16_enable": "1",
        "trt_profile_min_shapes": f"{spec.input.name}:1x{sizes}",
        "trt_profile_opt_shapes": largest,
        "trt_profile_max_shapes": largest,
    }
    providers = [(_TENSORRT, tensorrt), _FP32_CUDA]
    return _open(model, spec, max_batch, threads, "onnxruntime-tensorrt-fp16", providers)


def _open(
    model: Path,
    spec: ModelSpec,
    max_batch: int,
    threads: int | None,
    backend: str,
    providers: list[tuple[str, dict[str, str]]],
) -> OnnxRuntimeBackend:
    names = [name for name, _ in providers]
    there = ort.get_available_providers()
    missing = [name for name in names if name not in there]
    if missing:
        raise ConfigError(
            f"The backend '{backend}' needs ONNX Runtime's {' and '.join(missing)}; the one installed here has "
            f"{', '.join(there)}. Install 'onnxruntime-gpu' in the place of 'onnxruntime', or choose another "
            "backend."
        )
    session = load_session(model, spec, session_options(threads), providers)
    started = session.get_providers()
    if any(name not in started for name in names):
        raise ConfigError(
            f"The backend '{backend}' needs {' and '.join(names)}, but ONNX Runtime started only "
            f"{', '.join(started)}: a driver, CUDA, cuDNN or TensorRT is missing or of another version. Repair "
            "that, or choose another backend."
        )
    session.disable_fallback()
    return OnnxRuntimeBackend(session, spec, max_batch)
