"""Fits whatever policy the settings ask for: the one entry for pipelines, re-certification and verification.

Knows which fitter a kind has, and what none of them may be given: `select` and `calib` that share a group or
a picture.
"""

from __future__ import annotations

import numpy as np

from workzone.calibration.conformal import fit_conformal_policy
from workzone.calibration.gate import fit_gate_policy
from workzone.calibration.threshold import fit_threshold_policy
from workzone.core.errors import DataError
from workzone.core.scores import Scores
from workzone.policy.gate_features import FeatureStatistics
from workzone.policy.policies import AnyPolicy
from workzone.policy.settings import ConformalSettings, GateSettings, PolicySettings


def fit_policy(
    settings: PolicySettings,
    select: Scores,
    calib: Scores,
    *,
    split_sha256: str,
    dataset_sha256: str,
    statistics: FeatureStatistics | None = None,
) -> AnyPolicy:
    """Choose on `select`, certify on `calib`.

    Args:
        settings: Kind of policy, risks and limits.
        select: Scores of the pictures that choose.
        calib: Scores of the pictures that certify; unknown and ambiguous labels are left out and counted.
        split_sha256: Hash of the split that both are parts of.
        dataset_sha256: Hash of the data set, for the record.
        statistics: Of the training features, for a gate that measures distances from them.

    Returns:
        A policy with its certificate, or with the reason why it has none and what it would take.

    Raises:
        DataError: `select` and `calib` share a group or a picture, all logits of `select` are the same, there
            is nothing to choose on, or a sample occurs twice.
        ConfigError: A setting or the hash of the split is wrong.
    """
    _check_apart(select, calib)
    _check_alive(select)
    hashes = {"split_sha256": split_sha256, "dataset_sha256": dataset_sha256}
    if isinstance(settings, GateSettings):
        return fit_gate_policy(settings, select, calib, **hashes, statistics=statistics)
    if isinstance(settings, ConformalSettings):
        return fit_conformal_policy(settings, select, calib, **hashes)
    return fit_threshold_policy(settings, select, calib, **hashes)


def _check_apart(select: Scores, calib: Scores) -> None:
    for what, ours, theirs in (
        ("groups", select.groups, calib.groups),
        ("pictures", select.ids, calib.ids),
    ):
        shared = np.intersect1d(ours, theirs)
        if len(shared):
            raise DataError(
                f"{len(shared)} {what} are in both 'select' and 'calib' (such as '{shared[0]}'): what is "
                "certified must not have been used to choose. Split by group."
            )


def _check_alive(select: Scores) -> None:
    """Refuse constant scores: some policies would certify them, by calling everything road work."""
    logits = select.decided().logits
    if len(logits) > 1 and np.ptp(logits) == 0.0:
        raise DataError(
            f"All {len(logits)} logits of 'select' are {logits[0]:g}: the model tells no two pictures apart, and a "
            "policy on it would promise by saying nothing. It is untrained or broken; look at its training."
        )
