"""What the simulation of the promise goes through: a table, not a full cross product.

Every policy with every risk, either way of counting, every score shape, every group size and correlation occurs
at least once; the naive ways stand where theory says that they fail, and where it says that they are harmless.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.populations import Scored, TwoFeatures
from benchmarks.unequal_groups import UnequalGroups
from workzone.policy.risks import Risk
from workzone.policy.settings import ConformalMethod, Counting, Prices

ONE, ALL = Counting.ONE_PER_GROUP, Counting.ALL_FRAMES
FNR, MISSES, OMISSION = Risk.SELECTIVE_FNR, Risk.COMMITTED_MISS_RATE, Risk.FALSE_OMISSION_RATE
ALARMS, DISCOVERY = Risk.FALSE_ALARM_RATE, Risk.FALSE_DISCOVERY_RATE

Limits = tuple[tuple[Risk, float | None], ...]
"""Risk and its limit; None: just below the smallest true risk of all rules, where any certificate is wrong."""

SINGLE = Scored()
SEQUENCES = Scored(frames=4, correlation=0.5)
UNEQUAL, LOOSE = UnequalGroups(0.5), UnequalGroups(0.0)
DEAR_MISSES = Prices(miss=10.0, false_alarm=10.0, next_stage=1.0)
"""The cheapest rule lies well inside what a limit of 5 % allows."""
CHEAP_MISSES = Prices(miss=4.0, false_alarm=10.0, next_stage=1.0)
"""Here it is about what the limit allows."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One `pac` promise on one population."""

    policy: str
    """"threshold", "gate", "scrc", or "upper": only the upper threshold, certified for precision."""
    population: Scored | TwoFeatures | UnequalGroups
    limits: Limits
    counting: Counting = ONE
    groups: int = 600
    delta: float = 0.05
    way: str = "walk"
    """"walk", "last below", or, with every picture its own group, a name for that."""
    expected: str = "holds"
    """Or "fails"; of a naive way that is valid "harmless"."""
    prices: Prices | None = None
    """With them, the cheapest certified rule on the calibration draw is used (threshold only)."""


@dataclass(frozen=True, slots=True)
class AverageCell:
    """One `average` promise on one population."""

    method: ConformalMethod
    population: Scored | UnequalGroups
    alpha: float
    groups: int = 600
    alarms: float | None = None
    """Limit of the false-alarm rate of `crc`, which then has two; `sets` takes `alpha` for both."""
    pictures_alike: bool = False
    """A naive way: every picture weighs the same, whatever its group."""


@dataclass(frozen=True, slots=True)
class TwoFreeCell:
    """Both thresholds free on the calibration draw."""

    alarms: float
    """Limit of the false-alarm rate; 1 asks for nothing."""
    user: str
    """"widest": takes the rule that answers most. "any": may take any rule whose own bound holds."""
    expected: str
    misses: float = 0.05
    groups: int = 600
    delta: float = 0.05
    population: Scored = SINGLE


def pac_cells() -> Iterator[Cell]:
    """Yield what the project promises with confidence."""
    for counting in (ONE, ALL):
        yield Cell("threshold", SINGLE, ((FNR, 0.05),), counting)
        for frames in (4, 16):
            for correlation in (0.0, 0.5, 0.95):
                population = Scored(frames=frames, correlation=correlation)
                yield Cell("threshold", population, ((FNR, 0.05),), counting)
        for shape in ("heavy", "skewed", "ties", "three_steps"):
            yield Cell("threshold", Scored(shape, 4, 0.5), ((FNR, 0.05),), counting)
        for risk, alpha in (
            (MISSES, 0.05),
            (OMISSION, 0.05),
            (ALARMS, None),
            (ALARMS, 0.1),
            (DISCOVERY, None),
        ):
            yield Cell("threshold", SEQUENCES, ((risk, alpha),), counting)
        for risk in Risk:
            yield Cell("gate", TwoFeatures(4, 0.5), ((risk, 0.05),), counting)
        yield Cell("threshold", SEQUENCES, ((FNR, 0.05), (OMISSION, 0.06)), counting)
        yield Cell("gate", TwoFeatures(4, 0.5), ((FNR, 0.05), (DISCOVERY, 0.05)), counting)
        yield Cell("threshold", SINGLE, ((FNR, 0.02),), counting, groups=2000, delta=0.1)
    yield Cell("threshold", SEQUENCES, ((FNR, 0.05), (ALARMS, None)))
    yield Cell("threshold", Scored("three_steps"), ((OMISSION, 0.05),), groups=2000)
    yield Cell("upper", Scored("three_steps"), ((DISCOVERY, 0.057),), groups=2000)
    yield Cell("gate", TwoFeatures(16, 0.95), ((FNR, 0.05),), ALL)
    yield Cell("gate", TwoFeatures(), ((FNR, 0.05),))
    for risk, alpha in ((FNR, 0.05), (MISSES, 0.05), (OMISSION, 0.05), (ALARMS, 0.03), (DISCOVERY, 0.03)):
        yield Cell("scrc", SEQUENCES, ((risk, alpha),))
    yield Cell("scrc", Scored("skewed", 16, 0.95), ((FNR, 0.05),))
    yield Cell("scrc", SEQUENCES, ((FNR, 0.05), (ALARMS, 0.05)))
    for unequal in (UNEQUAL, LOOSE):
        for risk, alpha in ((FNR, 0.05), (OMISSION, 0.08)):
            for counting in (ONE, ALL):
                yield Cell("threshold", unequal, ((risk, alpha),), counting)
    for prices in (DEAR_MISSES, CHEAP_MISSES):
        yield Cell("threshold", SINGLE, ((FNR, 0.05),), prices=prices)
    yield Cell("threshold", SEQUENCES, ((FNR, 0.05),), ALL, prices=CHEAP_MISSES)
    yield Cell("threshold", SINGLE, ((FNR, 0.02),), groups=2000, prices=DEAR_MISSES)


def printed_cells() -> Iterator[Cell]:
    """Yield certificates whose printed bounds are tried; one picture a group, one limit."""
    for prices in (None, DEAR_MISSES, CHEAP_MISSES):
        yield Cell("threshold", SINGLE, ((FNR, 0.05),), prices=prices)
    yield Cell("threshold", SEQUENCES, ((FNR, 0.05),), prices=DEAR_MISSES)
    for risk in (FNR, MISSES, OMISSION, DISCOVERY):
        yield Cell("gate", TwoFeatures(4, 0.5), ((risk, 0.05),))
    for risk in (FNR, MISSES, OMISSION):
        yield Cell("scrc", SEQUENCES, ((risk, 0.05),))


def average_cells() -> Iterator[AverageCell]:
    """Yield what the project promises on average."""
    for population, groups in (
        (SINGLE, 600),
        (Scored("heavy"), 600),
        (Scored("ties"), 600),
        (SINGLE, 120),
        (Scored(frames=16, correlation=0.95), 600),
    ):
        yield AverageCell(ConformalMethod.SETS, population, 0.05, groups)
    for population, alpha, groups in (
        (SINGLE, 0.02, 600),
        (SINGLE, 0.05, 600),
        (Scored("skewed", 4, 0.5), 0.05, 600),
        (Scored(frames=16, correlation=0.0), 0.05, 600),
        (Scored(frames=16, correlation=0.95), 0.05, 600),
        (Scored(frames=16, correlation=0.95), 0.05, 120),
    ):
        yield AverageCell(ConformalMethod.CRC, population, alpha, groups)
    for both in (SINGLE, SEQUENCES, UNEQUAL):
        yield AverageCell(ConformalMethod.CRC, both, 0.05, alarms=0.05)
    for correlation in (0.5, 0.0):
        yield AverageCell(ConformalMethod.CRC, UnequalGroups(correlation), 0.05)


def naive_average_cells() -> Iterator[AverageCell]:
    """Yield conformal risk control with the wrong weights: harmless where groups are alike, wrong elsewhere."""
    yield AverageCell(ConformalMethod.CRC, Scored(frames=4, correlation=0.0), 0.05, pictures_alike=True)
    for population in (LOOSE, UNEQUAL):
        yield AverageCell(ConformalMethod.CRC, population, 0.05, pictures_alike=True)


def naive_cells() -> Iterator[Cell | TwoFreeCell]:
    """Yield the naive ways, each where it fails and where it does no harm."""
    for frames in (4, 16):
        for correlation in (0.0, 0.5, 0.95):
            expected = "fails" if correlation else "harmless"
            population = Scored(frames=frames, correlation=correlation)
            limits: Limits = ((FNR, 0.05),)
            yield Cell("threshold", population, limits, groups=600, way="frames as groups", expected=expected)
    steps, last = Scored("three_steps"), "last below"
    yield Cell("threshold", steps, ((OMISSION, 0.05),), groups=2000, way=last, expected="fails")
    yield Cell("upper", steps, ((DISCOVERY, 0.057),), groups=2000, way=last, expected="fails")
    yield Cell("threshold", SINGLE, ((FNR, 0.05),), way=last, expected="harmless")
    yield Cell("threshold", steps, ((FNR, 0.05),), groups=2000, way=last, expected="harmless")
    yield TwoFreeCell(alarms=1.0, user="any", expected="fails")
    yield TwoFreeCell(0.06, "widest", "fails", misses=0.04, groups=1500, delta=0.1)
    yield TwoFreeCell(alarms=1.0, user="widest", expected="harmless")
    for unequal in (LOOSE, UNEQUAL):
        for counting, test in ((ONE, "exact test"), (ALL, "betting test")):
            way = f"every picture weighs the same, {test}"
            yield Cell("threshold", unequal, ((FNR, 0.05),), counting, way=way, expected="fails")
