"""The gate: fitted like scikit-learn's, certified like any policy, refused where it has nothing to learn."""

import numpy as np
import pytest

from workzone.calibration.gate import fit_gate, fit_gate_policy
from workzone.core.errors import DataError, InferenceError
from workzone.core.scores import Scores
from workzone.policy.gate_features import FeatureStatistics, FirstAnswers, gate_matrix
from workzone.policy.risks import Risk
from workzone.policy.settings import Counting, GateSettings, RiskLimit
from workzone.policy.verification import verify_certificate

HASHES = {"split_sha256": "5" * 64, "dataset_sha256": "d" * 64}
STATISTICS = FeatureStatistics(np.zeros((2, 2)), np.ones((2, 2)))


def strange_pictures(name, n, seed, frames=1):
    """Pictures whose features are strange (a tenth of them) have logits that mean nothing."""
    rng = np.random.default_rng(seed)
    m = n * frames
    labels = np.repeat(rng.random(n) < 0.5, frames)
    strange = rng.random(m) < 0.1
    logits = rng.normal(np.where(strange, 0.0, 4.0 * labels - 2.0), np.where(strange, 3.0, 0.9))
    features = rng.normal(size=(m, 2)) + 8.0 * strange[:, None]
    return Scores(
        ids=np.array([f"{name}{i:08x}" for i in range(m)]),
        labels=labels.astype(np.int8),
        ambiguous=np.zeros(m, dtype=bool),
        groups=np.repeat([f"{name}{i}" for i in range(n)], frames),
        logits=logits,
        features=features.astype(np.float32),
    )


def test_the_weights_are_those_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    settings = GateSettings(features=("logit_norm", "roadwork", "feature_distance"), l2=2.0)
    select = strange_pictures("s", 800, 1)
    gate = fit_gate(settings, select, STATISTICS)
    first = FirstAnswers(select.logits - gate.decision, select.features, STATISTICS)
    matrix = gate_matrix(settings.features, first)
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    right = (select.logits >= gate.decision) == (select.labels == 1)
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(scaled, right)
    assert gate.weights == pytest.approx(theirs.coef_[0], rel=1e-4, abs=1e-6)
    assert gate.intercept == pytest.approx(theirs.intercept_[0], rel=1e-4)


@pytest.mark.parametrize("counting", Counting)
def test_a_certified_gate_defers_what_is_strange(counting):
    settings = GateSettings((RiskLimit(Risk.SELECTIVE_FNR, 0.03),), counting=counting)
    select, calib = strange_pictures("s", 800, 1), strange_pictures("c", 2000, 2)
    policy = fit_gate_policy(settings, select, calib, statistics=STATISTICS, **HASHES)
    verify_certificate(policy.certificate)
    test = strange_pictures("t", 4000, 3)
    deferred = policy.decide(test.logits, test.features) == -1
    strange = test.features[:, 0] > 4.0
    assert deferred[strange].mean() > 0.9
    assert deferred[~strange].mean() < 0.3


def test_the_gate_answers_more_than_thresholds_where_logits_mislead():
    from workzone.calibration.threshold import fit_threshold_policy
    from workzone.policy.settings import ThresholdSettings

    limits = (RiskLimit(Risk.SELECTIVE_FNR, 0.03),)
    select, calib = strange_pictures("s", 800, 1), strange_pictures("c", 2000, 2)
    gate = fit_gate_policy(GateSettings(limits), select, calib, statistics=STATISTICS, **HASHES)
    thresholds = fit_threshold_policy(ThresholdSettings(limits), select, calib, **HASHES)
    coverages = [p.certificate.coverage.overall if p.certified else 0.0 for p in (gate, thresholds)]
    assert coverages[0] > coverages[1] + 0.1


def test_wrong_labels_are_added_before_the_walk_not_only_at_its_end():
    """Where an earlier rule would fail with one error more, the certificate does not tolerate that error."""
    from workzone.calibration.gate import _gate_path
    from workzone.calibration.groups import group_pictures
    from workzone.calibration.walk import WalkPlan, walk

    settings = GateSettings((RiskLimit(Risk.FALSE_DISCOVERY_RATE, 0.06),))
    told, held = 0, 0
    for seed in range(40):
        select, calib = strange_pictures("s", 500, 100 + seed), strange_pictures("c", 500, 200 + seed)
        policy = fit_gate_policy(settings, select, calib, statistics=STATISTICS, **HASHES)
        if policy.certificate is None:
            continue
        record, claim = policy.certificate.walk, policy.certificate.claims[0]
        path = _gate_path(policy, calib, np.array(record.sequence))
        plan = WalkPlan(record.start, np.zeros((1, len(record.sequence))))
        grouped = group_pictures(calib, HASHES["split_sha256"])
        for row in claim.label_noise:
            passed = walk(
                path, grouped, settings.limits, 0.05, Counting.ONE_PER_GROUP, plan, row.wrong_labels
            )
            reached = passed is not None and passed >= record.chosen
            assert row.holds == (reached and row.bound <= claim.alpha)
            told, held = told + 1, held + row.holds
    assert 0 < held < told


def test_too_few_groups_defer_everything():
    select, calib = strange_pictures("s", 300, 1), strange_pictures("c", 40, 2)
    policy = fit_gate_policy(GateSettings(), select, calib, statistics=STATISTICS, **HASHES)
    assert "more" in policy.refusal
    assert set(policy.decide(calib.logits, calib.features).tolist()) == {-1}


def test_there_must_be_something_to_learn(scores_of):
    plain = GateSettings(features=("logit_norm",))
    easy = scores_of([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1])
    with pytest.raises(DataError, match="All 4 first answers on 'select' are right"):
        fit_gate(plain, easy, None)
    with pytest.raises(DataError, match="both classes"):
        fit_gate(plain, scores_of([1.0, 2.0], 1), None)


def test_distances_need_statistics():
    with pytest.raises(InferenceError, match="distances from the training features"):
        fit_gate(GateSettings(), strange_pictures("s", 100, 1), None)


def test_a_constant_feature_gets_no_weight(scores_of):
    rng = np.random.default_rng(0)
    labels = rng.random(400) < 0.5
    scores = scores_of(np.where(rng.random(400) < 0.9, 1.0, -1.0) * np.where(labels, 1, -1), labels)
    gate = fit_gate(GateSettings(features=("logit_norm", "roadwork")), scores, None)
    assert np.isfinite(gate.weights).all()
