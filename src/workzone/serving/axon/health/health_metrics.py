"""The miner's health for Prometheus, read at each look from `MinerHealth`.

Knows names and labels. No label holds what a caller chose: concerns and reasons are enumerated, so nobody can add time
series. What is not known (no table yet, no challenge yet) has no series, rather than a number that means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from workzone.serving.axon.health.concerns import Concern
from workzone.serving.axon.health.health import MinerHealth


class HealthCollector(Collector):
    """Shows `health`; give it to the registry behind `/metrics`."""

    def __init__(self, health: MinerHealth) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """Give the families of this moment."""
        yield self._concerns()
        yield from self._counts()
        for name, text, value in self._numbers():
            if value is not None:
                yield GaugeMetricFamily(f"workzone_miner_{name}", text, value=value)

    def _concerns(self) -> Metric:
        family = GaugeMetricFamily(
            "workzone_miner_concern", "Whether this concern is there (1) or not (0).", labels=["concern"]
        )
        current = self._health.concerns.current
        for kind in Concern:
            family.add_metric([str(kind)], float(kind in current))
        return family

    def _counts(self) -> Iterator[Metric]:
        challenges = CounterMetricFamily(
            "workzone_miner_challenges",
            "Challenges: answered, late, with an unreadable picture, or left by the caller.",
            labels=["outcome"],
        )
        for outcome, count in self._health.challenges.items():
            challenges.add_metric([outcome], count)
        yield challenges
        yield CounterMetricFamily(
            "workzone_miner_failures",
            "Answers that raised or were no probability.",
            value=self._health.failures,
        )
        refused = CounterMetricFamily("workzone_miner_refused", "Requests refused.", labels=["reason"])
        for reason, count in self._health.refusals.items():
            refused.add_metric([reason], count)
        yield refused

    def _numbers(self) -> Iterator[tuple[str, str, float | None]]:
        health = self._health
        state, age, model = health.watch.state, health.neurons_age, health.model_age
        yield (
            "chain_failures",
            "Tries of the chain that failed since the last good one.",
            health.watch.failures,
        )
        yield (
            "neurons_age_seconds",
            "Age of the table of neurons.",
            None if age is None else age.total_seconds(),
        )
        yield "last_challenge_seconds", "Since the last verified challenge.", health.last_challenge_s
        yield (
            "model_age_days",
            "Since the model's submission.",
            None if model is None else model / timedelta(days=1),
        )
        if state is None:
            return
        yield "registered", "Whether our hotkey is on the subnet.", float(state.own_uid is not None)
        yield "block", "Block of the table of neurons.", state.neurons.block
        yield "neurons", "Neurons in the table.", len(state.neurons.by_hotkey)
        yield "burnt_share", "Share of the miners' incentive that is burnt.", state.burnt_share
        yield "clock_lag_seconds", "Our clock less the newest block's.", state.lag_s
