"""Does a certificate follow from the data? Scores the calibration pictures again and counts anew.

Three things are shown, each by itself: at the sealed rule the counts are those that the certificate states;
every rule that was walked before it passes its test; and fitting the policy again, from `select` and `calib`,
gives the same rule. Labels and groups are the data set's as they are now, so a label that was changed since
shows as another count. On another machine logits differ in the last digits, so thresholds are compared within
the tolerance that the bundle states for its precision; counts are compared exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workzone.bundle.reader import Bundle
from workzone.bundle.seen import Part
from workzone.calibration.certificate import certify_policy, hash_ids
from workzone.calibration.fit import fit_policy
from workzone.core.errors import BundleError, DataError
from workzone.core.observer import Observer
from workzone.core.scores import Scores
from workzone.data.dataset import DataSet
from workzone.data.lookup import find_rows, read_rows
from workzone.engine.predictor import Predictor
from workzone.policy.certificate import Certificate, Claim
from workzone.policy.gate import GatePolicy
from workzone.policy.policies import AnyPolicy, policy_to_json


@dataclass(frozen=True, slots=True)
class CertificateCheck:
    """What came of the check."""

    certificate: Certificate
    """As it is sealed."""
    recounted: Certificate | None
    """At the sealed rule, from the data; None where the data do not support it at all."""
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
    differences = []
    if hash_ids(calib.ids) != certificate.calibration_sha256:
        differences.append("the certificate was made on other calibration pictures than the bundle lists")
    recounted = _recounted(policy, certificate, calib)
    if isinstance(recounted, str):
        differences.append(recounted)
    else:
        differences += _count_differences(certificate, recounted)
    differences += _refit_differences(policy, certificate, select, calib, _tolerance(predictor))
    found = recounted if isinstance(recounted, Certificate) else None
    return CertificateCheck(certificate, found, len(select.ids), len(calib.ids), tuple(differences))


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


def _recounted(policy: AnyPolicy, certificate: Certificate, calib: Scores) -> Certificate | str:
    """Return the certificate that the data give at the sealed rule, or why they give none."""
    bare = replace(policy, certificate=None, refusal="Being verified.")
    try:
        again = certify_policy(
            bare,
            calib,
            kind=certificate.kind,
            split_sha256=certificate.split_sha256,
            dataset_sha256=certificate.dataset_sha256,
            walk=certificate.walk,
            stakes=[claim.stake for claim in certificate.claims],
            exceedances=[claim.exceedance if claim.outcomes else None for claim in certificate.claims],
        )
    except BundleError as error:
        return f"at the sealed rule the data do not support the promise ({error})"
    assert again.certificate is not None
    return again.certificate


def _count_differences(sealed: Certificate, found: Certificate) -> list[str]:
    pairs = zip(sealed.claims, found.claims, strict=True)
    texts = [_claim_difference(ours, theirs) for ours, theirs in pairs]
    if sealed.coverage != found.coverage:
        texts.append(
            f"answered pictures: the certificate counts {sealed.coverage}, the data {found.coverage}"
        )
    if sealed.false_alarms != found.false_alarms:
        texts.append(
            f"false alarms: the certificate counts {sealed.false_alarms.count} of {sealed.false_alarms.n}, the "
            f"data {found.false_alarms.count} of {found.false_alarms.n}"
        )
    left = (sealed.n_unknown_left_out, sealed.n_ambiguous_left_out)
    if left != (found.n_unknown_left_out, found.n_ambiguous_left_out):
        texts.append("other pictures are left out as unknown or ambiguous than the certificate says")
    return [text for text in texts if text]


def _claim_difference(ours: Claim, theirs: Claim) -> str:
    if (ours.events, ours.n, ours.n_groups, ours.outcomes) == (
        theirs.events,
        theirs.n,
        theirs.n_groups,
        theirs.outcomes,
    ):
        return ""
    return (
        f"{ours.risk}: the certificate counts {ours.events} of {ours.n} (of {ours.n_groups} groups), the data "
        f"{theirs.events} of {theirs.n} (of {theirs.n_groups})"
    )


def _refit_differences(
    policy: AnyPolicy, certificate: Certificate, select: Scores, calib: Scores, tolerance: float
) -> list[str]:
    again = fit_policy(
        policy.settings,
        select,
        calib,
        split_sha256=certificate.split_sha256,
        dataset_sha256=certificate.dataset_sha256,
        statistics=policy.statistics if isinstance(policy, GatePolicy) else None,
    )
    if again.certificate is None:
        return [f"fitting the policy again certifies nothing: {again.refusal}"]
    sealed, found = policy_to_json(policy), policy_to_json(again)
    walks = [
        walk and (walk.parameter, len(walk.sequence), walk.start, walk.passed, walk.chosen)
        for walk in (certificate.walk, again.certificate.walk)
    ]
    walked = [f"walking the rules again gives {walks[1]}, not {walks[0]}"] if walks[0] != walks[1] else []
    return walked + [
        f"fitting the policy again gives {key} = {found[key]}, not {sealed[key]}"
        for key in ("t_lo", "t_hi", "none_below", "roadwork_from", "band", "tau", "decision")
        if key in sealed and not _close(sealed[key], found[key], tolerance)
    ]


def _close(sealed: object, found: object, tolerance: float) -> bool:
    if sealed is None or found is None:
        return sealed is found
    return bool(np.allclose(np.asarray(sealed, float), np.asarray(found, float), rtol=0.0, atol=tolerance))


def _tolerance(predictor: Predictor) -> float:
    tolerances = predictor.bundle.golden.tolerances
    return float(tolerances[predictor.bundle.manifest.serving.precision])


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
