"""What one system said of the pictures of a comparison.

Knows labels, probabilities and verdicts of decided pictures, in one order; runs no model. What cannot be compared is
refused here, so that no number rests on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.core.errors import DataError
from workzone.core.types import Verdict
from workzone.policy.verdicts import CODES

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SystemAnswers:
    """What one system said of N decided pictures.

    Attributes:
        name: Of the system, for people.
        ids: str [N], sample ids.
        groups: str [N].
        positive: bool [N], whether the label is road work.
        probs: float64 [N], calibrated, in [0, 1].
        codes: int8 [N], its policy's verdicts as `policy.verdicts.CODES`.

    Raises:
        DataError: There are no pictures, lengths differ, a picture comes twice, a probability is outside [0, 1],
            or a code is none.
    """

    name: str
    ids: NDArray[np.str_]
    groups: NDArray[np.str_]
    positive: Mask
    probs: F64
    codes: NDArray[np.int8]

    def __post_init__(self) -> None:
        n = len(self.ids)
        lengths = {len(self.groups), len(self.positive), len(self.probs), len(self.codes)}
        if n == 0 or lengths != {n} or len(np.unique(self.ids)) != n:
            raise DataError(
                f"The answers of '{self.name}' are {n} ids with {sorted(lengths)} values; expected at least one "
                "picture, each once, with one value of each kind."
            )
        if not ((self.probs >= 0) & (self.probs <= 1)).all():
            raise DataError(f"'{self.name}' gave a probability outside [0, 1]; its model is broken.")
        if not np.isin(self.codes, list(CODES.values())).all():
            raise DataError(f"'{self.name}' gave a verdict code other than {sorted(CODES.values())}.")

    @property
    def called(self) -> Mask:
        """Which pictures are road work at probability 0.5."""
        return self.probs >= 0.5

    @property
    def correct(self) -> Mask:
        """Which pictures are right at probability 0.5."""
        right: Mask = self.called == self.positive
        return right

    def said(self, verdict: Verdict) -> Mask:
        """Which pictures got this verdict."""
        mask: Mask = self.codes == CODES[verdict]
        return mask
