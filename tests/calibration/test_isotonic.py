"""Fitted isotonic regression against scikit-learn's; what it says of the outer blocks; what it needs."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from workzone.calibration import isotonic
from workzone.calibration.isotonic import fit_isotonic, tied
from workzone.core.errors import DataError, MissingExtraError


@pytest.mark.parametrize("decimals", [12, 1, 0])
@pytest.mark.parametrize("n", [20, 700])
def test_isotonic_is_scikit_learns_ties_included(scores_of, n, decimals):
    rng = np.random.default_rng(n)
    z = np.round(rng.normal(0, 2, n), decimals)
    labels = rng.random(n) < expit(z)
    fitted = fit_isotonic(scores_of(z, labels))
    n1 = int(labels.sum())
    theirs = IsotonicRegression(y_min=1 / (n - n1 + 2), y_max=(n1 + 1) / (n1 + 2), out_of_bounds="clip")
    theirs.fit(z, labels)
    grid = np.concatenate([z, np.linspace(-9, 9, 301)])
    assert fitted.apply(grid) == pytest.approx(theirs.predict(grid), abs=1e-12)
    assert len(fitted.knots) <= len(theirs.X_thresholds_)


def test_what_n_pictures_cannot_show_is_not_said(scores_of):
    z = np.concatenate([np.linspace(-3, -1, 50), np.linspace(1, 3, 20)])
    fitted = fit_isotonic(scores_of(z, z > 0))
    assert fitted.apply([-99.0, 99.0]) == pytest.approx([1 / 52, 21 / 22])
    assert np.isfinite(np.log(fitted.apply(z))).all()


def test_only_the_ends_of_flat_stretches_are_knots(scores_of):
    z = np.arange(100) / 10
    fitted = fit_isotonic(scores_of(z, z >= 5))
    assert fitted.knots == (0.0, 4.9, 5.0, 9.9)


def test_a_picture_of_each_class_is_enough(scores_of):
    assert fit_isotonic(scores_of([-1.0, 1.0], [0, 1])).apply([-1.0, 1.0]) == pytest.approx([1 / 3, 2 / 3])
    with pytest.raises(DataError, match="both classes"):
        fit_isotonic(scores_of([0.3], [1]))
    with pytest.raises(DataError, match="both classes"):
        fit_isotonic(scores_of([], []))


@pytest.mark.parametrize("name", ["isotonic", "venn_abers", "beta", "pool"])
def test_constant_logits_are_refused_by_all(scores_of, name):
    from workzone.calibration.calibrators import fit_calibrator

    with pytest.raises(DataError, match="untrained"):
        fit_calibrator(name, scores_of([0.3] * 10, [0, 1] * 5))


def test_ties_are_counted():
    knots, counts, positives = tied(np.array([2.0, -1.0, 2.0, 2.0]), np.array([1.0, 0.0, 0.0, 1.0]))
    assert (knots.tolist(), counts.tolist(), positives.tolist()) == ([-1.0, 2.0], [1, 3], [0, 2])


def test_without_scipy_the_extra_is_named(scores_of, monkeypatch):
    def missing(module, extra):
        raise MissingExtraError(module.split(".")[0], extra)

    monkeypatch.setattr(isotonic, "require", missing)
    with pytest.raises(MissingExtraError, match=r"workzone\[data\]"):
        fit_isotonic(scores_of([-1.0, 1.0], [0, 1]))


def test_more_knots_than_a_bundle_holds_are_refused(scores_of, monkeypatch):
    monkeypatch.setattr(isotonic, "MAX_KNOTS", 5)
    rng = np.random.default_rng(0)
    z = rng.normal(size=500)
    with pytest.raises(DataError, match="at most 5"):
        fit_isotonic(scores_of(z, rng.random(500) < expit(3 * z)))
