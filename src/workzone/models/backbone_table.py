"""The table of backbones, without torch: names, where weights come from, licences, pixel statistics.

Does not know how networks are built; see `backbones`. `embedded/*` are small architectures with random
weights, two of them DINOv3's. Their layer scale starts at 1, not at 1e-6 as for deep networks: with few blocks and few
steps the blocks would otherwise stay closed for most of the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
HALF: Triple = (0.5, 0.5, 0.5)
DINOV3_LICENCE = "DINOv3 License (weights are gated; the licence follows derivatives)"
ONNX_PREFIX = "onnx:"
"""`onnx:PATH` or `onnx:PATH#OUTPUT` names any ONNX network as a frozen extractor; see `onnx_backbone`."""


class Pooling(StrEnum):
    """How a picture's features are read off the network's output."""

    FIRST_TOKEN = "first_token"  # noqa: S105 - no password
    """The class token; of a ConvNeXt, the mean of its map (transformers puts it first)."""
    POOLER = "pooler"
    """The network's own pooled output, such as SigLIP's attention head."""
    MEAN_MAX = "mean_max"
    """The first token and the largest value of each channel over the map, side by side: a cone of a few
    pixels disappears in a mean, not in a maximum."""


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """One line of the table.

    Attributes:
        hub_id: Where the weights are, or None for a network with random weights.
        architecture: transformers' model type, such as `dinov3_vit`.
        options: Configuration of a network with random weights.
        pooling: How features are read.
        licence: Licence of the weights, for the bundle's card.
        pixel_mean: Channel means on the 0..1 scale that the weights were trained with.
        pixel_std: Channel standard deviations on the 0..1 scale.
        size_px: A side of input that suits it.
    """

    hub_id: str | None
    architecture: str
    licence: str
    pooling: Pooling = Pooling.FIRST_TOKEN
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    pixel_mean: Triple = IMAGENET_MEAN
    pixel_std: Triple = IMAGENET_STD
    size_px: int = 224


def _dinov3(name: str, architecture: str = "dinov3_vit") -> BackboneSpec:
    return BackboneSpec(f"facebook/dinov3-{name}-pretrain-lvd1689m", architecture, DINOV3_LICENCE)


def _apache(hub_id: str, architecture: str) -> BackboneSpec:
    return BackboneSpec(hub_id, architecture, "Apache-2.0")


BACKBONES: Mapping[str, BackboneSpec] = MappingProxyType(
    {
        "dinov3/vit-s": _dinov3("vits16"),
        "dinov3/vit-b": _dinov3("vitb16"),
        "dinov3/vit-l": _dinov3("vitl16"),
        "dinov3/convnext-tiny": _dinov3("convnext-tiny", "dinov3_convnext"),
        "dinov3/convnext-base": _dinov3("convnext-base", "dinov3_convnext"),
        "dinov2/vit-s": _apache("facebook/dinov2-small", "dinov2"),
        "dinov2/vit-b": _apache("facebook/dinov2-base", "dinov2"),
        "dinov2/vit-l": _apache("facebook/dinov2-large", "dinov2"),
        "siglip2/base": BackboneSpec(
            "google/siglip2-base-patch16-224",
            "siglip_vision_model",
            "Apache-2.0",
            Pooling.POOLER,
            pixel_mean=HALF,
            pixel_std=HALF,
        ),
        "vit/base": BackboneSpec(
            "google/vit-base-patch16-224-in21k", "vit", "Apache-2.0", pixel_mean=HALF, pixel_std=HALF
        ),
        "embedded/convnext": BackboneSpec(
            None,
            "dinov3_convnext",
            "Apache-2.0",
            Pooling.MEAN_MAX,
            MappingProxyType(
                {
                    "hidden_sizes": [24, 48, 96, 192],
                    "depths": [1, 1, 2, 1],
                    "layer_scale_init_value": 1.0,
                }
            ),
            size_px=128,
        ),
        # Not a DINOv3 shape: overlapping convolutions with batch normalisation learn from a few thousand
        # pictures what networks that cut a picture into patches do not (docs/measured.md).
        "embedded/resnet": BackboneSpec(
            None,
            "resnet",
            "Apache-2.0",
            Pooling.MEAN_MAX,
            MappingProxyType(
                {
                    "embedding_size": 24,
                    "hidden_sizes": [32, 64, 96],
                    "depths": [1, 1, 1],
                    "layer_type": "basic",
                }
            ),
            size_px=128,
        ),
        "embedded/vit": BackboneSpec(
            None,
            "dinov3_vit",
            "Apache-2.0",
            Pooling.FIRST_TOKEN,
            MappingProxyType(
                {
                    "hidden_size": 128,
                    "intermediate_size": 512,
                    "num_hidden_layers": 4,
                    "num_attention_heads": 4,
                    "patch_size": 8,
                }
            ),
            size_px=96,
        ),
    }
)
