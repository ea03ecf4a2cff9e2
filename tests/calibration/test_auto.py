"""The choice among calibrators: losses and errors by hand, the sentence, and who is chosen where the truth is
known."""

import json

import numpy as np
import pytest
from scipy.special import expit

from workzone.calibration.auto import (
    CalibratorComparison,
    CandidateLoss,
    comparison_to_json,
    fit_auto,
    log_losses,
)
from workzone.calibration.calibrators import FITTERS, fit_calibrator
from workzone.calibration.folds import group_folds, held_out_probs
from workzone.core.errors import ConfigError, DataError
from workzone.metrics.calibration_error import nll
from workzone.policy.calibrators import BetaCalibrator, calibrator_kind


@pytest.fixture
def bent(scores_of):
    """Pairs of frames, drawn from a beta map that Platt scaling cannot follow."""
    rng = np.random.default_rng(0)
    z = np.repeat(rng.normal(0, 3, 1500), 2) + 0.1 * rng.normal(size=3000)
    labels = rng.random(3000) < BetaCalibrator(0.1, 1.5, 0.0).apply(z)
    return scores_of(z, labels, groups=[f"g{i // 2}" for i in range(3000)])


def test_the_losses_are_those_of_the_held_out_pictures(bent):
    found = fit_auto(bent, ("platt", "beta"))
    folds = group_folds(bent)
    assert (found.comparison.n_folds, found.comparison.n_groups, found.comparison.n_pictures) == (
        5,
        1500,
        3000,
    )
    for candidate in found.comparison.candidates:
        probs = held_out_probs(candidate.name, bent, folds)
        assert candidate.log_loss == pytest.approx(nll(bent.labels, probs), rel=1e-12)


def test_the_standard_error_is_that_of_group_sums(bent):
    platt = fit_auto(bent, ("platt", "beta")).comparison.candidates[0]
    folds = group_folds(bent)
    losses = [log_losses(held_out_probs(n, bent, folds), bent.labels) for n in ("platt", "beta")]
    per_group = (losses[0] - losses[1]).reshape(1500, 2).mean(axis=1)  # pairs: the mean of means
    assert platt.worse_by == pytest.approx(per_group.mean(), rel=1e-9)
    assert platt.standard_error == pytest.approx(per_group.std(ddof=1) / np.sqrt(1500), rel=1e-6)


def test_the_bent_truth_is_found_and_said(bent):
    found = fit_auto(bent, ("temperature", "platt", "beta"))
    assert found.comparison.chosen == calibrator_kind(found.calibrator) == "beta"
    assert found.calibrator == fit_calibrator("beta", bent)  # fitted again on all pictures
    assert "nats a picture better than platt" in found.comparison.sentence
    assert found.comparison.sentence.startswith("beta, 0.")


def test_where_nothing_is_to_be_gained_nothing_is_claimed(scores_of):
    rng = np.random.default_rng(1)
    z = rng.normal(0, 2, 2000)
    found = fit_auto(scores_of(z, rng.random(2000) < expit(z)), ("temperature", "platt", "beta"))
    assert not any(c.told_apart for c in found.comparison.candidates)
    assert "not distinguishable from" in found.comparison.sentence
    assert "better than" not in found.comparison.sentence


def test_all_calibrators_can_be_compared(scores_of):
    rng = np.random.default_rng(2)
    z = rng.normal(0, 2, 400)
    found = fit_auto(scores_of(z, rng.random(400) < expit(z)))
    assert [c.name for c in found.comparison.candidates] == list(FITTERS)
    losses = [c.log_loss for c in found.comparison.candidates]
    assert np.isfinite(losses).all()
    chosen = next(c for c in found.comparison.candidates if c.name == found.comparison.chosen)
    assert (chosen.log_loss, chosen.worse_by, chosen.standard_error) == (min(losses), 0.0, 0.0)


def test_who_cannot_be_fitted_is_named(scores_of):
    rng = np.random.default_rng(3)
    z = rng.normal(size=600)
    found = fit_auto(scores_of(z + 5, rng.random(600) < expit(3 * z - 4)), ("temperature", "platt"))
    assert found.comparison.chosen == "platt"
    assert found.comparison.candidates[0].left_out.startswith("No temperature fits")
    assert "temperature could not be fitted" in found.comparison.sentence
    json.dumps(comparison_to_json(found.comparison), allow_nan=False)


def test_the_sentence_in_words():
    comparison = CalibratorComparison(
        chosen="beta",
        n_pictures=900,
        n_groups=300,
        n_folds=5,
        candidates=(
            CandidateLoss("temperature", 0.3005, 0.0005, 0.0004, None),
            CandidateLoss("platt", 0.3031, 0.0031, 0.0009, None),
            CandidateLoss("beta", 0.3, 0.0, 0.0, None),
            CandidateLoss("isotonic", None, None, None, "One class."),
        ),
    )
    assert comparison.sentence == (
        "beta, 0.0031 ± 0.0009 nats a picture better than platt; not distinguishable from temperature; "
        "isotonic could not be fitted (5 folds of 300 groups)."
    )
    value = comparison_to_json(comparison)
    assert value["sentence"] == comparison.sentence
    assert value["candidates"][1]["worse_by"] == 0.0031
    assert json.loads(json.dumps(value)) == value


def test_rounded_certainties_cost_much_and_not_everything():
    losses = log_losses(np.array([1.0, 0.0, 1.0, 0.5]), np.array([1, 1, 0, 0]))
    assert losses == pytest.approx([0.0, 53 * np.log(2), 53 * np.log(2), np.log(2)])


@pytest.mark.parametrize("names", [(), ("platt", "platt"), ("plat",), ("auto",)])
def test_bad_names_are_refused(bent, names):
    with pytest.raises(ConfigError):
        fit_auto(bent, names)


def test_bad_scores_are_refused(scores_of):
    with pytest.raises(DataError, match="both classes"):
        fit_auto(scores_of([], []))
    with pytest.raises(DataError, match="both classes"):
        fit_auto(scores_of([1.0], [1]))
    with pytest.raises(DataError, match="two groups"):
        fit_auto(scores_of([-1.0, 1.0], [0, 1]))
    with pytest.raises(DataError, match="untrained"):
        fit_auto(scores_of([1.0] * 8, [0, 1] * 4))
    z = np.linspace(-3, 3, 200)
    with pytest.raises(DataError, match="swapped"):
        fit_auto(scores_of(z, z < 0))
