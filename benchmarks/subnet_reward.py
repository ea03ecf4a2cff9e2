"""The subnet's reward: all steps of a sequence at once, against a pass over the windows at each step.

The baselines keep the last 100 answers and compute, at every step, the correlation of those and the accuracy of the
last 10, as validators do: one with scikit-learn's measures, one with NumPy's correlation. That is what a simulation of
validators costs if it is written down literally.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import REPEATS, Result, compare
from workzone.core.lazy import require
from workzone.subnet.reward import step_rewards

F64 = NDArray[np.float64]
Measure = Callable[[F64, F64], float]

STEPS = 500


def run(repeats: int = REPEATS) -> list[Result]:
    """Compare on one sequence; the literal passes leave out the measures that no reward depends on."""
    predictions, labels = _drawn(STEPS)
    ours = step_rewards(predictions, labels)
    results = []
    for name, measures in {"scikit-learn": _by_sklearn, "NumPy": _by_numpy}.items():
        literal = partial(_step_by_step, predictions, labels, *measures())
        assert np.allclose(ours, literal(), atol=1e-12)
        results += compare(
            f"reward of {STEPS} steps",
            (f"a pass of {name} at each step", literal),
            {"cumulative counts": lambda: step_rewards(predictions, labels)},
            repeats=repeats,
            items=STEPS,
            note="the same rewards to 12 digits; times are of a step",
        )
    return results


def _drawn(n: int) -> tuple[F64, NDArray[np.int64]]:
    rng = np.random.default_rng(7)
    labels = rng.integers(2, size=n)
    predictions = np.clip(labels + rng.normal(0, 0.35, n), 0, 1)
    predictions[rng.random(n) < 0.02] = -1.0
    return predictions, labels


def _by_sklearn() -> tuple[Measure, Measure]:
    measures = require("sklearn.metrics", "train")
    return measures.matthews_corrcoef, measures.accuracy_score


def _by_numpy() -> tuple[Measure, Measure]:
    def correlation(truth: F64, decided: F64) -> float:
        return float(np.corrcoef(truth, decided)[0, 1])

    def accuracy(truth: F64, decided: F64) -> float:
        return float((truth == decided).mean())

    return correlation, accuracy


def _step_by_step(
    predictions: F64, labels: NDArray[np.int64], correlation: Measure, accuracy: Measure
) -> F64:
    past: deque[tuple[float, int]] = deque(maxlen=100)
    rewards = np.zeros(len(predictions))
    for step, (p, y) in enumerate(zip(predictions.tolist(), labels.tolist(), strict=True)):
        past.append((p, y))
        window = np.array([one for one in past if one[0] != -1])
        short = np.array([one for one in list(past)[-10:] if one[0] != -1])
        if p == -1:
            continue
        truth, decided = window[:, 1], np.round(window[:, 0])
        two = len(np.unique(truth)) > 1 and len(np.unique(decided)) > 1
        mcc = max(0.0, correlation(truth, decided)) if two else 0.0
        rewards[step] = (0.5 * mcc + 0.5 * accuracy(short[:, 1], np.round(short[:, 0]))) ** 3
    return rewards
