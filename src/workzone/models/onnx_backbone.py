"""Any ONNX network as a frozen backbone beside those of torch; see `onnx_extractor`. Cannot train it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workzone.models.backbone_table import ONNX_PREFIX
from workzone.models.onnx_extractor import OnnxExtractor


class OnnxBackbone(nn.Module):
    """An ONNX network behind a backbone's interface; it has no parameters and passes no gradient.

    Attributes:
        path: The ONNX file.
        source: The name it was asked by.
        licence: "unknown": the file does not say.
        layout: How it is fed and read.
        feature_dim: D.
    """

    def __init__(self, path: Path, output: str | None = None, source: str | None = None) -> None:
        """Open the network.

        Args:
            path: The ONNX file.
            output: Name of the output to read; the last one by default.
            source: The name it was asked by.

        Raises:
            ConfigError: The file is missing or broken, has weights outside, or is no network of pictures.
        """
        super().__init__()
        self.path = path
        self.source = source or f"{ONNX_PREFIX}{path}"
        self.licence = "unknown"
        self._extractor = OnnxExtractor(path, output)
        self.layout = self._extractor.layout
        self.feature_dim = self._extractor.feature_dim

    def forward(self, pixels: Tensor) -> Tensor:
        """Return features float32 [B, D] of pixels float32 [B, 3, H, W], normalised."""
        return torch.from_numpy(self.extract(pixels.detach().cpu().numpy())).to(pixels.device)

    def extract(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return features float32 [B, D] of pixels float32 [B, 3, H, W], normalised."""
        return self._extractor.extract(pixels)

    def sha256(self) -> str:
        """Return a hash of the file and of how it is read: the backbone's part of a cache key."""
        return self._extractor.sha256()
