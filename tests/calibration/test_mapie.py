"""The same certificate by MAPIE's Learn-then-Test controller, as an independent answer."""

import numpy as np
import pytest
from scipy.special import expit

from workzone.calibration.threshold import certify_lower_threshold


@pytest.mark.parametrize(
    ("seed", "alpha", "delta"), [(0, 0.05, 0.05), (1, 0.02, 0.1), (2, 0.1, 0.01), (3, 0.05, 0.2)]
)
def test_mapie_certifies_the_same_threshold(scores_of, seed, alpha, delta):
    from mapie.risk_control import BinaryClassificationController, BinaryRisk

    rng = np.random.default_rng(seed)
    t_hi, grid = 1.0, np.linspace(-6.0, 1.0, 80)
    labels = (rng.random(1500) < 0.5).astype(int)
    logits = rng.normal(3.0 * labels - 0.5, 1.3)

    # In fixed sequence MAPIE knows one threshold and no abstention: a positive above t_hi, answered whatever
    # the lower threshold, is told to it as a label of its own.
    above, below = 2, 1
    told = np.where((labels == 1) & (logits >= t_hi), above, labels)
    selective_miss = BinaryRisk(
        risk_occurrence=lambda y_true, y_pred: (y_true == below) & (y_pred == 0),
        risk_condition=lambda y_true, y_pred: (y_true == above) | ((y_true == below) & (y_pred == 0)),
        higher_is_better=False,
    )
    theirs = BinaryClassificationController(
        lambda x: np.stack([1 - expit(x), expit(x)], axis=1),
        selective_miss,
        target_level=alpha,
        confidence_level=1 - delta,
        list_predict_params=expit(grid),
        fwer_method="fixed_sequence",
        best_predict_param_choice=selective_miss,
    ).calibrate(logits, told)
    ours = certify_lower_threshold(
        scores_of(logits, labels),
        split_sha256="s",
        dataset_sha256="d",
        t_hi=t_hi,
        grid=grid,
        alpha=alpha,
        delta=delta,
        beta=0.05,
    )
    valid = np.asarray(theirs.valid_predict_params, dtype=float)
    assert 0 < len(valid) < len(grid)
    assert expit(ours.t_lo) == pytest.approx(valid.max(), rel=1e-12)
    index = ours.certificate.certified_index
    assert index == len(valid) - 1
    assert float(np.ravel(theirs.p_values)[index]) == pytest.approx(ours.certificate.p_value, rel=1e-6)
