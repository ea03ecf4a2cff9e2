"""The worst first, one a group, decided pictures only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from workzone.core.types import Verdict
from workzone.evaluation.mistakes import notable_pictures
from workzone.policy.calibrators import TemperatureCalibrator
from workzone.policy.settings import ThresholdSettings
from workzone.policy.threshold import ThresholdPolicy

POLICY = ThresholdPolicy(-1.0, 0.8, ThresholdSettings(), None, "too few")
IDENTITY = TemperatureCalibrator(1.0)


def test_each_kind_holds_the_surest_of_each_group(draw):
    scores = draw(n_groups=200, per_group=3, separation=0.7)
    found = notable_pictures(scores, IDENTITY, POLICY, limit=8)
    row = {sample: index for index, sample in enumerate(scores.ids.tolist())}
    codes = POLICY.decide(scores.logits)
    for kind, code, label, sign in ((found.missed, 0, 1, 1), (found.false_alarms, 1, 0, -1)):
        assert len(kind) == 8
        assert len({p.group for p in kind}) == 8
        ranks = [sign * p.logit for p in kind]
        assert ranks == sorted(ranks)
        assert ranks[0] == min(sign * scores.logits[(codes == code) & (scores.labels == label)])
        assert all(codes[row[p.sample_id]] == code and scores.labels[row[p.sample_id]] == label for p in kind)
    assert all(p.verdict is Verdict.DEFER and -1.0 <= p.logit < 0.8 for p in found.deferred)
    with_roadwork = [p.roadwork for p in found.deferred]
    assert with_roadwork == sorted(with_roadwork, reverse=True)


def test_order_and_undecided_pictures_change_nothing(draw):
    scores = draw(separation=0.7)
    first = notable_pictures(scores, IDENTITY, POLICY)
    order = np.random.default_rng(0).permutation(120)
    assert notable_pictures(scores.take(order), IDENTITY, POLICY) == first
    nothing = replace(scores, ambiguous=np.ones(120, dtype=np.bool_))
    empty = notable_pictures(nothing, IDENTITY, POLICY)
    assert (empty.missed, empty.false_alarms, empty.deferred) == ((), (), ())
