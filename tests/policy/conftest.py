"""Certificates whose numbers follow from their counts, by SciPy."""

import pytest
from scipy import stats

from workzone.policy.certificate import (
    ASSUMPTION,
    COUNT_UNITS,
    EVERYTHING_DEFERRED,
    EVERYTHING_ROADWORK,
    Certificate,
    Claim,
    Coverage,
    FalseAlarms,
    NoiseRow,
    Restated,
    Walk,
)
from workzone.policy.risks import RISKS, Risk
from workzone.policy.settings import Counting, RiskLimit, ThresholdSettings
from workzone.policy.threshold import ThresholdPolicy

WRONG = (0, 1, 2, 3, 5, 10)


def upper(k: int, n: int) -> float:
    return float(stats.beta.ppf(0.95, k + 1, n - k))


@pytest.fixture
def claim() -> Claim:
    return Claim(
        risk=Risk.SELECTIVE_FNR,
        alpha=0.02,
        n=400,
        events=2,
        rate=2 / 400,
        bound=upper(2, 400),
        p_value=float(stats.binom.cdf(2, 400, 0.02)),
        exceedance=None,
        stake=None,
        outcomes=(),
        n_groups=440,
        estimand=RISKS[Risk.SELECTIVE_FNR].estimand,
        label_noise=tuple(NoiseRow(m, upper(2 + m, 400), upper(2 + m, 400) <= 0.02) for m in WRONG),
        ambiguous_as_positives=Restated(n=405, events=4, bound=upper(4, 405), holds=False),
    )


@pytest.fixture
def certificate(claim) -> Certificate:
    return Certificate(
        kind="pac",
        delta=0.05,
        counting=Counting.ONE_PER_GROUP,
        count_unit=COUNT_UNITS[Counting.ONE_PER_GROUP],
        claims=(claim,),
        walk=Walk("t_lo", (-9.0, -4.0, -2.5, 0.75), start=0, passed=2, chosen=2),
        n_unknown_left_out=4,
        n_ambiguous_left_out=5,
        assumption=ASSUMPTION,
        split_sha256="a" * 64,
        dataset_sha256="b" * 64,
        calibration_sha256="c" * 64,
        false_alarms=FalseAlarms(count=7, n=200, rate=0.035, bound=upper(7, 200)),
        coverage=Coverage(positives=700, positives_answered=650, negatives=420, negatives_answered=300),
        everything_roadwork=EVERYTHING_ROADWORK,
        everything_deferred=EVERYTHING_DEFERRED,
    )


@pytest.fixture
def settings() -> ThresholdSettings:
    return ThresholdSettings((RiskLimit(Risk.SELECTIVE_FNR, 0.02),), delta=0.05, beta=0.05)


@pytest.fixture
def policy(certificate, settings) -> ThresholdPolicy:
    return ThresholdPolicy(t_lo=-2.5, t_hi=0.75, settings=settings, certificate=certificate, refusal=None)
