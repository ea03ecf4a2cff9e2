"""Numbers that describe one picture's pixels: how bright and sharp it is, and what it looks like from afar.

Pure functions of decoded pixels; knows neither files nor data sets. Everything is measured on a small copy (at
most 256 pixels along the longer side): a road-work classifier reads no more, so a blur that is gone at that size
is no fault, and a picture of twelve megapixels costs little more than a small one. A smaller picture is
measured as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from workzone.imaging.geometry import U8, resize_exact

WORKING_PX = 256
"""The longer side of the copy on which brightness, contrast and sharpness are measured."""
HASH_SIDE_PX = 32
"""Side of the luma that the perceptual hash transforms."""
_HASH_BITS_SIDE = 8
HISTOGRAM_BINS = (16, 5, 5)
"""Hue, saturation, value; 400 bins."""
N_HISTOGRAM = HISTOGRAM_BINS[0] * HISTOGRAM_BINS[1] * HISTOGRAM_BINS[2]
_HISTOGRAM_PX = 128
_THUMBNAIL_PX = 64
"""Side of what hash and descriptor are made from."""
_LAYOUT_PX, _COLOUR_PX = 8, 4
_CELLS, _ORIENTATIONS = 4, 8
_HUES, _SATURATIONS = 16, 16
N_DESCRIPTOR = (
    _LAYOUT_PX**2 + 2 * _COLOUR_PX**2 + _CELLS**2 * _ORIENTATIONS + _HUES + _SATURATIONS
)  # 64 + 32 + 128 + 32
"""D of `descriptor`: 256."""
_WEIGHTS = (0.45, 0.15, 0.3, 0.1)
"""Of layout, colour, gradients and hues in the cosine of two descriptors."""
_FLOORS = (8.0, 8.0, 8.0, 1e-12)
"""Below this length a part counts less: what is left of a blank picture is the noise of its compression."""


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """What one picture's pixels give.

    Attributes:
        brightness: Mean luma (ITU-R BT.601), 0..255.
        contrast: Standard deviation of luma; a blank picture's is near 0.
        sharpness: Variance of the Laplacian of luma.
        hash_luma: float32 [32, 32], what `perceptual_hashes` reads.
        descriptor: float32 [D], see `descriptor`.
        colour_histogram: float32 [400], see `colour_histogram`.
    """

    brightness: float
    contrast: float
    sharpness: float
    hash_luma: NDArray[np.float32]
    descriptor: NDArray[np.float32]
    colour_histogram: NDArray[np.float32]


def measure(image_rgb_u8: U8) -> Measures:
    """Measure one picture, uint8 [H, W, 3].

    Sharpness is the variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy", ICPR 2000), with OpenCV's kernel of four neighbours.
    """
    small = working_copy(image_rgb_u8)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    mean, std = cv2.meanStdDev(luma)
    _, laplacian_std = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S, ksize=1))
    thumbnail = resize_exact(small, _THUMBNAIL_PX, _THUMBNAIL_PX)
    return Measures(
        brightness=float(mean[0, 0]),
        contrast=float(std[0, 0]),
        sharpness=float(laplacian_std[0, 0]) ** 2,
        hash_luma=_shrunk(_luma(thumbnail), HASH_SIDE_PX),
        descriptor=_descriptor(thumbnail),
        colour_histogram=colour_histogram(small).astype(np.float32),
    )


def working_copy(image_rgb_u8: U8) -> U8:
    """Return the picture with its longer side at most `WORKING_PX`, in its proportions."""
    height, width = image_rgb_u8.shape[:2]
    factor = WORKING_PX / max(height, width)
    if factor >= 1:
        return image_rgb_u8
    return resize_exact(image_rgb_u8, max(1, round(width * factor)), max(1, round(height * factor)))


def perceptual_hashes(lumas: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return 64-bit hashes [N] of lumas [N, 32, 32] that change little when the picture is saved anew.

    The DCT hash of Zauner ("Implementation and Benchmarking of Perceptual Image Hash Functions", 2010; pHash):
    the lowest 8×8 frequencies without those that are constant along a row or column, one bit each: above their
    median or not. Bits lie by rows, the first the highest. Coefficients are rounded to 1e-6, so that a blank
    picture has the hash 0, not that of its rounding errors.
    """
    if not len(lumas):
        return np.zeros(0, dtype=np.uint64)
    basis = _cosines()
    centred = lumas.astype(np.float64)
    centred -= centred.mean(axis=(1, 2), keepdims=True)
    coefficients = np.round(basis @ centred @ basis.T, 6).reshape(len(lumas), -1)
    bits = coefficients > np.median(coefficients, axis=1, keepdims=True)
    hashes: NDArray[np.uint64] = np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)
    return hashes


def _cosines() -> NDArray[np.float64]:
    """Rows 1 to 8 of the orthonormal DCT-II of length 32."""
    order = np.arange(1, _HASH_BITS_SIDE + 1)[:, None]
    at = np.arange(HASH_SIDE_PX)[None] + 0.5
    rows: NDArray[np.float64] = np.sqrt(2 / HASH_SIDE_PX) * np.cos(np.pi * order * at / HASH_SIDE_PX)
    return rows


def descriptor(image_rgb_u8: U8) -> NDArray[np.float32]:
    """Return a small description [256] of length 1: of equal pictures the cosine is 1.

    From a copy of 64×64, side by side: lightness L* on an 8×8 grid less its mean (64), a* and b* on 4×4 (32), square
    roots of gradient histograms of 8 orientations in 4×4 cells (128; after Dalal & Triggs, "Histograms of
    Oriented Gradients for Human Detection", CVPR 2005), and square roots of the histograms of hue, weighted by
    saturation, and of saturation (32). It tells a picture saved anew from another one; it knows no objects.
    """
    return _descriptor(resize_exact(working_copy(image_rgb_u8), _THUMBNAIL_PX, _THUMBNAIL_PX))


def _descriptor(thumbnail: U8) -> NDArray[np.float32]:
    lab = cv2.cvtColor(thumbnail.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    layout = _shrunk(lab[..., 0], _LAYOUT_PX)
    colour = _shrunk(lab[..., 1:], _COLOUR_PX)
    parts = (layout - layout.mean(), colour, _gradients(thumbnail), _hues(thumbnail))
    weighted = [
        np.sqrt(weight) * part.ravel() / max(float(np.linalg.norm(part)), floor)
        for part, weight, floor in zip(parts, _WEIGHTS, _FLOORS, strict=True)
    ]
    whole = np.concatenate(weighted)
    described: NDArray[np.float32] = (whole / np.linalg.norm(whole)).astype(np.float32)
    return described


def _gradients(thumbnail: U8) -> NDArray[np.float64]:
    """Square roots of the mean gradient in each cell and orientation; a gradient is shared by two of these."""
    luma = _luma(thumbnail)
    dx = cv2.Sobel(luma, cv2.CV_32F, 1, 0)
    dy = cv2.Sobel(luma, cv2.CV_32F, 0, 1)
    size, angle = cv2.cartToPolar(dx, dy)
    turn = angle * (_ORIENTATIONS / np.pi)  # 0 to 16: a gradient and its opposite are one orientation
    low = np.floor(turn)
    share = turn - low
    one = low.astype(np.intp) % _ORIENTATIONS
    cell = np.arange(_THUMBNAIL_PX) * _CELLS // _THUMBNAIL_PX
    base = (cell[:, None] * _CELLS + cell[None]) * _ORIENTATIONS
    n = _CELLS**2 * _ORIENTATIONS
    sums = np.bincount((base + one).ravel(), (size * (1 - share)).ravel(), n)
    sums += np.bincount((base + (one + 1) % _ORIENTATIONS).ravel(), (size * share).ravel(), n)
    roots: NDArray[np.float64] = np.sqrt(sums * (_CELLS / _THUMBNAIL_PX) ** 2)
    return roots


def _hues(thumbnail: U8) -> NDArray[np.float64]:
    hsv = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2HSV).reshape(-1, 3).astype(np.intp)
    by_hue = np.bincount(hsv[:, 0] * _HUES // 180, hsv[:, 1] / 255, _HUES)
    by_saturation = np.bincount(hsv[:, 1] * _SATURATIONS // 256, minlength=_SATURATIONS)
    roots: NDArray[np.float64] = np.sqrt(np.concatenate([by_hue, by_saturation]))
    return roots


def colour_histogram(image_rgb_u8: U8) -> NDArray[np.float64]:
    """Return the square-rooted joint HSV histogram [400] of a picture; its squares sum to 1."""
    squashed = resize_exact(image_rgb_u8, _HISTOGRAM_PX, _HISTOGRAM_PX)
    hsv = cv2.cvtColor(squashed, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, list(HISTOGRAM_BINS), [0, 180, 0, 256, 0, 256]).ravel()
    shares: NDArray[np.float64] = counts.astype(np.float64) / counts.sum()
    return np.sqrt(shares)


def _luma(thumbnail: U8) -> NDArray[np.float32]:
    luma: NDArray[np.float32] = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return luma


def _shrunk(image: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    shrunk: NDArray[np.float32] = cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return shrunk
