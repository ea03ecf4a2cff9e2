"""Golden pictures: a few rendered pictures and the answers that a sound bundle must give to them.

Knows the file; the engine runs the pictures. The file holds the pictures' encoded bytes, so decoding and
preprocessing are tested along with the network.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import BundleError

GOLDEN_NAME = "golden.npz"
MAX_PICTURES = 256


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """Pictures and the answers they must give.

    Attributes:
        pictures: N encoded pictures (JPEG or PNG), rendered, never a photograph.
        logits: float64 [N], what the model must say.
        probs: float64 [N], what the calibrator makes of it.
        tolerances: Precision of the model → largest difference of a logit let through.
    """

    pictures: tuple[bytes, ...]
    logits: NDArray[np.float64]
    probs: NDArray[np.float64]
    tolerances: Mapping[str, float]

    def __post_init__(self) -> None:
        n = len(self.pictures)
        if not 1 <= n <= MAX_PICTURES or self.logits.shape != (n,) or self.probs.shape != (n,):
            raise BundleError(
                f"Golden pictures: {n} pictures, logits {list(self.logits.shape)}, probabilities "
                f"{list(self.probs.shape)}; expected 1 to {MAX_PICTURES} of each, the same number."
            )
        if not np.isfinite(self.logits).all() or not ((self.probs >= 0) & (self.probs <= 1)).all():
            raise BundleError("Golden pictures: a logit is not finite, or a probability is outside [0, 1].")
        if not self.tolerances or not all(np.isfinite(t) and t > 0 for t in self.tolerances.values()):
            raise BundleError("Golden pictures: every precision needs a tolerance above 0.")


def golden_to_bytes(golden: GoldenSet) -> bytes:
    """Return the content of `golden.npz`; the same set gives the same bytes."""
    sizes = [len(picture) for picture in golden.pictures]
    names = sorted(golden.tolerances)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        allow_pickle=False,
        pictures=np.frombuffer(b"".join(golden.pictures), dtype=np.uint8),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        logits=golden.logits.astype(np.float64),
        probs=golden.probs.astype(np.float64),
        precisions=np.array(names, dtype=np.str_),
        tolerances=np.array([golden.tolerances[name] for name in names], dtype=np.float64),
    )
    return buffer.getvalue()


def golden_from_bytes(data: bytes) -> GoldenSet:
    """Read what `golden_to_bytes` wrote.

    Raises:
        BundleError: It is something else.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        offsets = arrays["offsets"].astype(np.int64)
        joined = arrays["pictures"].astype(np.uint8).tobytes()
        rising = offsets.ndim == 1 and (np.diff(offsets) > 0).all()
        if not rising or offsets[0] != 0 or offsets[-1] != len(joined):
            raise BundleError(f"'{GOLDEN_NAME}': its offsets do not cut its pictures apart.")
        return GoldenSet(
            pictures=tuple(joined[a:b] for a, b in pairwise(offsets)),
            logits=arrays["logits"].astype(np.float64),
            probs=arrays["probs"].astype(np.float64),
            tolerances={
                str(name): float(t)
                for name, t in zip(arrays["precisions"], arrays["tolerances"], strict=True)
            },
        )
    except (KeyError, IndexError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"'{GOLDEN_NAME}' is not a set of golden pictures ({error}).") from error
