"""Whatever the policy: what was used to choose may not certify, and bad input is refused or said."""

import numpy as np
import pytest

from workzone.calibration.fit import fit_policy
from workzone.core.errors import DataError
from workzone.policy.policies import policy_from_json, policy_to_json
from workzone.policy.risks import Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    Counting,
    GateSettings,
    RiskLimit,
    ThresholdSettings,
)

HASHES = {"split_sha256": "5" * 64, "dataset_sha256": "d" * 64}
MISS, ALARM = RiskLimit(Risk.COMMITTED_MISS_RATE, 0.05), RiskLimit(Risk.FALSE_ALARM_RATE, 0.1)
ALL = [
    ThresholdSettings((RiskLimit(Risk.SELECTIVE_FNR, 0.05),)),
    ThresholdSettings((RiskLimit(Risk.FALSE_OMISSION_RATE, 0.05),), counting=Counting.ALL_FRAMES),
    ThresholdSettings((RiskLimit(Risk.SELECTIVE_FNR, 0.05), ALARM)),
    ConformalSettings(ConformalMethod.SETS, (MISS, ALARM)),
    ConformalSettings(ConformalMethod.CRC, (MISS,)),
    ConformalSettings(ConformalMethod.SCRC, (RiskLimit(Risk.SELECTIVE_FNR, 0.05),)),
    GateSettings((RiskLimit(Risk.SELECTIVE_FNR, 0.05),), features=("logit_norm", "roadwork")),
]
IDS = [f"{s.kind}-{getattr(s, 'method', '')}{s.limits[0].risk}{len(s.limits)}" for s in ALL]


def drawn(scores_of, name, n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.5
    return scores_of(
        rng.normal(4.0 * labels - 2, 1.1),
        labels,
        groups=[f"{name}{i // 2}" for i in range(n)],
        ids=[f"{name}{i:08x}" for i in range(n)],
        ambiguous=rng.random(n) < 0.02,
    )


@pytest.mark.parametrize("settings", ALL, ids=IDS)
def test_every_policy_is_fitted_certified_and_written(scores_of, settings):
    select, calib = drawn(scores_of, "s", 600, 1), drawn(scores_of, "c", 2000, 2)
    policy = fit_policy(settings, select, calib, **HASHES)
    assert policy.certified
    assert policy.certificate.n_ambiguous_left_out == calib.ambiguous.sum()
    assert all(claim.ambiguous_as_positives is not None for claim in policy.certificate.claims)
    assert policy_to_json(policy_from_json(policy_to_json(policy))) == policy_to_json(policy)
    shuffled = calib.take(np.random.default_rng(3).permutation(len(calib.ids)))
    again = fit_policy(settings, select, shuffled, **HASHES)
    assert policy_to_json(again) == policy_to_json(policy)


@pytest.mark.parametrize("settings", ALL, ids=IDS)
def test_mixed_splits_are_refused(scores_of, settings):
    select = drawn(scores_of, "s", 100, 1)
    with pytest.raises(DataError, match="1 groups are in both"):
        fit_policy(settings, select, scores_of([1.0], 1, groups=["s7"], ids=["other"]), **HASHES)
    with pytest.raises(DataError, match="1 pictures are in both"):
        fit_policy(settings, select, scores_of([1.0], 1, groups=["own"], ids=["s00000003"]), **HASHES)


@pytest.mark.parametrize("settings", ALL, ids=IDS)
def test_one_class_in_calib_is_a_refusal_or_says_what_is_missing(scores_of, settings):
    select = drawn(scores_of, "s", 400, 1)
    only = scores_of([0.5] * 30, 0, groups=[f"c{i}" for i in range(30)], ids=[f"c{i}" for i in range(30)])
    policy = fit_policy(settings, select, only, **HASHES)
    assert policy.certificate is None
    assert "more" in policy.refusal


@pytest.mark.parametrize("settings", ALL, ids=IDS)
def test_a_sample_that_occurs_twice_is_refused(scores_of, settings):
    select = drawn(scores_of, "s", 400, 1)
    twice = scores_of([1.0, 2.0], [0, 1], groups=["a", "b"], ids=["same", "same"])
    with pytest.raises(DataError, match="occurs twice"):
        fit_policy(settings, select, twice, **HASHES)


@pytest.mark.parametrize("settings", ALL, ids=IDS)
def test_constant_scores_are_refused(scores_of, settings):
    """A gate or a conformal policy would certify them by never answering none."""
    select, calib = (
        scores_of(
            [0.0] * 400,
            [0, 1] * 200,
            groups=[f"{n}{i}" for i in range(400)],
            ids=[f"{n}{i}" for i in range(400)],
        )
        for n in "sc"
    )
    with pytest.raises(DataError, match="All 400 logits of 'select' are 0"):
        fit_policy(settings, select, calib, **HASHES)


def test_scores_that_are_no_numbers_never_get_this_far(scores_of):
    with pytest.raises(DataError, match="1 of 2 logits are not finite"):
        scores_of([float("nan"), 1.0], 1)
