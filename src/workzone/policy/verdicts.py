"""Verdicts as numbers, for arrays: the code of an answer is the label that it says."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workzone.core.types import Label, Verdict

CODES: Mapping[Verdict, int] = MappingProxyType(
    {Verdict.ROADWORK: int(Label.ROADWORK), Verdict.NONE: int(Label.NONE), Verdict.DEFER: int(Label.UNKNOWN)}
)
"""Verdict → code: 1 road work, 0 none, -1 deferred."""

_VERDICTS = {code: verdict for verdict, code in CODES.items()}


def to_verdicts(codes: ArrayLike) -> list[Verdict]:
    """Return the verdicts that the codes [N] stand for.

    >>> to_verdicts([1, -1])
    [<Verdict.ROADWORK: 'roadwork'>, <Verdict.DEFER: 'defer'>]
    """
    flat: NDArray[np.int8] = np.asarray(codes, dtype=np.int8).reshape(-1)
    return [_VERDICTS[int(code)] for code in flat]
