"""Builds backbones through transformers: from the table, from a directory, or from a hub.

Knows how a picture's features are read off each architecture. Knows no preprocessing beyond the pixel
statistics in the table, and never writes; reading pretrained weights is its only I/O. Fixed-size networks
(ViT, SigLIP) are refused at another size instead of being stretched: interpolated position embeddings are a
decision that belongs to whoever prepares the weights.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from workzone.core.errors import ConfigError, nearest
from workzone.models.backbone_table import BACKBONES, ONNX_PREFIX, BackboneSpec, Pooling

FIXED_SIZE = frozenset({"vit", "siglip_vision_model"})
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class Backbone(nn.Module):
    """A network from pixels to features.

    Attributes:
        source: The name it was asked by.
        licence: Licence of its weights; "unknown" where nothing says.
        pooling: How features are read off its output.
        feature_dim: D.
    """

    def __init__(self, network: Any, pooling: Pooling, source: str, licence: str) -> None:
        super().__init__()
        self.network = network
        self.pooling = pooling
        self.source = source
        self.licence = licence
        config = network.config
        width = int(getattr(config, "hidden_size", None) or config.hidden_sizes[-1])
        self.feature_dim = 2 * width if pooling is Pooling.MEAN_MAX else width

    @property
    def config(self) -> dict[str, Any]:
        """The configuration that transformers rebuilds the network from."""
        values: dict[str, Any] = self.network.config.to_dict()
        return values

    def forward(self, pixels: Tensor) -> Tensor:
        """Return features float32 [B, D] of pixels float32 [B, 3, H, W], normalised."""
        output = self.network(pixel_values=pixels)
        if self.pooling is Pooling.POOLER:
            return output.pooler_output
        tokens = output.last_hidden_state
        if tokens.ndim == 4:  # a map [B, C, H, W], without tokens
            mean = tokens.mean(dim=(2, 3))
            return (
                mean if self.pooling is Pooling.FIRST_TOKEN else torch.cat([mean, tokens.amax(dim=(2, 3))], 1)
            )
        if self.pooling is Pooling.FIRST_TOKEN:
            return tokens[:, 0]
        skipped = 1 + int(getattr(self.network.config, "num_register_tokens", 0))
        return torch.cat([tokens[:, 0], tokens[:, skipped:].amax(dim=1)], dim=1)

    def sha256(self) -> str:
        """Return a hash of the weights and of how features are read: the backbone's part of a cache key."""
        digest = hashlib.sha256(f"{self.network.config.model_type} {self.pooling}".encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def build_backbone(
    name_or_path: str, seed: int = 0, size_px: int | None = None, *, local_files_only: bool = False
) -> Backbone:
    """Build a backbone.

    Args:
        name_or_path: A name of `BACKBONES`, a directory written by `save_pretrained`, or a hub id.
        seed: Of the random weights, where the network has no pretrained ones.
        size_px: Side of the square input, checked against what the network can read.
        local_files_only: Look for a hub id in the local cache only.

    Raises:
        ConfigError: No such backbone, weights that cannot be had, or a size it cannot read.
    """
    if name_or_path in BACKBONES:
        spec = BACKBONES[name_or_path]
        if spec.hub_id is None:
            network = _random_network(spec, seed)
        else:
            network = _pretrained(spec.hub_id, local_files_only)
        backbone = Backbone(network, spec.pooling, name_or_path, spec.licence)
    elif Path(name_or_path).is_dir():
        backbone = _from_directory(Path(name_or_path))
    else:
        _refuse_unknown(name_or_path)
        network = _pretrained(name_or_path, local_files_only)
        backbone = Backbone(network, _pooling_of(network), name_or_path, _licence_of(name_or_path))
    if size_px is not None:
        check_size(backbone, size_px)
    return backbone


def rebuild_backbone(config_path: Path, pooling: Pooling, source: str, licence: str) -> Backbone:
    """Build the architecture that a saved configuration describes, without its weights.

    Args:
        config_path: Directory that holds `config.json`.
        pooling: As it was saved.
        source: As it was saved.
        licence: As it was saved.
    """
    config = AutoConfig.from_pretrained(config_path, local_files_only=True)
    return Backbone(AutoModel.from_config(config), pooling, source, licence)


def check_size(backbone: Backbone, size_px: int) -> None:
    """Raise ConfigError if the network cannot read squares of this side."""
    config = backbone.network.config
    patch = getattr(config, "patch_size", None)
    step = int(patch) if patch is not None else 2 ** (len(config.hidden_sizes) + 1)
    if size_px % step:
        raise ConfigError(
            f"Backbone '{backbone.source}' reads sides that are multiples of {step} pixels; "
            f"preprocessing.size_px is {size_px}. Use {max(step, round(size_px / step) * step)}."
        )
    if config.model_type in FIXED_SIZE and size_px != config.image_size:
        raise ConfigError(
            f"Backbone '{backbone.source}' reads {config.image_size} pixels only; "
            f"preprocessing.size_px is {size_px}."
        )


def _random_network(spec: BackboneSpec, seed: int) -> Any:
    config = AutoConfig.for_model(spec.architecture, **dict(spec.options))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = AutoModel.from_config(config)
        _initialise(network)
        return network


def _initialise(network: nn.Module) -> None:
    """Draw weights with variance 1 / fan-in (LeCun), in place.

    transformers draws with a standard deviation of 0.02, which suits hundreds of channels; with two dozen the
    signal all but vanishes from block to block, and training from nothing hardly starts.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            fan_in = module.weight[0].numel()
            nn.init.trunc_normal_(module.weight, std=fan_in**-0.5, a=-1.0, b=1.0)


def _from_directory(path: Path) -> Backbone:
    if not (path / "config.json").is_file():
        raise ConfigError(
            f"Directory '{path}' holds no backbone: 'config.json' is missing. "
            "Expected what transformers' save_pretrained writes."
        )
    network = _pretrained(str(path), local_files_only=True)
    return Backbone(network, _pooling_of(network), str(path), _licence_of(str(path)))


def _pretrained(source: str, local_files_only: bool) -> Any:
    try:
        config = AutoConfig.from_pretrained(source, local_files_only=local_files_only)
        # Of a two-tower network only the vision tower is loaded; the rest of the file is passed over.
        config = getattr(config, "vision_config", config)
        network, report = AutoModel.from_pretrained(
            source,
            config=config,
            local_files_only=local_files_only,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        raise ConfigError(_unavailable(source, error)) from error
    missing = sorted(k for k in report["missing_keys"] if "pooler" not in k and "mask_token" not in k)
    if missing:
        raise ConfigError(
            f"Backbone '{source}' lacks {len(missing)} weights of its architecture, '{missing[0]}' first: "
            "its config.json and its weights do not belong together."
        )
    return network


def _unavailable(source: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:300]
    if Path(source).is_dir():
        return f"Backbone directory '{source}' cannot be loaded: {reason}"
    offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE", "") not in {"", "0"} else ""
    return (
        f"The weights of backbone '{source}' are neither in the local hub cache nor reachable{offline}. "
        "Where there is network, run `hf download "
        f"{source}` (after `hf auth login` if its licence is gated) and copy the directory here, then give "
        f"its path as the backbone; or use 'embedded/convnext', which needs no download. ({reason})"
    )


def _refuse_unknown(name: str) -> None:
    if name.startswith(ONNX_PREFIX):
        raise ConfigError(
            f"'{name}' is a frozen network: it cannot be finetuned. Use method 'probe', or a torch backbone."
        )
    families = {known.split("/")[0] for known in BACKBONES}
    if not _HUB_ID.fullmatch(name) or name.split("/")[0] in families:
        raise ConfigError(
            f"There is no backbone '{name}': it is no name of the table, no directory and no hub id "
            f"of the form owner/name.{nearest(name, BACKBONES)}"
        )


def _pooling_of(network: Any) -> Pooling:
    return Pooling.POOLER if network.config.model_type.startswith("siglip") else Pooling.FIRST_TOKEN


def _licence_of(source: str) -> str:
    known = {spec.hub_id: spec.licence for spec in BACKBONES.values()}
    return known.get(source, "unknown")
