"""What the best epoch is chosen by, on `select`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from workzone.core.lazy import resolve
from workzone.metrics.classification import auroc, best_mcc_threshold


class MetricName(StrEnum):
    """The metrics that can choose."""

    MCC = "mcc"
    """At its best threshold on `select`: the share of luck in it is the same for every epoch."""
    AUROC = "auroc"
    NLL = "nll"


METRICS: Mapping[str, str] = MappingProxyType(
    {
        MetricName.MCC: "workzone.training.selection:mcc",
        MetricName.AUROC: "workzone.training.selection:area",
        MetricName.NLL: "workzone.training.selection:negative_nll",
    }
)
"""Metric → function (labels [N], logits [N]) -> float, larger is better."""


def mcc(labels: NDArray[np.int8], logits: NDArray[np.float64]) -> float:
    """Return the MCC at the threshold where it is highest."""
    return best_mcc_threshold(labels, logits)[1]


def area(labels: NDArray[np.int8], logits: NDArray[np.float64]) -> float:
    """Return the AUROC; 0.5 with one class only."""
    value = auroc(labels, logits)
    return 0.5 if math.isnan(value) else value


def mean_nll(labels: NDArray[np.int8], logits: NDArray[np.float64]) -> float:
    """Return the mean negative log-likelihood in nats, from logits: finite where probabilities round to 1."""
    return float(np.mean(np.logaddexp(0.0, np.where(labels == 1, -logits, logits))))


def negative_nll(labels: NDArray[np.int8], logits: NDArray[np.float64]) -> float:
    """Return minus the mean negative log-likelihood."""
    return -mean_nll(labels, logits)


def measure(name: MetricName, labels: NDArray[np.int8], logits: NDArray[np.float64]) -> float:
    """Return the named metric, larger is better."""
    return float(resolve(METRICS[name])(labels, logits))
