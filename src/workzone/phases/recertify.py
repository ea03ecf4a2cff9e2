"""A new promise for an old model: certify a bundle on a labelled data set, with no training and no torch.

The groups of the data set are dealt to `select` (where t_hi and the grid are frozen) and `calib` (where t_lo
is certified and the calibrator fitted): nothing of the old policy is kept, because it was chosen elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from workzone.bundle.recertify import write_recertified
from workzone.calibration.calibrators import fit_platt
from workzone.calibration.threshold import fit_threshold_policy
from workzone.core.observer import Observer
from workzone.core.scores import Scores
from workzone.core.types import Opening, Role
from workzone.data.dataset import DataSet
from workzone.data.grants import Grant, Samples
from workzone.data.split import Fractions, Split, make_split
from workzone.engine.predictor import Predictor
from workzone.policy.threshold import ThresholdPolicy

SELECT_SHARE = 0.25
"""Of the groups: enough negatives to set t_hi by; the rest earn the certificate."""


@dataclass(frozen=True, slots=True)
class Recertified:
    """What came of it."""

    bundle: Path
    policy: ThresholdPolicy
    split: Split


def recertify(
    predictor: Predictor,
    dataset: DataSet,
    out: Path,
    *,
    alpha: float,
    delta: float,
    beta: float,
    seed: int,
    ledger: Path,
    created: datetime,
    observer: Observer,
) -> Recertified:
    """Write to `out` the predictor's bundle under a policy that was certified on `dataset`.

    Raises:
        DataError: The data set is too small to split, or has no negatives to set t_hi by.
        ConfigError: A rate is out of range, or `out` holds files.
    """
    split = make_split(
        dataset,
        Fractions(train=0.0, select=SELECT_SHARE, calib=1 - SELECT_SHARE, test=0.0),
        seed,
        observer=observer,
    )
    grant = Grant("recertify", frozenset({Role.SELECT, Role.CALIB}), dataset, ledger, run=str(out))
    select = _scored(predictor, grant.open(split, Role.SELECT), observer)
    calib = _scored(predictor, grant.open(split, Role.CALIB), observer)
    policy = fit_threshold_policy(
        select,
        calib,
        split_sha256=split.sha256,
        dataset_sha256=dataset.sha256,
        alpha=alpha,
        delta=delta,
        beta=beta,
    )
    decided = calib.decided()
    write_recertified(
        predictor.bundle,
        out,
        policy=policy,
        calibrator=fit_platt(calib),
        lineage=frozenset({Opening(split.sha256, Role.SELECT), Opening(split.sha256, Role.CALIB)}),
        metrics={
            "recertified_on": dataset.name,
            "dataset_sha256": dataset.sha256,
            "calibration_pictures": len(decided.ids),
            "calibration_groups": len(np.unique(decided.groups)),
        },
        card_note=(
            f"Certified on the data set '{dataset.name}' ({len(dataset)} pictures, hash "
            f"{dataset.sha256[:12]}), {created:%Y-%m-%d}."
        ),
        created=created,
    )
    return Recertified(out, policy, split)


def _scored(predictor: Predictor, samples: Samples, observer: Observer) -> Scores:
    logits, features = predictor.score(samples.paths, observer=observer, task=f"predict {samples.role}")
    return Scores(
        ids=samples.ids,
        labels=samples.labels,
        ambiguous=samples.ambiguous,
        groups=samples.groups,
        logits=logits,
        features=features,
    )
