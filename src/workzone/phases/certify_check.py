"""Finds in a data set the pictures that a bundle was certified on, so that a third party can certify again.

Knows ids and rows; does not score or certify. The bundle's own list decides which pictures these are, not a
split file: the list is sealed with the certificate. Pictures beyond the list do no harm and are passed over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.reader import Bundle
from workzone.bundle.seen import Part
from workzone.core.errors import DataError
from workzone.data.dataset import DataSet
from workzone.data.lookup import find_rows


def find_calibration(bundle: Bundle, dataset: DataSet) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of `dataset.samples` that are the bundle's pictures of `select` and of `calib`.

    Each intp [N], rising, all of them: a certificate recomputed on a part would be another certificate.
    Labels and groups are the data set's, and may have been edited since: compare `dataset.sha256` with the
    certificate's.

    Raises:
        DataError: Pictures are missing; says how many, of how many.
    """
    found = {part: find_rows(dataset, bundle.seen.ids(part)) for part in (Part.SELECT, Part.CALIB)}
    missing = {part: int((rows < 0).sum()) for part, rows in found.items()}
    if any(missing.values()):
        counts = " and ".join(f"{n} of {len(found[part])} of '{part}'" for part, n in missing.items())
        raise DataError(
            f"The data set '{dataset.name}' lacks pictures that bundle {bundle.digest[:12]} was certified "
            f"with: {counts}. Expected all of them, byte for byte: a re-encoded copy is another picture. Give "
            "the data set that the certificate names."
        )
    return found[Part.SELECT], found[Part.CALIB]
