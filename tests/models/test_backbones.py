"""Backbones: from configuration, directory and hub id; what is wrong is said."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers import (
    DINOv3ConvNextConfig,
    DINOv3ConvNextModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    SiglipConfig,
    SiglipModel,
)

from workzone.core.errors import ConfigError
from workzone.models.backbone_table import BACKBONES, Pooling
from workzone.models.backbones import build_backbone


def pixels(size: int, n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def convnext_parameters(widths: list[int], depths: list[int]) -> int:
    """By hand: stem, downsampling, blocks (7×7 depthwise, norm, two linear maps, scale), last norm."""
    total = 3 * 16 * widths[0] + widths[0] + 2 * widths[0]
    for before, after in pairwise(widths):
        total += 2 * before + before * after * 4 + after
    for width, depth in zip(widths, depths, strict=True):
        total += depth * (49 * width + width + 2 * width + 8 * width * width + 5 * width + width)
    return total + 2 * widths[-1]


def test_the_embedded_convnext_has_the_parameters_that_its_shape_says() -> None:
    spec = BACKBONES["embedded/convnext"]
    backbone = build_backbone("embedded/convnext", seed=0, size_px=128)
    widths, depths = list(spec.options["hidden_sizes"]), list(spec.options["depths"])
    assert sum(p.numel() for p in backbone.parameters()) == convnext_parameters(widths, depths)
    assert backbone.feature_dim == 2 * widths[-1]
    assert backbone(pixels(128)).shape == (2, backbone.feature_dim)
    assert backbone.licence == "Apache-2.0"


def test_the_embedded_vit_has_about_twelve_squares_a_layer() -> None:
    backbone = build_backbone("embedded/vit", seed=0, size_px=96)
    per_layer = 12 * 128**2  # four projections and a fourfold perceptron
    assert sum(p.numel() for p in backbone.parameters()) == pytest.approx(4 * per_layer, rel=0.06)
    assert backbone(pixels(96)).shape == (2, 128)


def test_the_seed_decides_the_weights_and_leaves_torch_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = (build_backbone("embedded/convnext", seed=s).sha256() for s in (1, 1, 2))
    assert first == again != other
    assert torch.equal(before, torch.get_rng_state())


def test_mean_max_sees_one_bright_spot_that_the_mean_loses() -> None:
    backbone = build_backbone("embedded/convnext", seed=0)
    tokens = backbone.network(pixel_values=pixels(64)).last_hidden_state
    features = backbone(pixels(64))
    width = features.shape[1] // 2
    assert torch.equal(features[:, :width], tokens[:, 0])
    assert torch.equal(features[:, width:], tokens[:, 1:].max(dim=1).values)


@pytest.mark.parametrize("architecture", ["convnext", "vit"])
def test_a_directory_of_save_pretrained_gives_the_same_features(tmp_path: Path, architecture: str) -> None:
    torch.manual_seed(3)
    network: torch.nn.Module
    if architecture == "convnext":
        network = DINOv3ConvNextModel(DINOv3ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]))
    else:
        network = DINOv3ViTModel(
            DINOv3ViTConfig(
                hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                num_register_tokens=2,
            )
        )  # fmt: skip
    network.eval().save_pretrained(tmp_path / "weights")
    backbone = build_backbone(str(tmp_path / "weights"), size_px=64).eval()
    expected = network(pixel_values=pixels(64)).last_hidden_state[:, 0]
    assert torch.equal(backbone(pixels(64)), expected)
    assert backbone.feature_dim == 32


def test_of_two_towers_the_vision_tower_is_loaded(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = SiglipConfig(vision_config={**small, "image_size": 32, "patch_size": 16}, text_config=small)
    whole = SiglipModel(config).eval()
    whole.save_pretrained(tmp_path / "siglip")
    backbone = build_backbone(str(tmp_path / "siglip"), size_px=32).eval()
    assert backbone.pooling is Pooling.POOLER
    expected = whole.vision_model(pixel_values=pixels(32)).pooler_output
    assert torch.allclose(backbone(pixels(32)), expected)
    with pytest.raises(ConfigError, match="reads 32 pixels only"):
        build_backbone(str(tmp_path / "siglip"), size_px=48)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    small = DINOv3ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1])
    DINOv3ConvNextModel(small).save_pretrained(tmp_path)
    deeper = DINOv3ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 2, 1])
    deeper.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="do not belong together"):
        build_backbone(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("embedded/convnet", "Did you mean 'embedded/convnext'"),
        ("convnext", "no backbone 'convnext'"),
        ("/nowhere/at/all", "no directory"),
        ("onnx:model.onnx", "cannot be finetuned"),
    ],
)
def test_an_unknown_backbone_is_named_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build_backbone(name)


def test_a_hub_that_is_out_of_reach_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"hf download facebook/dinov3-vits16.*embedded/convnext"):
        build_backbone("dinov3/vit-s", local_files_only=True)


def test_an_empty_directory_is_no_backbone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        build_backbone(str(tmp_path))


@pytest.mark.parametrize(("name", "size"), [("embedded/convnext", 100), ("embedded/vit", 100)])
def test_a_size_that_patches_do_not_divide_is_refused(name: str, size: int) -> None:
    with pytest.raises(ConfigError, match=r"multiples of .*Use "):
        build_backbone(name, size_px=size)


def test_every_line_of_the_table_says_licence_and_statistics() -> None:
    for name, spec in BACKBONES.items():
        assert spec.licence, name
        assert spec.hub_id or spec.options, name
        assert all(0 < value < 1 for value in (*spec.pixel_mean, *spec.pixel_std)), name
