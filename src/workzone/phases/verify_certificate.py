"""Does a certificate follow from the data? Scores the calibration pictures again and makes it anew.

The policy is chosen and certified again, from the bundle's own lists of `select` and `calib`, and the whole
`policy.json` that comes of it is held against the sealed one, field by field: rule, walk, stakes, counts, bounds,
words, hashes. Labels and groups are the data set's as they are now, so a label that was changed since shows as
another count. On another machine logits differ in the last digits, so what is a logit is compared within the
tolerance that the bundle states for its precision; counts are compared exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.reader import Bundle
from workzone.bundle.seen import Part
from workzone.calibration.fit import fit_policy
from workzone.core.errors import DataError
from workzone.core.observer import Observer
from workzone.core.scores import Scores
from workzone.data.dataset import DataSet
from workzone.data.lookup import find_rows, read_rows
from workzone.engine.predictor import Predictor
from workzone.policy.certificate import Certificate
from workzone.policy.gate import GatePolicy
from workzone.policy.policies import policy_to_json

LOGITS = frozenset(
    {
        "t_lo", "t_hi", "none_below", "roadwork_from", "band", "tau", "decision", "centre", "scale", "weights",
        "intercept", "sequence",
    }
)  # fmt: skip
"""Keys of `policy.json` whose numbers follow logits to the last digits."""
_RELATIVE = 1e-6
MOST_SHOWN = 12
"""Differences that are listed; a policy that went another way differs in nearly everything."""


@dataclass(frozen=True, slots=True)
class CertificateCheck:
    """What came of the check."""

    certificate: Certificate
    """As it is sealed."""
    n_select: int
    n_calib: int
    differences: tuple[str, ...]
    """What does not agree, in words; empty where the certificate follows from the data."""

    @property
    def holds(self) -> bool:
        """Whether the certificate follows from the data."""
        return not self.differences


def verify_from_data(predictor: Predictor, dataset: DataSet, *, observer: Observer) -> CertificateCheck:
    """Recompute the certificate of the predictor's bundle from the pictures that it was certified on.

    Opens no split: the bundle lists the pictures (`seen.npz`), and nothing new is chosen or certified.

    Raises:
        DataError: The bundle has no certificate, or the data set lacks pictures of it.
    """
    bundle = predictor.bundle
    policy, certificate = bundle.policy, bundle.policy.certificate
    if certificate is None:
        raise DataError(
            f"Bundle {bundle.digest[:12]} has no certificate to verify: {policy.refusal} Certify it with "
            "`workzone bundle recertify`."
        )
    select_rows, calib_rows = find_calibration(bundle, dataset)
    select, calib = (
        _scored(predictor, dataset, rows, task, observer)
        for rows, task in ((select_rows, "predict select"), (calib_rows, "predict calib"))
    )
    again = fit_policy(
        policy.settings,
        select,
        calib,
        split_sha256=certificate.split_sha256,
        dataset_sha256=dataset.sha256,
        statistics=policy.statistics if isinstance(policy, GatePolicy) else None,
    )
    tolerance = float(bundle.golden.tolerances[bundle.manifest.serving.precision])
    differences = list(_differences(policy_to_json(policy), policy_to_json(again), "", tolerance))
    more = len(differences) - MOST_SHOWN
    shown = [*differences[:MOST_SHOWN], f"and {more} more"] if more > 0 else differences
    return CertificateCheck(certificate, len(select.ids), len(calib.ids), tuple(shown))


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


def _differences(sealed: Any, found: Any, key: str, tolerance: float) -> Iterator[str]:
    """Yield what differs between two JSON values, by key."""
    if isinstance(sealed, dict) and isinstance(found, dict):
        for name in sealed.keys() | found.keys():
            inner = f"{key}.{name}" if key else name
            yield from _differences(sealed.get(name), found.get(name), inner, tolerance)
    elif isinstance(sealed, list | tuple) and isinstance(found, list | tuple) and len(sealed) == len(found):
        for number, (one, other) in enumerate(zip(sealed, found, strict=True)):
            yield from _differences(one, other, f"{key}.{number}", tolerance)
    elif not _same(sealed, found, key, tolerance):
        yield f"{key}: sealed is {_brief(sealed)}, the data give {_brief(found)}"


def _same(sealed: Any, found: Any, key: str, tolerance: float) -> bool:
    if not (_is_real(sealed) and _is_real(found)):
        return bool(sealed == found)
    if LOGITS & set(key.split(".")):
        return math.isclose(sealed, found, rel_tol=_RELATIVE, abs_tol=tolerance)
    return math.isclose(sealed, found, rel_tol=_RELATIVE)


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _brief(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _scored(
    predictor: Predictor, dataset: DataSet, rows: NDArray[np.intp], task: str, observer: Observer
) -> Scores:
    found = read_rows(dataset, rows)
    logits, features = predictor.score(found.paths, observer=observer, task=task)
    return Scores(
        ids=found.ids,
        labels=found.labels,
        ambiguous=found.ambiguous,
        groups=found.groups,
        logits=logits,
        features=features,
    )
