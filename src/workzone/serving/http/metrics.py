"""Counts for Prometheus, in a registry of their own, and the small application that shows them.

Knows names and labels; does not know routes. No label holds what a caller chose, so nobody can add time series. The
application has no key: it is served on a port of its own, on the loopback interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, make_asgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from workzone.engine.answers import Answer
from workzone.serving.performance import HourlySummary
from workzone.serving.service import ServiceObserver

SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)
STAGE_STATES: Mapping[str, int] = MappingProxyType({"closed": 0, "half_open": 1, "open": 2})
"""A breaker's state → value of `workzone_stage_state`."""
CLIENT_GONE = 499
"""What a request is counted as whose caller went away (nginx's number; never sent)."""


@runtime_checkable
class Queued(Protocol):
    """An answerer with a queue."""

    @property
    def depth(self) -> int:
        """Pictures that wait."""


@runtime_checkable
class Staged(Protocol):
    """An answerer with stages behind circuit breakers."""

    def stage_states(self) -> Mapping[str, str]:
        """Stage → "closed", "half_open" or "open"."""


class Metrics(ServiceObserver):
    """Counts what the service does.

    Attributes:
        registry: What `/metrics` shows.
    """

    def __init__(self, summary: HourlySummary | None = None, *, v1: bool = True) -> None:
        """Begin at zero.

        Args:
            summary: Gets the same counts, for the log.
            v1: Whether requests to /v1 are shown; not where there is no such route.
        """
        self.registry = _Registry()
        self._summary = summary
        self._requests = Counter(
            "workzone_requests",
            "Requests to /v1 by HTTP status.",
            ["code"],
            registry=self.registry if v1 else None,
        )
        self._answers = Counter(
            "workzone_answers", "Answered pictures.", ["verdict", "cached"], registry=self.registry
        )
        self._seconds = Histogram(
            "workzone_answer_seconds",
            "From being asked to being on record.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self._journal_errors = Counter(
            "workzone_journal_errors", "Requests that could not be put on record.", registry=self.registry
        )
        self._bundle = Gauge(
            "workzone_bundle_info", "The bundle that answers.", ["digest"], registry=self.registry
        )
        ProcessCollector(registry=self.registry)

    def watch(self, ready: Callable[[], bool], answerer: Callable[[], object]) -> None:
        """Show, at each look, whether the service is ready and how its answerer is."""
        self.registry.register(_Live(ready, answerer))

    def answered(self, answer: Answer, seconds: float) -> None:
        """Count an answer."""
        self._answers.labels(str(answer.verdict), str(answer.cached).lower()).inc()
        self._seconds.observe(seconds)
        if self._summary is not None:
            self._summary.count(str(answer.verdict), 1000 * seconds, cached=answer.cached)

    def journal_failed(self) -> None:
        """Count a request that could not be put on record."""
        self._journal_errors.inc()

    def serving(self, bundle: str) -> None:
        """Name the bundle that answers from now on."""
        self._bundle.clear()
        self._bundle.labels(bundle).set(1)

    def requested(self, status: int, seconds: float) -> None:
        """Count a request by its status."""
        self._requests.labels(str(status)).inc()
        if status >= 400 and self._summary is not None:
            self._summary.count(str(status), 1000 * seconds)


class _Registry(CollectorRegistry):
    """Leaves out the time at which each series began: it doubles the series, and the library's switch is global."""

    def collect(self) -> Iterator[Metric]:
        for metric in super().collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class _Live(Collector):
    def __init__(self, ready: Callable[[], bool], answerer: Callable[[], object]) -> None:
        self._ready = ready
        self._answerer = answerer

    def collect(self) -> Iterator[GaugeMetricFamily]:
        answerer = self._answerer()
        yield GaugeMetricFamily(
            "workzone_ready", "Whether requests should be sent here.", value=float(self._ready())
        )
        depth = answerer.depth if isinstance(answerer, Queued) else 0
        yield GaugeMetricFamily("workzone_queue_depth", "Pictures that wait.", value=float(depth))
        stages = GaugeMetricFamily(
            "workzone_stage_state", "Breaker: 0 closed, 1 half open, 2 open.", labels=["stage"]
        )
        states = answerer.stage_states() if isinstance(answerer, Staged) else {}
        for stage, state in states.items():
            stages.add_metric([stage], float(STAGE_STATES[state]))
        yield stages


def metrics_app(metrics: Metrics) -> Any:
    """Return the ASGI application that shows the counts at every path."""
    return make_asgi_app(registry=metrics.registry)
