"""The five risks against rates written down by hand, and against the measures that the report shows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.metrics.selective import selective_counts
from workzone.policy.risks import RISKS, Risk, empirical_risk, risk_title

PICTURES = st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from([-1, 0, 1])), min_size=1, max_size=60)


def test_every_risk_is_defined():
    assert set(RISKS) == set(Risk)
    for definition in RISKS.values():
        assert definition.event_code in definition.counted  # an event always counts
        assert "{rate}" in definition.promise


@given(PICTURES)
def test_risks_are_those_of_the_metrics(pictures):
    labels, codes = np.array(pictures, dtype=np.int8).T
    counts = selective_counts(labels, codes)
    named = {
        Risk.SELECTIVE_FNR: (counts.fn, counts.tp + counts.fn),
        Risk.COMMITTED_MISS_RATE: (counts.fn, counts.n_positives),
        Risk.FALSE_OMISSION_RATE: (counts.fn, counts.fn + counts.tn),
        Risk.FALSE_ALARM_RATE: (counts.fp, counts.n_negatives),
        Risk.FALSE_DISCOVERY_RATE: (counts.fp, counts.tp + counts.fp),
    }
    assert {risk: empirical_risk(risk, labels, codes) for risk in Risk} == named


@given(PICTURES)
def test_the_committed_miss_rate_is_the_selective_one_times_the_answered_share(pictures):
    """Methods §8.1: R_com = R_sel · P(accept | Y=1) <= R_sel."""
    labels, codes = np.array(pictures, dtype=np.int8).T
    misses, answered = empirical_risk(Risk.SELECTIVE_FNR, labels, codes)
    same, positives = empirical_risk(Risk.COMMITTED_MISS_RATE, labels, codes)
    assert misses == same
    if answered:
        assert misses / positives == pytest.approx(misses / answered * (answered / positives))
        assert misses / positives <= misses / answered


def test_names_as_they_are_read():
    assert risk_title(Risk.SELECTIVE_FNR) == "selective FNR"
    assert risk_title(Risk.FALSE_ALARM_RATE) == "false alarm rate"


def test_only_ratios_over_everything_depend_on_prevalence():
    assert {r for r in Risk if RISKS[r].depends_on_prevalence} == {
        Risk.FALSE_OMISSION_RATE,
        Risk.FALSE_DISCOVERY_RATE,
    }
    assert {r for r in Risk if RISKS[r].fixed_denominator} == {
        Risk.COMMITTED_MISS_RATE,
        Risk.FALSE_ALARM_RATE,
    }
