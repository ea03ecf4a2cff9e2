"""The record of how a picture becomes a network's input, and the code that follows it.

The one definition for training and serving: it travels in the checkpoint, the frozen model and the bundle.
Knows geometry and channel statistics; does not know which network reads the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workzone.core.errors import ConfigError, DataError
from workzone.imaging.decode import DecodeLimits, ImageInput, decode_image
from workzone.imaging.geometry import Geometry, resize_to

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Preprocessing(BaseModel):
    """How a picture becomes a network's input; x = (pixel - mean) * scale, channel by channel.

    Attributes:
        size_px: Side of the square that the network reads.
        geometry: What happens to a picture that is not square.
        channel_order: The order in which the network reads the channels.
        mean: Subtracted, on the 0..255 scale, in `channel_order`.
        scale: Multiplied by, per grey level, in `channel_order`; for a standard deviation s on the
            0..1 scale it is 1 / (255 s).
        max_batch: The most pictures that are sent through the network at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    size_px: int = Field(ge=1, le=4096)
    geometry: Geometry = Geometry.LETTERBOX
    channel_order: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[_Finite, _Finite, _Finite]
    scale: tuple[_Positive, _Positive, _Positive]
    max_batch: int = Field(default=32, ge=1, le=4096)

    def to_json(self) -> str:
        """Return the record as one JSON object, keys in the order of the attributes."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ConfigError: A key is unknown or missing, or a value is out of its range.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors())
            raise ConfigError(f"The preprocessing record is not valid ({faults}).") from error

    def fit(self, image_rgb_u8: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the picture at the network's size, uint8 [N, N, 3], still RGB.

        Raises:
            DataError: The array is no picture.
        """
        return resize_to(image_rgb_u8, self.size_px, self.geometry)

    def load(self, source: ImageInput, limits: DecodeLimits | None = None) -> NDArray[np.uint8]:
        """Decode a picture and fit it: uint8 [N, N, 3], RGB.

        Large JPEGs are decoded at a fraction of their size, never below twice what the network reads;
        training and serving both come through here, so both see the same pixels.

        Raises:
            DataError: The picture cannot be decoded within `limits`.
        """
        return self.fit(self.decode(source, limits))

    def decode(self, source: ImageInput, limits: DecodeLimits | None = None) -> NDArray[np.uint8]:
        """Decode a picture no finer than `fit` needs it: uint8 [H, W, 3], RGB; see `load`.

        Raises:
            DataError: The picture cannot be decoded within `limits`.
        """
        side: Literal["shorter", "longer"] = "longer" if self.geometry is Geometry.LETTERBOX else "shorter"
        return decode_image(source, limits or DecodeLimits(), target_px=self.size_px, target_side=side)

    def normalise(self, images_u8: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return fitted pictures as the network reads them.

        Args:
            images_u8: uint8 [B, N, N, 3], RGB, as `fit` gives them.

        Returns:
            float32 [B, 3, N, N], channels in `channel_order`, contiguous.

        Raises:
            DataError: The array has another type or shape.
        """
        n = self.size_px
        if images_u8.dtype != np.uint8 or images_u8.ndim != 4 or images_u8.shape[1:] != (n, n, 3):
            raise DataError(
                f"Fitted pictures must be uint8 [batch, {n}, {n}, 3]; "
                f"found {images_u8.dtype} {list(images_u8.shape)}."
            )
        levels = np.arange(256, dtype=np.float64)
        # A table of 256 values for each channel: one look-up a pixel, rounded once, from float64.
        tables = [
            ((levels - mean) * scale).astype(np.float32)
            for mean, scale in zip(self.mean, self.scale, strict=True)
        ]
        out = np.empty((len(images_u8), 3, n, n), dtype=np.float32)
        for row, image in enumerate(images_u8):
            planes = cv2.split(image)
            for channel, table in enumerate(tables):
                plane = planes[channel if self.channel_order == "RGB" else 2 - channel]
                out[row, channel] = cv2.LUT(plane, table)
        return out

    def prepare(
        self, sources: Sequence[ImageInput], limits: DecodeLimits | None = None
    ) -> NDArray[np.float32]:
        """Decode, fit and normalise: float32 [B, 3, N, N].

        Raises:
            DataError: One of the pictures cannot be decoded; to skip it, `load` one by one.
        """
        fitted = np.empty((len(sources), self.size_px, self.size_px, 3), dtype=np.uint8)
        for row, source in enumerate(sources):
            fitted[row] = self.load(source, limits)
        return self.normalise(fitted)
