"""Any ONNX network as a frozen feature extractor, run by ONNX Runtime; no torch.

Knows how to feed it (layout, fixed batch, float16) and how to reduce its output to one vector a picture.
A network whose weights lie in files beside it is refused: a checkpoint copies one file.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError, nearest
from workzone.models.backbone_table import ONNX_PREFIX

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


@dataclass(frozen=True, slots=True)
class OnnxLayout:
    """How an ONNX network is fed and read; what an export needs to put a head on it.

    Attributes:
        input_name: Its one input.
        output_name: The output that features are read from.
        channels_last: Whether it reads [B, H, W, 3] instead of [B, 3, H, W]; then a 4-D output is taken as
            [B, H, W, C] too.
        dtype: numpy's name of the input's type: float32, float16 or float64.
        size_px: Side of its square input, None if any.
        batch: Its fixed batch, None if any.
        output_rank: 2 is features; 3 ([B, T, C]) is averaged over tokens; 4 over the map.
        feature_dim: D.
    """

    input_name: str
    output_name: str
    channels_last: bool
    dtype: str
    size_px: int | None
    batch: int | None
    output_rank: int
    feature_dim: int


class OnnxExtractor:
    """An ONNX network from pixels to features.

    Attributes:
        path: The ONNX file.
        layout: How it is fed and read.
    """

    def __init__(self, path: Path, output: str | None = None) -> None:
        """Open the network.

        Args:
            path: The ONNX file.
            output: Name of the output to read; the last one by default.

        Raises:
            ConfigError: The file is missing or broken, has weights outside, or is no network of pictures.
        """
        self.path = path
        self._session = _open(path)
        self.layout = _read_layout(self._session, path, output)

    @property
    def feature_dim(self) -> int:
        """D."""
        return self.layout.feature_dim

    def extract(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return features float32 [B, D] of pixels float32 [B, 3, H, W], normalised."""
        step = self.layout.batch or max(1, len(pixels))
        parts = [self._run(pixels[at : at + step]) for at in range(0, len(pixels), step)]
        return np.concatenate(parts) if parts else np.zeros((0, self.feature_dim), np.float32)

    def sha256(self) -> str:
        """Return a hash of the file and of how it is read: the backbone's part of a cache key."""
        digest = hashlib.sha256(self.path.read_bytes())
        digest.update(repr(self.layout).encode())
        return digest.hexdigest()

    def _run(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        layout, n = self.layout, len(pixels)
        fed = pixels.transpose(0, 2, 3, 1) if layout.channels_last else pixels
        fed = np.ascontiguousarray(fed, dtype=layout.dtype)
        if layout.batch is not None and n < layout.batch:
            fed = np.concatenate([fed, np.repeat(fed[-1:], layout.batch - n, axis=0)])
        (output,) = self._session.run([layout.output_name], {layout.input_name: fed})
        return _pool(np.asarray(output, dtype=np.float32)[:n], layout.channels_last)


def parse_onnx_name(name: str) -> tuple[Path, str | None]:
    """Return path and output of `onnx:PATH` or `onnx:PATH#OUTPUT`."""
    path, _, output = name.removeprefix(ONNX_PREFIX).partition("#")
    return Path(path), output or None


def _pool(output: NDArray[np.float32], channels_last: bool) -> NDArray[np.float32]:
    axes = {2: (), 3: (1,), 4: (1, 2) if channels_last else (2, 3)}[output.ndim]
    pooled: NDArray[np.float32] = output.mean(axis=axes) if axes else output
    return pooled


def _open(path: Path) -> Any:
    from workzone.core.onnx_runtime import ort

    if not path.is_file():
        raise ConfigError(f"There is no ONNX file '{path}'.")
    options = ort.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        # From bytes, so that weights kept in other files are noticed here and not when a copy is opened.
        return ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except _runtime_errors() as error:
        raise ConfigError(
            f"'{path}' cannot be opened as an ONNX network: {' '.join(str(error).split())[:300]} "
            "(Expected one file with its weights inside.)"
        ) from error


def _runtime_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises of a broken file; its errors have no common class below Exception."""
    from workzone.core.onnx_runtime import ort_state

    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NotImplemented",
        "RuntimeException",
    )
    return tuple(getattr(ort_state, name) for name in names)


def _read_layout(session: Any, path: Path, output: str | None) -> OnnxLayout:
    inputs = session.get_inputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or len(shape) != 4 or inputs[0].type not in _DTYPES:
        found = ", ".join(f"{i.name}: {i.type} {i.shape}" for i in inputs)
        raise ConfigError(
            f"'{path}' reads ({found}); expected one float input of shape [batch, 3, height, width]."
        )
    channels_last = shape[3] == 3 and shape[1] != 3
    sides = shape[1:3] if channels_last else shape[2:4]
    if all(isinstance(side, int) for side in sides) and sides[0] != sides[1]:
        raise ConfigError(f"'{path}' reads pictures of {sides[0]}×{sides[1]} pixels; expected a square.")
    outputs = {o.name: o for o in session.get_outputs()}
    name = output or list(outputs)[-1]
    if name not in outputs:
        raise ConfigError(f"'{path}' has no output '{name}'.{nearest(name, outputs)}")
    dtype = _DTYPES[inputs[0].type]
    size_px = next((side for side in sides if isinstance(side, int)), None)
    batch = shape[0] if isinstance(shape[0], int) else None
    side = size_px or 224
    picture = (side, side, 3) if channels_last else (3, side, side)
    (trial,) = session.run([name], {inputs[0].name: np.zeros((batch or 1, *picture), dtype)})
    if not isinstance(trial, np.ndarray) or trial.ndim not in {2, 3, 4}:
        raise ConfigError(f"Output '{name}' of '{path}' is no array of 2 to 4 axes ({np.shape(trial)}).")
    width = _pool(np.asarray(trial, np.float32), channels_last).shape[1]
    return OnnxLayout(
        inputs[0].name, name, channels_last, np.dtype(dtype).name, size_px, batch, trial.ndim, width
    )
