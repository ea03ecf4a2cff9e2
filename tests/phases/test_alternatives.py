"""The other policies are fitted as the recipe's was, and one that cannot be is told, not raised."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from workzone.calibration.fit import fit_policy
from workzone.core.errors import ArtifactError, BundleError
from workzone.core.scores import Scores
from workzone.core.types import Role
from workzone.evaluation.policies import PolicyCandidate, policy_title
from workzone.phases import alternatives as module
from workzone.phases.alternatives import (
    FILE_NAME,
    alternative_settings,
    alternatives_phase,
    fit_alternatives,
    read_alternatives,
    write_alternatives,
)
from workzone.phases.recipe import EvaluateSection
from workzone.policy.gate_features import FeatureStatistics
from workzone.policy.policies import policy_to_json
from workzone.policy.risks import Risk
from workzone.policy.settings import (
    ConformalMethod,
    ConformalSettings,
    Counting,
    GateSettings,
    Objective,
    Prices,
    RiskLimit,
    ThresholdSettings,
)
from workzone.storage.lineage import ALLOWED_ROLES

LIMITS = (RiskLimit(Risk.SELECTIVE_FNR, 0.05),)
HASHES = {"split_sha256": "5" * 64, "dataset_sha256": "d" * 64}
STATISTICS = FeatureStatistics(np.zeros((2, 2)), np.ones((2, 2)))


def drawn(name: str, n_groups: int, separation: float = 2.0) -> Scores:
    rng = np.random.default_rng(len(name))
    labels = (np.arange(n_groups) % 2).astype(np.int8)
    ids = np.array([f"{name}-{i:05d}" for i in range(n_groups)])
    return Scores(
        ids=ids,
        labels=labels,
        ambiguous=np.zeros(n_groups, dtype=np.bool_),
        groups=np.char.add("g-", ids),
        logits=np.where(labels == 1, separation, -separation) + rng.normal(size=n_groups),
        features=rng.normal(size=(n_groups, 2)).astype(np.float32),
    )


@pytest.fixture(scope="module")
def fitted() -> tuple[PolicyCandidate, ...]:
    settings = ThresholdSettings(LIMITS)
    select, calib = drawn("select", 200), drawn("calib", 800)
    return fit_alternatives(settings, select, calib, **HASHES, statistics=STATISTICS)


def test_all_other_kinds_are_fitted_at_the_same_alpha_and_delta(fitted):
    titles = [candidate.title for candidate in fitted]
    assert titles == [policy_title(s) for s in alternative_settings(ThresholdSettings(LIMITS))]
    assert len(set(titles)) == 5
    for candidate in fitted:
        settings = candidate.policy.settings
        assert candidate.title == policy_title(settings)
        assert settings.delta == 0.05
        assert settings.limits[0].alpha == 0.05
        assert candidate.policy.certified, candidate.policy.refusal
    assert [c.policy.certificate.kind for c in fitted] == ["pac", "pac", "average", "average", "pac"]


def test_an_alternative_is_what_the_recipe_would_have_fitted(fitted):
    frames = fit_policy(
        ThresholdSettings(LIMITS, counting=Counting.ALL_FRAMES),
        drawn("select", 200),
        drawn("calib", 800),
        **HASHES,
    )
    assert policy_to_json(fitted[0].policy) == policy_to_json(frames)


@pytest.mark.parametrize(
    "settings",
    [
        ThresholdSettings(LIMITS),
        ThresholdSettings(LIMITS, counting=Counting.ALL_FRAMES, grid_size=50),
        GateSettings(LIMITS, delta=0.1),
        ConformalSettings(ConformalMethod.SCRC, LIMITS, coverage=0.6),
        ConformalSettings(
            ConformalMethod.SETS,
            (RiskLimit(Risk.COMMITTED_MISS_RATE, 0.03), RiskLimit(Risk.FALSE_ALARM_RATE, 0.04)),
        ),
        ConformalSettings(ConformalMethod.CRC, (RiskLimit(Risk.COMMITTED_MISS_RATE, 0.03),)),
        ThresholdSettings((RiskLimit(Risk.FALSE_DISCOVERY_RATE, 0.1),), beta=0.0),
    ],
)
def test_the_recipes_own_policy_is_not_among_its_alternatives(settings):
    others = alternative_settings(settings)
    titles = [policy_title(other) for other in others]
    assert len(set(titles)) == len(titles) == 5
    assert policy_title(settings) not in titles
    assert all(o.delta == settings.delta and o.grid_size == settings.grid_size for o in others)
    for other in others:
        if not isinstance(other, ConformalSettings) or other.method is ConformalMethod.SCRC:
            assert other.limits == settings.limits


def test_prices_stay_with_the_thresholds():
    prices = Prices(100.0, 5.0, 1.0)
    settings = ThresholdSettings(LIMITS, objective=Objective.COST, prices=prices)
    frames = alternative_settings(settings)[0]
    assert (frames.counting, frames.prices) == (Counting.ALL_FRAMES, prices)


def test_a_gate_with_nothing_to_learn_is_a_row_with_the_reason():
    select, calib = drawn("select", 100, separation=9.0), drawn("calib", 300, separation=9.0)
    found = fit_alternatives(ThresholdSettings(LIMITS), select, calib, **HASHES, statistics=STATISTICS)
    (gate,) = [c for c in found if c.title.startswith("Gate")]
    assert gate.policy is None
    assert "nothing to learn" in gate.reason
    assert sum(c.policy is not None for c in found) == 4


def test_one_class_and_missing_statistics_fail_no_run():
    select, calib = drawn("select", 200), drawn("calib", 300)
    without = fit_alternatives(ThresholdSettings(LIMITS), select, calib, **HASHES, statistics=None)
    assert "given none" in next(c.reason for c in without if c.title.startswith("Gate"))
    positives = replace(select, labels=np.ones(200, dtype=np.int8))
    found = fit_alternatives(ThresholdSettings(LIMITS), positives, calib, **HASHES, statistics=STATISTICS)
    assert len(found) == 5
    assert all(c.reason for c in found if c.policy is None)
    assert any(c.policy is None for c in found)


def test_what_is_written_is_read(fitted, tmp_path):
    candidates = (*fitted, PolicyCandidate("Gate", None, "There was nothing to learn."))
    write_alternatives(tmp_path, candidates)
    found = read_alternatives(tmp_path)
    assert [(c.title, c.reason) for c in found] == [(c.title, c.reason) for c in candidates]
    for one, other in zip(found[:-1], fitted, strict=True):
        assert policy_to_json(one.policy) == policy_to_json(other.policy)
    again = tmp_path / "again"
    again.mkdir()
    write_alternatives(again, candidates)
    assert (again / FILE_NAME).read_bytes() == (tmp_path / FILE_NAME).read_bytes()


def test_a_certificate_that_was_edited_is_refused(fitted, tmp_path):
    write_alternatives(tmp_path, fitted)
    document = json.loads((tmp_path / FILE_NAME).read_text(encoding="utf-8"))
    document["alternatives"][0]["policy"]["certificate"]["claims"][0]["bound"] = 0.001
    (tmp_path / FILE_NAME).write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BundleError, match="does not hold"):
        read_alternatives(tmp_path)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "no list"),
        ({"alternatives": {}}, "no list"),
        ({"alternatives": [{"title": "Gate"}]}, "keys"),
        ({"alternatives": [{"title": 1, "policy": None, "reason": "-"}]}, "keys"),
        ({"alternatives": [{"title": "Gate", "policy": None, "reason": None}]}, "either a policy"),
        ({"alternatives": [{"title": "Gate", "policy": {}, "reason": "-"}]}, "either a policy"),
        ({"alternatives": [{"title": "Gate", "policy": {}, "reason": 3}]}, "either a policy"),
    ],
)
def test_what_is_no_such_file_is_refused(document, said, tmp_path):
    (tmp_path / FILE_NAME).write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ArtifactError, match=said):
        read_alternatives(tmp_path)


def test_the_phase_opens_nothing_and_never_sees_test():
    phase = alternatives_phase()
    assert phase.roles == frozenset()
    assert phase.output == "alternatives"
    assert not any("test" in name for name in phase.inputs)
    assert Role.TEST not in ALLOWED_ROLES["alternatives"]
    assert EvaluateSection().alternatives
    assert module.MAX_BYTES >= 16 << 20
