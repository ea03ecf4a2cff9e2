"""Which embedder a text names: the descriptor, a bundle's features, or any ONNX network.

A bundle's network is run by the engine as it serves, an ONNX file by ONNX Runtime; neither needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import ConfigError
from workzone.data.embedding import Embedder, normalised
from workzone.imaging.geometry import U8, Geometry
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.backbone_table import IMAGENET_MEAN, IMAGENET_STD, ONNX_PREFIX

DESCRIPTOR = "descriptor"
"""No network: the descriptor that `data.facts` measures."""
_ONNX_BATCH = 32
_ONNX_SIZE_PX = 224
"""Of a network that reads any size."""


class BundleEmbedder:
    """The features that a bundle's network gives beside its logit: what its gate looks at.

    Attributes:
        name: Directory and the beginning of its digest.
    """

    def __init__(self, path: Path) -> None:
        """Open and verify the bundle.

        Raises:
            BundleError: It was changed, is incomplete, or gives other answers than it was sealed with.
        """
        from workzone.engine.predictor import open_predictor  # loads a runtime: only for whom it is meant

        self._predictor = open_predictor(path)
        self.name = f"{path.name} {self._predictor.identity[:12]}"

    def __call__(self, images_rgb_u8: Sequence[U8]) -> NDArray[np.float32]:
        """Return float32 [n, D]; see `data.embedding.Embedder`."""
        _, features = self._predictor.score(images_rgb_u8)
        return normalised(features)


class OnnxEmbedder:
    """An ONNX network's output, pooled to a vector, on squashed pictures with ImageNet's pixel statistics.

    Attributes:
        name: File, and output where one was named.
    """

    def __init__(self, name: str) -> None:
        """Open the network that `onnx:PATH` or `onnx:PATH#OUTPUT` names.

        Raises:
            ConfigError: The file is missing or broken, has weights outside, or is no network of pictures.
        """
        from workzone.models.onnx_extractor import OnnxExtractor, parse_onnx_name

        path, output = parse_onnx_name(name)
        self._extractor = OnnxExtractor(path, output)
        self.name = f"{path.name}#{output}" if output else path.name
        mean, std = IMAGENET_MEAN, IMAGENET_STD
        self._preprocessing = Preprocessing(
            size_px=self._extractor.layout.size_px or _ONNX_SIZE_PX,
            geometry=Geometry.SQUASH,
            mean=(255 * mean[0], 255 * mean[1], 255 * mean[2]),
            scale=(1 / (255 * std[0]), 1 / (255 * std[1]), 1 / (255 * std[2])),
            max_batch=_ONNX_BATCH,
        )

    def __call__(self, images_rgb_u8: Sequence[U8]) -> NDArray[np.float32]:
        """Return float32 [n, D]; see `data.embedding.Embedder`."""
        parts = [
            self._extractor.extract(self._preprocessing.prepare(images_rgb_u8[at : at + _ONNX_BATCH]))
            for at in range(0, len(images_rgb_u8), _ONNX_BATCH)
        ]
        return normalised(np.concatenate(parts))


def embedder_of(text: str) -> Embedder | None:
    """Return the embedder that `text` names.

    Args:
        text: "descriptor", the directory of a bundle, or "onnx:PATH", with "#OUTPUT" to read another output than
            the last.

    Returns:
        None for "descriptor": `PictureFacts.descriptor` is there already.

    Raises:
        ConfigError: There is no such thing, or the network cannot be used.
        BundleError: The bundle was changed or is incomplete.
        MissingExtraError: The runtime is not installed.
    """
    if text == DESCRIPTOR:
        return None
    if text.startswith(ONNX_PREFIX):
        return OnnxEmbedder(text)
    if not Path(text).is_dir():
        raise ConfigError(
            f"'{text}' names no embedder: it is not '{DESCRIPTOR}', no directory of a bundle, and does not begin "
            f"with '{ONNX_PREFIX}'."
        )
    return BundleEmbedder(Path(text))
