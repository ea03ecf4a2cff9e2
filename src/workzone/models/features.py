"""Frozen feature extraction behind one interface, whatever runs the network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from workzone.core.errors import ConfigError
from workzone.models.backbone_table import ONNX_PREFIX
from workzone.models.backbones import Backbone, build_backbone
from workzone.models.onnx_backbone import OnnxBackbone
from workzone.models.onnx_extractor import parse_onnx_name


class FeatureExtractor(Protocol):
    """A frozen network from pixels to features."""

    @property
    def feature_dim(self) -> int:
        """D."""

    def extract(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return features float32 [B, D] of pixels float32 [B, 3, H, W], normalised."""


class TorchFeatureExtractor:
    """A torch backbone as a frozen extractor, in float32, on one device."""

    def __init__(self, backbone: Backbone, device: str = "cpu") -> None:
        self._backbone = backbone.to(device).eval()
        self._device = device

    @property
    def feature_dim(self) -> int:
        """D."""
        return int(self._backbone.feature_dim)

    def extract(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return features float32 [B, D] of pixels float32 [B, 3, H, W], normalised."""
        with torch.inference_mode():
            features = self._backbone(torch.from_numpy(pixels).to(self._device))
        return np.ascontiguousarray(features.float().cpu().numpy())


def open_backbone(
    name: str, seed: int, size_px: int, *, local_files_only: bool = False
) -> Backbone | OnnxBackbone:
    """Build the backbone that a name stands for, `onnx:PATH[#OUTPUT]` included.

    Raises:
        ConfigError: No such backbone, or it reads another size.
    """
    if not name.startswith(ONNX_PREFIX):
        return build_backbone(name, seed, size_px, local_files_only=local_files_only)
    path, output = parse_onnx_name(name)
    backbone = OnnxBackbone(path, output, name)
    if backbone.layout.size_px not in {None, size_px}:
        raise ConfigError(
            f"'{path}' reads {backbone.layout.size_px} pixels only; preprocessing.size_px is {size_px}."
        )
    return backbone


def frozen(backbone: Backbone | OnnxBackbone, device: str = "cpu") -> FeatureExtractor:
    """Return the backbone as an extractor."""
    return backbone if isinstance(backbone, OnnxBackbone) else TorchFeatureExtractor(backbone, device)
