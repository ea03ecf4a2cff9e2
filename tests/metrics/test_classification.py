"""Classification measures against scikit-learn and against brute force, ties and one-class data included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from workzone.core.errors import DataError
from workzone.metrics.classification import (
    Confusion,
    auprc,
    auroc,
    best_mcc_threshold,
    confusion,
    mcc_from_counts,
    precision_recall_curve,
    roc_curve,
)


@st.composite
def labelled_scores(draw, both_classes: bool = True):
    """Up to 60 labels with scores from a few levels, so that ties are common."""
    labels = draw(st.lists(st.integers(0, 1), min_size=2, max_size=60))
    if both_classes:
        labels[:2] = [0, 1]
    levels = draw(st.integers(1, 30))
    scores = draw(st.lists(st.integers(0, levels), min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.array(scores) / 7 - 1.5


def brute_best_mcc(labels: np.ndarray, scores: np.ndarray) -> float:
    return max(confusion(labels, scores >= t).mcc for t in [*np.unique(scores), np.inf])


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 400)] * 4))
def test_confusion_measures_equal_scikit_learns(counts: tuple[int, int, int, int]) -> None:
    tp, fp, tn, fn = counts
    table = Confusion(tp, fp, tn, fn)
    y = np.repeat([1, 0, 0, 1], counts)
    called = np.repeat([1, 1, 0, 0], counts)
    if len(y) == 0:
        assert math.isnan(table.accuracy)
        assert table.mcc == 0
        return
    assert confusion(y, called) == table
    assert table.mcc == pytest.approx(sk.matthews_corrcoef(y, called), abs=1e-12)
    assert table.accuracy == pytest.approx(sk.accuracy_score(y, called))
    theirs = {
        "precision": sk.precision_score(y, called, zero_division=np.nan),
        "recall": sk.recall_score(y, called, zero_division=np.nan),
        "specificity": sk.recall_score(y, called, pos_label=0, zero_division=np.nan),
        "f1": sk.f1_score(y, called, zero_division=np.nan),
    }
    for name, value in theirs.items():
        assert getattr(table, name) == pytest.approx(value, nan_ok=True), name


def test_mcc_check_values() -> None:
    assert Confusion(tp=90, fp=10, fn=5, tn=95).mcc == pytest.approx(0.851064, abs=5e-7)
    assert Confusion(tp=50, fp=0, fn=0, tn=50).mcc == 1
    assert Confusion(tp=0, fp=50, fn=50, tn=0).mcc == -1
    assert Confusion(tp=50, fp=50, fn=0, tn=0).mcc == 0
    rng = np.random.default_rng(0)
    y, called = rng.integers(0, 2, 200), rng.integers(0, 2, 200)
    assert confusion(y, called).mcc == pytest.approx(np.corrcoef(y, called)[0, 1])


def test_mcc_of_enormous_counts_and_of_arrays() -> None:
    big = 10**9
    assert Confusion(big, big // 10, big, big // 10).mcc == pytest.approx(1 - 2 / 11)
    many = mcc_from_counts(np.array([90, 0]), np.array([10, 0]), np.array([95, 3]), np.array([5, 2]))
    assert many == pytest.approx([0.851064, 0], abs=1e-6)


@settings(deadline=None)
@given(labelled_scores())
def test_ranking_measures_and_curves_equal_scikit_learns(data) -> None:
    labels, scores = data
    assert auroc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores))
    assert auprc(labels, scores) == pytest.approx(sk.average_precision_score(labels, scores))
    fpr, tpr, thresholds = sk.roc_curve(labels, scores, drop_intermediate=False)
    ours = roc_curve(labels, scores)
    np.testing.assert_allclose(ours.false_positive_rate, fpr)
    np.testing.assert_allclose(ours.true_positive_rate, tpr)
    np.testing.assert_array_equal(ours.thresholds, thresholds)
    precision, recall, cuts = sk.precision_recall_curve(labels, scores)
    curve = precision_recall_curve(labels, scores)
    np.testing.assert_allclose(curve.precision[::-1], precision[:-1])
    np.testing.assert_allclose(curve.recall[::-1], recall[:-1])
    np.testing.assert_array_equal(curve.thresholds[::-1], cuts)


@settings(deadline=None)
@given(labelled_scores(both_classes=False))
def test_best_mcc_threshold_is_the_best_and_gives_what_it_says(data) -> None:
    labels, scores = data
    threshold, mcc = best_mcc_threshold(labels, scores)
    assert confusion(labels, scores >= threshold).mcc == pytest.approx(mcc, abs=1e-12)
    assert mcc == pytest.approx(brute_best_mcc(labels, scores), abs=1e-12)


def test_best_mcc_threshold_lies_mid_way() -> None:
    threshold, mcc = best_mcc_threshold([0, 0, 1, 1], [-3.0, 1.0, 2.0, 9.0])
    assert (threshold, mcc) == (1.5, 1.0)
    assert best_mcc_threshold([1, 1, 0, 0], [-3.0, 1.0, 2.0, 9.0]) == (-3.0, 0.0)


def test_best_mcc_threshold_between_neighbouring_floats() -> None:
    low = 1.0
    high = np.nextafter(low, 2)
    threshold, mcc = best_mcc_threshold([0, 1], [low, high])
    assert mcc == 1
    assert low < threshold <= high


def test_undefined_measures_are_nan() -> None:
    assert math.isnan(auroc([1, 1], [0.1, 0.2]))
    assert math.isnan(auroc([0, 0], [0.1, 0.2]))
    assert math.isnan(auprc([0, 0], [0.1, 0.2]))
    assert auprc([1, 1], [0.1, 0.2]) == 1
    assert np.isnan(roc_curve([0, 0], [0.1, 0.2]).true_positive_rate).all()


@pytest.mark.parametrize(
    ("labels", "scores", "says"),
    [
        ([0, 1, -1], [0.0, 1.0, 2.0], "only 0 and 1"),
        ([0, 1], [0.0, 1.0, 2.0], "2 labels"),
        ([0, 1], [0.0, np.nan], "not finite"),
        ([0, 1], [0.0, np.inf], "not finite"),
        ([], [], "at least one"),
        ([[0, 1]], [[0.0, 1.0]], "one row"),
    ],
)
def test_wrong_input_is_refused(labels, scores, says) -> None:
    for measure in (auroc, auprc, best_mcc_threshold, roc_curve, precision_recall_curve):
        with pytest.raises(DataError, match=says):
            measure(labels, scores)
