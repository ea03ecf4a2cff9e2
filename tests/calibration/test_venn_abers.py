"""Venn–Abers against two isotonic fits for each picture, MAPIE, and its promise by simulation."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from workzone.calibration import venn_abers
from workzone.calibration.venn_abers import fit_venn_abers
from workzone.core.errors import DataError


def two_fits(logits, labels, new):
    """p0 and p1 of one new picture, by the definition."""
    return [
        float(IsotonicRegression().fit(np.append(logits, new), np.append(labels, label)).predict([new])[0])
        for label in (0, 1)
    ]


def places(logits):
    """On, just beside, between and beyond the logits."""
    z = np.unique(logits)
    return np.concatenate([z, (z[1:] + z[:-1]) / 2, z + 1e-6, z - 1e-6, [-1e6, 1e6]])


@pytest.mark.parametrize("decimals", [9, 1, 0])
@pytest.mark.parametrize("n", [5, 12, 40])
def test_both_probabilities_are_those_of_two_isotonic_fits(scores_of, n, decimals):
    rng = np.random.default_rng(n)
    z = np.round(rng.normal(0, 2, n), decimals)
    labels = (rng.random(n) < expit(z)).astype(int)
    labels[z.argmin()], labels[z.argmax()] = 0, 1
    fitted = fit_venn_abers(scores_of(z, labels))
    for new in places(z):
        p0, p1 = fitted.interval(new)
        assert (p0, p1) == pytest.approx(tuple(two_fits(z, labels, new)), abs=1e-12), new


small = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=14)


@given(pictures=small)
def test_few_pictures_with_many_ties_too(pictures):
    from workzone.calibration.isotonic import tied
    from workzone.calibration.venn_abers import _with_a_positive

    z, labels = np.array([p[0] for p in pictures], float), np.array([p[1] for p in pictures], float)
    knots, counts, positives = tied(z, labels)
    rise, run = _with_a_positive(counts, positives)
    for knot, p1 in zip(knots, rise / run, strict=True):
        assert p1 == pytest.approx(two_fits(z, labels, knot)[1], abs=1e-12)


@pytest.mark.filterwarnings("ignore:.*encountered in divide:RuntimeWarning")  # MAPIE's 0/0
def test_mapie_gives_the_same(scores_of):
    from mapie._venn_abers import VennAbers

    rng = np.random.default_rng(1)
    z = rng.normal(0, 2, 300)
    labels = (rng.random(300) < expit(z)).astype(int)
    theirs = VennAbers()
    s = expit(z)
    theirs.fit(np.stack([1 - s, s], axis=1), labels)
    new = rng.normal(0, 2, 200)
    t = expit(new)
    probs, interval = theirs.predict_proba(np.stack([1 - t, t], axis=1))
    fitted = fit_venn_abers(scores_of(z, labels))
    assert np.stack(fitted.interval(new), axis=1) == pytest.approx(interval, abs=1e-9)
    assert fitted.apply(new) == pytest.approx(probs[:, 1], abs=1e-9)


def test_the_interval_holds_the_probability_and_narrows_with_n(scores_of):
    rng = np.random.default_rng(2)
    widths = []
    for n in (100, 10_000):
        z = rng.normal(0, 2, n)
        fitted = fit_venn_abers(scores_of(z, rng.random(n) < expit(z)))
        grid = np.linspace(-3, 3, 200)
        p0, p1 = fitted.interval(grid)
        assert (p0 < p1).all()
        assert ((p0 < fitted.apply(grid)) & (fitted.apply(grid) < p1)).all()
        assert all((np.diff(p) >= 0).all() for p in (p0, p1, fitted.apply(grid)))
        widths.append((p1 - p0).mean())
    assert widths[1] < widths[0] / 4


def test_one_of_the_two_probabilities_is_perfectly_calibrated(scores_of):
    """E[y − p_y] = 0 over draws of n + 1 exchangeable pictures (Vovk & Petej 2014), here with n = 20 and
    scores that are as wrong as can be, and the mean of p is close to the frequency."""
    rng = np.random.default_rng(3)
    excess, merged = [], []
    for _ in range(4000):
        z = rng.normal(size=21)
        labels = (rng.random(21) < 0.2 + 0.6 * (z > 0.4)).astype(int)
        if not 0 < labels[:20].sum() < 20:
            continue
        try:
            fitted = fit_venn_abers(scores_of(z[:20], labels[:20]))
        except DataError:
            continue
        p0, p1 = fitted.interval(z[20])
        excess.append(labels[20] - (p1 if labels[20] else p0))
        merged.append(labels[20] - fitted.apply(z[20]))
    error = np.std(excess) / np.sqrt(len(excess))
    assert abs(np.mean(excess)) < 3 * error
    assert abs(np.mean(merged)) < 0.03


def test_a_certain_answer_is_never_given(scores_of):
    z = np.linspace(-3, 3, 100)
    probs = fit_venn_abers(scores_of(z, z > 0)).apply([-99.0, -3.0, 3.0, 99.0])
    assert (probs > 0).all()
    assert (probs < 1).all()


def test_five_thousand_pictures_take_no_time(scores_of):
    rng = np.random.default_rng(4)
    z = rng.normal(size=5000)
    scores = scores_of(z, rng.random(5000) < expit(2 * z))
    start = time.perf_counter()
    fitted = fit_venn_abers(scores)
    assert time.perf_counter() - start < 2.0  # 0.02 s; two fits a picture would take minutes
    assert len(fitted.knots) < 2000


@pytest.mark.parametrize(("logits", "labels"), [([], []), ([1.0], [1]), ([1.0, 2.0], [1, 1])])
def test_one_class_is_refused(scores_of, logits, labels):
    with pytest.raises(DataError, match="both classes"):
        fit_venn_abers(scores_of(logits, labels))


def test_more_knots_than_a_bundle_holds_are_refused(scores_of, monkeypatch):
    monkeypatch.setattr(venn_abers, "MAX_KNOTS", 5)
    rng = np.random.default_rng(0)
    z = rng.normal(size=500)
    with pytest.raises(DataError, match="at most 5"):
        fit_venn_abers(scores_of(z, rng.random(500) < expit(3 * z)))
