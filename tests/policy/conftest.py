"""A certificate whose numbers follow from its counts, by SciPy."""

import pytest
from scipy import stats

from workzone.policy.certificate import (
    EVERYTHING_DEFERRED,
    EVERYTHING_ROADWORK,
    Certificate,
    Coverage,
    FalseAlarms,
)
from workzone.policy.threshold import ThresholdPolicy


@pytest.fixture
def certificate() -> Certificate:
    return Certificate(
        kind="pac",
        risk="selective_fnr",
        alpha=0.02,
        delta=0.05,
        n=313,
        misses=2,
        bound=float(stats.beta.ppf(0.95, 3, 311)),
        p_value=float(stats.binom.cdf(2, 313, 0.02)),
        n_positive_groups=340,
        n_unknown_left_out=4,
        n_ambiguous_left_out=5,
        estimand="draw a group, then one of its positive pictures",
        count_unit="one positive picture per group",
        assumption="exchangeable",
        sequence=(-9.0, -4.0, -2.5, 0.75),
        certified_index=2,
        split_sha256="a" * 64,
        dataset_sha256="b" * 64,
        false_alarms=FalseAlarms(count=7, n=200, rate=0.035, bound=float(stats.beta.ppf(0.95, 8, 193))),
        coverage=Coverage(positives=700, positives_answered=650, negatives=420, negatives_answered=300),
        everything_roadwork=EVERYTHING_ROADWORK,
        everything_deferred=EVERYTHING_DEFERRED,
    )


@pytest.fixture
def policy(certificate) -> ThresholdPolicy:
    return ThresholdPolicy(t_lo=-2.5, t_hi=0.75, beta=0.05, certificate=certificate, refusal=None)
