"""The classifier: a backbone and one linear unit. Knows nothing of losses, labels or thresholds."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from workzone.models.backbones import Backbone
from workzone.models.onnx_backbone import OnnxBackbone


class AnyBackbone(Protocol):
    """What the head needs to know of a backbone."""

    feature_dim: int

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return features float32 [B, D] of pixels float32 [B, 3, H, W]."""


class RoadWorkClassifier(nn.Module):
    """Backbone and head.

    The head is one linear unit, with dropout on the features while training. It has no normalisation of
    its own: transformers' backbones end in one, and a probe folds its standardisation into the weights, so
    that every checkpoint has the same two tensors, `head.weight` [1, D] and `head.bias` [1].
    """

    def __init__(self, backbone: Backbone | OnnxBackbone, dropout: float = 0.0, seed: int = 0) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.feature_dim, 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return (logits float32 [B], features float32 [B, D]) of pixels float32 [B, 3, H, W], normalised."""
        features = self.backbone(pixels)
        return self.head(self.dropout(features)).squeeze(1), features
