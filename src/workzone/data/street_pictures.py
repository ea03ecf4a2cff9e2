"""Rendered street pictures as a camera would send them: JPEGs of several sizes, without a data set around them.

For measuring how long answers take where there are no pictures at hand. Needs no extra: no pyarrow, no torch.
"""

from __future__ import annotations

import io

from PIL import Image

from workzone.core.types import Label
from workzone.data.scenes.compose import render_sequence
from workzone.data.scenes.world import WorldSpec

SIZES_PX = ((640, 480), (1280, 720), (1920, 1080))
"""Width and height, in turn."""
JPEG_QUALITY = 90


def street_pictures(count: int, seed: int = 0) -> list[bytes]:
    """Return `count` different JPEGs, every second with road work, their sizes in turn those of `SIZES_PX`.

    Args:
        count: At least 1.
        seed: Of the scenes.
    """
    pictures = []
    for index in range(count):
        width, height = SIZES_PX[index % len(SIZES_PX)]
        spec = WorldSpec(width_px=width, height_px=height)
        frame = render_sequence(seed, index, Label(index % 2), 1, spec)[0]
        buffer = io.BytesIO()
        Image.fromarray(frame.image_rgb_u8).save(buffer, format="JPEG", quality=JPEG_QUALITY)
        pictures.append(buffer.getvalue())
    return pictures
