"""The rows of the simulated promise, and the Markdown tables of docs/guarantee.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class PacRow:
    """How often a certificate "with confidence 1 - delta" was wrong."""

    policy: str
    population: str
    limits: str
    counting: str
    way: str
    groups: int
    delta: float
    redraws: int
    certified: float
    """Share of draws with a certificate."""
    wrong: float
    """Share of draws with a certificate for a rule whose true risk is above a limit."""
    allowed: float
    """delta + 2 standard errors."""
    reach: float
    """Largest true risk that the walk could reach, over its limit: up to 1 nothing can go wrong."""
    coverage: float | None
    """Mean true coverage of the certified rules; None without any."""
    expected: str

    @property
    def as_expected(self) -> bool:
        """Whether the row came out as theory says."""
        return (self.wrong > self.allowed) == (self.expected == "fails")


@dataclass(frozen=True, slots=True)
class AverageRow:
    """What the mean of the true risks was."""

    policy: str
    population: str
    risk: str
    alpha: float
    groups: int
    redraws: int
    mean_risk: float
    standard_error: float
    wrong: float
    """Share of draws whose true risk is above alpha: not promised to be small."""
    coverage: float
    expected: str = "holds"
    """Or "fails"; of a naive way that is valid "harmless"."""

    @property
    def as_expected(self) -> bool:
        """Whether the mean is above alpha by more than two standard errors just where theory says so."""
        return (self.mean_risk > self.alpha + 2 * self.standard_error) == (self.expected == "fails")


@dataclass(frozen=True, slots=True)
class PrintedRow:
    """How often a bound that is printed beside a promise is below the true rate; shares of certified draws.

    None of them where nothing was certified.
    """

    policy: str
    population: str
    limits: str
    groups: int
    delta: float
    redraws: int
    certified: float
    """Share of draws with a certificate."""
    above_limit: float | None
    """Share of the certified draws whose true risk is above the limit."""
    above_bound: float | None
    """Share of the certified draws whose true risk is above the printed bound of the rule in use."""
    alarms_above_bound: float | None
    """Share of the certified draws whose true false-alarm rate is above its printed bound."""
    allowed: float
    """delta + 2 standard errors of the certified draws: what bounds would keep that nothing was chosen by."""

    @property
    def as_expected(self) -> bool:
        """Nothing is promised of them."""
        return True


def allowed_share(delta: float, redraws: int) -> float:
    """Return delta plus two standard errors of a share of so many draws."""
    return float(delta + 2.0 * np.sqrt(delta * (1.0 - delta) / redraws))


_PAC = (
    ("policy", "policy"),
    ("population", "population"),
    ("limits", "limits"),
    ("counting", "counting"),
    ("groups", "groups"),
    ("δ", "delta"),
    ("certified", "certified"),
    ("coverage", "coverage"),
    ("reach", "reach"),
    ("**wrong**", "wrong"),
    ("allowed", "allowed"),
)
_AVERAGE = (
    ("policy", "policy"),
    ("population", "population"),
    ("risk", "risk"),
    ("groups", "groups"),
    ("α", "alpha"),
    ("**mean risk**", "mean_risk"),
    ("± 1 s.e.", "standard_error"),
    ("share of draws above α", "wrong"),
    ("coverage", "coverage"),
)
_NAIVE = (
    ("way", "way"),
    ("population", "population"),
    ("limits", "limits"),
    ("groups", "groups"),
    ("δ", "delta"),
    ("coverage", "coverage"),
    ("**wrong**", "wrong"),
    ("allowed", "allowed"),
    ("theory says", "expected"),
)
_PRINTED = (
    ("policy", "policy"),
    ("population", "population"),
    ("limits", "limits"),
    ("δ", "delta"),
    ("certified", "certified"),
    ("risk above its limit", "above_limit"),
    ("**risk above its printed bound**", "above_bound"),
    ("**false alarms above their printed bound**", "alarms_above_bound"),
    ("δ + 2 s.e.", "allowed"),
)
_TIGHTNESS = (
    ("scores", "source"),
    ("promise", "promise"),
    ("by", "contender"),
    ("certified", "certified"),
    ("**coverage**", "coverage"),
    ("ours is ahead by", "ahead"),
    ("± 1 s.e.", "standard_error"),
)
TABLES: Mapping[str, Sequence[tuple[str, str]]] = MappingProxyType(
    {
        "pac": _PAC,
        "average": _AVERAGE,
        "naive": _NAIVE,
        "naive_average": (*_AVERAGE, ("theory says", "expected")),
        "printed": _PRINTED,
        "tightness": _TIGHTNESS,
    }
)
"""Name of a table → (heading, key of a row)."""


def markdown(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of one of `TABLES` as a Markdown table."""
    columns = TABLES[name]
    lines = ["| " + " | ".join(heading for heading, _ in columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_text(key, row[key]) for _, key in columns) + " |" for row in rows]
    return "\n".join(lines)


def _text(key: str, value: object) -> str:
    if value is None:
        return "–"
    if key == "reach" and isinstance(value, float) and value <= 1.0:
        return f"{value:.2f}: nothing to exceed"
    if isinstance(value, float):
        digits = {
            "delta": "g",
            "alpha": "g",
            "mean_risk": ".4f",
            "standard_error": ".4f",
            "reach": ".2f",
            "ahead": "+.4f",
        }
        return format(value, digits.get(key, ".3f"))
    return str(value)
