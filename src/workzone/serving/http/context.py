"""What every route needs: the service, who may ask, and what a request may cost."""

from __future__ import annotations

from dataclasses import dataclass

from workzone.serving.bundle_root import BundleRoot
from workzone.serving.http.metrics import Metrics
from workzone.serving.key_ring import KeyRing
from workzone.serving.limits import Admission, Limits, RateLimiter
from workzone.serving.service import Service


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of one running service.

    Attributes:
        service: Answers.
        keys: Who may ask; None: whoever reaches the loopback interface may predict.
        limits: What a request may cost.
        limiter: Counts pictures of each key.
        admission: Counts requests and bytes inside.
        metrics: Counts for Prometheus.
        bundles: What may be exchanged to; None: nothing.
    """

    service: Service
    keys: KeyRing | None
    limits: Limits
    limiter: RateLimiter
    admission: Admission
    metrics: Metrics
    bundles: BundleRoot | None = None


def make_context(
    service: Service,
    keys: KeyRing | None,
    metrics: Metrics,
    *,
    limits: Limits | None = None,
    limiter: RateLimiter | None = None,
    bundles: BundleRoot | None = None,
) -> Context:
    """Return a context whose counters are new."""
    limits = limits or Limits()
    limiter = limiter or RateLimiter(limits.rate_per_s, limits.burst)
    return Context(service, keys, limits, limiter, Admission(limits), metrics, bundles)
