"""`PictureFacts`: what was found by looking at each picture of a data set, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class PictureFacts:
    """N rows, in the order of the data set's samples. Of what was not decoded, numbers are 0 and texts "".

    Attributes:
        decoded: bool [N], whether the picture could be decoded.
        problem: str [N], why not; "" where it could.
        bytes_changed: bool [N], whether the file's bytes have another hash than the sample's id; a file that
            cannot be read counts as changed.
        file_format: str [N], JPEG, PNG, WEBP, BMP, TIFF or GIF, by the signature; "" of anything else. Known
            of a picture that is broken, too, as `n_bytes` is.
        mode: str [N], how pixels are stored, as Pillow calls it.
        width_px: int32 [N], upright.
        height_px: int32 [N], upright.
        n_bytes: int64 [N], of the file; 0 where it cannot be read.
        has_exif: bool [N].
        brightness: float32 [N], mean luma 0..255. This and the next two are measured at no more than 256 px
            along the longer side.
        contrast: float32 [N], standard deviation of luma; near 0 of a blank picture.
        sharpness: float32 [N], variance of the Laplacian of luma; small of a blurred picture.
        pixels_sha256: str [N], of size and pixels, decoded and upright: equal where only the files differ.
        perceptual_hash: uint64 [N], see `measures.perceptual_hashes`.
        descriptor: float32 [N, 256], of length 1, see `measures.descriptor`.
        colour_histogram: float32 [N, 400], see `measures.colour_histogram`.
    """

    decoded: NDArray[np.bool_]
    problem: NDArray[np.str_]
    bytes_changed: NDArray[np.bool_]
    file_format: NDArray[np.str_]
    mode: NDArray[np.str_]
    width_px: NDArray[np.int32]
    height_px: NDArray[np.int32]
    n_bytes: NDArray[np.int64]
    has_exif: NDArray[np.bool_]
    brightness: NDArray[np.float32]
    contrast: NDArray[np.float32]
    sharpness: NDArray[np.float32]
    pixels_sha256: NDArray[np.str_]
    perceptual_hash: NDArray[np.uint64]
    descriptor: NDArray[np.float32]
    colour_histogram: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.decoded)

    def take(self, rows: NDArray[np.intp] | Sequence[int]) -> PictureFacts:
        """Return these rows, in this order."""
        at = np.asarray(rows, dtype=np.intp)
        return PictureFacts(**{field.name: getattr(self, field.name)[at] for field in fields(self)})


def joined(parts: Sequence[PictureFacts]) -> PictureFacts:
    """Return the rows of all parts, at least one, one after the other."""
    return PictureFacts(
        **{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(PictureFacts)}
    )
