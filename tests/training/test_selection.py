"""What chooses an epoch, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, matthews_corrcoef, roc_auc_score

from workzone.training.curves import CurvePoint, Curves
from workzone.training.selection import MetricName, measure

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 200).astype(np.int8)
LOGITS = RNG.normal(size=200) + LABELS


def test_metrics_are_those_of_scikit_learn() -> None:
    best = max(matthews_corrcoef(LABELS, t <= LOGITS) for t in LOGITS)
    assert measure(MetricName.MCC, LABELS, LOGITS) == pytest.approx(best)
    assert measure(MetricName.AUROC, LABELS, LOGITS) == pytest.approx(roc_auc_score(LABELS, LOGITS))
    probs = 1 / (1 + np.exp(-LOGITS))
    assert measure(MetricName.NLL, LABELS, LOGITS) == pytest.approx(-log_loss(LABELS, probs))


def test_sure_and_right_is_no_overflow() -> None:
    assert measure(MetricName.NLL, np.array([1, 0], np.int8), np.array([2000.0, -2000.0])) == 0.0
    assert measure(MetricName.NLL, np.array([0], np.int8), np.array([2000.0])) == -2000.0


def test_the_best_epoch_is_the_first_of_the_best_and_losses_break_ties() -> None:
    values = [(0.5, 0.4), (0.9, 0.3), (0.9, 0.2), (0.9, 0.2), (0.7, 0.1)]
    curves = Curves()
    for epoch, (metric, loss) in enumerate(values, 1):
        curves = curves.extended(CurvePoint(epoch, 0.0, loss, metric, 0.1))
    assert curves.best is not None
    assert curves.best.epoch == 3
    assert curves.epochs_since_best == 2
    assert Curves.from_rows(curves.to_rows()) == curves
