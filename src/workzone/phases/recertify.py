"""A new promise for an old model: certify a bundle on a labelled data set, with no training and no torch.

The groups of the data set are dealt to `select` (where everything is chosen) and `calib` (where the policy is
certified and the calibrator fitted): nothing of the old policy is kept but what it was asked to promise, because
it was chosen elsewhere. The kinds of policy and calibrator stay those of the bundle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from workzone.bundle.recertify import write_recertified
from workzone.bundle.seen import SeenPictures, check_unseen
from workzone.calibration.calibrators import fit_calibrator
from workzone.calibration.fit import fit_policy
from workzone.core.errors import ConfigError, DataError
from workzone.core.observer import Observer
from workzone.core.scores import Scores
from workzone.core.types import Opening, Role
from workzone.data.dataset import DataSet
from workzone.data.grants import Grant, Samples, count_runs
from workzone.data.split import Fractions, Split, make_split
from workzone.data.summary import summarise
from workzone.data.tables import strings
from workzone.engine.predictor import Predictor
from workzone.policy.calibrators import calibrator_kind
from workzone.policy.gate import GatePolicy
from workzone.policy.policies import AnyPolicy
from workzone.policy.settings import GateSettings, PolicySettings, RiskLimit

SELECT_SHARE = 0.25
"""Of the groups: enough negatives to set t_hi by; the rest earn the certificate."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the new promise should say where it is not to be the old one; None keeps what the bundle asks."""

    alpha: float | None = None
    """The most that the first risk may be."""
    second_alpha: float | None = None
    """The most that the second risk may be, where the bundle promises two."""
    delta: float | None = None
    beta: float | None = None


@dataclass(frozen=True, slots=True)
class Recertified:
    """What came of it."""

    bundle: Path
    policy: AnyPolicy
    split: Split
    certifications: int
    """How many runs have opened calibration pictures of this data set, this one included. Each certificate is
    valid by itself; the one that pleases most of several is not."""


def recertify(
    predictor: Predictor,
    dataset: DataSet,
    out: Path,
    *,
    wishes: Wishes,
    seed: int,
    ledger: Path,
    created: datetime,
    observer: Observer,
) -> Recertified:
    """Write to `out` the predictor's bundle under a policy that was certified on `dataset`.

    Raises:
        DataError: The data set is too small to split, has pictures that the model was trained or chosen on,
            or has no negatives to set t_hi by.
        ConfigError: A rate is out of range, a wish does not fit the bundle's policy, or `out` holds files.
    """
    settings = wished_settings(predictor.bundle.policy.settings, wishes)
    split = make_split(
        dataset,
        Fractions(train=0.0, select=SELECT_SHARE, calib=1 - SELECT_SHARE, test=0.0),
        seed,
        observer=observer,
    )
    check_unseen(
        predictor.bundle.seen,
        strings(split.table, "id"),
        strings(split.table, "group"),
        what=f"data set '{dataset.name}'",
    )
    _check_labels(dataset, split)
    grant = Grant("recertify", frozenset({Role.SELECT, Role.CALIB}), dataset, ledger, run=str(out))
    select = _scored(predictor, grant.open(split, Role.SELECT), observer)
    calib = _scored(predictor, grant.open(split, Role.CALIB), observer)
    old = predictor.bundle.policy
    policy = fit_policy(
        settings,
        select,
        calib,
        split_sha256=split.sha256,
        dataset_sha256=dataset.sha256,
        statistics=old.statistics if isinstance(old, GatePolicy) else None,
    )
    decided = calib.decided()
    certifications = count_runs(ledger, None, Role.CALIB)
    write_recertified(
        predictor.bundle,
        out,
        policy=policy,
        calibrator=fit_calibrator(calibrator_kind(predictor.bundle.calibrator), calib),
        lineage=frozenset({Opening(split.sha256, Role.SELECT), Opening(split.sha256, Role.CALIB)}),
        seen=SeenPictures.from_ids(select=select.ids, calib=calib.ids),
        metrics={
            "recertified_on": dataset.name,
            "dataset_sha256": dataset.sha256,
            "calibration_pictures": len(decided.ids),
            "calibration_groups": len(np.unique(decided.groups)),
            "certifications_on_this_data": certifications,
        },
        card_note=(
            f"Certified on the data set '{dataset.name}' ({len(dataset)} pictures, hash "
            f"{dataset.sha256[:12]}), {created:%Y-%m-%d}."
        ),
        created=created,
    )
    return Recertified(out, policy, split, certifications)


def _check_labels(dataset: DataSet, split: Split) -> None:
    """Refuse a data set that cannot certify anything, before its pictures are scored.

    Raises:
        DataError: It lacks decided pictures of a class.
    """
    total = summarise(dataset).total
    if not (total.roadwork and total.none):
        raise DataError(
            f"'{dataset.name}' has {total.roadwork} pictures with road work and {total.none} without, "
            f"{total.unknown} of unknown label and {total.ambiguous} ambiguous; certifying takes labelled pictures "
            "of both. Label some of each and import them again."
        )


def wished_settings(settings: PolicySettings, wishes: Wishes) -> PolicySettings:
    """Return the bundle's settings with what is wished otherwise.

    Raises:
        ConfigError: A rate is out of range, or a second limit is wished where the bundle promises one risk.
    """
    limits = list(settings.limits)
    if wishes.alpha is not None:
        limits[0] = RiskLimit(limits[0].risk, wishes.alpha)
    if wishes.second_alpha is not None:
        if len(limits) < 2:
            raise ConfigError(
                f"The bundle promises one risk, {limits[0].risk}: there is no second limit to change."
            )
        limits[1] = RiskLimit(limits[1].risk, wishes.second_alpha)
    delta = settings.delta if wishes.delta is None else wishes.delta
    if isinstance(settings, GateSettings):
        if wishes.beta is not None:
            raise ConfigError("The bundle's policy is a gate, which has no upper threshold for beta to set.")
        return replace(settings, limits=tuple(limits), delta=delta)
    beta = settings.beta if wishes.beta is None else wishes.beta
    return replace(settings, limits=tuple(limits), delta=delta, beta=beta)


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
