"""What a certificate prints beside its promise, tried as well: the bounds of the rule in use and of its alarms.

Each printed bound is that of one rule looked at alone (Clopper–Pearson at confidence 1 - delta). The rule was
chosen on the same pictures, so nothing promises that such a bound holds in 1 - delta of the draws; what is
promised is the limit. Knows one picture per group only.
"""

from __future__ import annotations

import numpy as np

from benchmarks.promise_cells import Cell
from benchmarks.promise_tables import PrintedRow, allowed_share
from benchmarks.trials import Trial
from workzone.calibration.groups import Grouped
from workzone.calibration.path import Path
from workzone.policy.binomial import clopper_pearson_upper
from workzone.policy.risks import RISKS, Risk


def simulate_printed(cell: Cell, redraws: int) -> PrintedRow:
    """Certify on so many draws; count, among those with a certificate, the bounds below the true rate."""
    trial = Trial.of(cell)
    (limit,) = trial.limits
    true, alarms = trial.family.risks(limit.risk), trial.family.risks(Risk.FALSE_ALARM_RATE)
    above = []
    for sample, index in trial.draws(redraws):
        if index is None:
            continue
        path = trial.family.path_of(sample)
        above.append(
            (
                true[index] > limit.alpha,
                true[index] > printed_bound(path, sample.grouped, index, limit.risk, cell.delta),
                alarms[index] > printed_bound(path, sample.grouped, index, Risk.FALSE_ALARM_RATE, cell.delta),
            )
        )
    shares = np.mean(above, axis=0).tolist() if above else (None, None, None)
    return PrintedRow(
        policy=trial.policy,
        population=cell.population.words,
        limits=trial.promise,
        groups=cell.groups,
        delta=cell.delta,
        redraws=redraws,
        certified=len(above) / redraws,
        above_limit=shares[0],
        above_bound=shares[1],
        alarms_above_bound=shares[2],
        allowed=allowed_share(cell.delta, max(1, len(above))),
    )


def printed_bound(path: Path, grouped: Grouped, index: int, risk: Risk, delta: float) -> float:
    """Return the bound that a certificate of one picture per group prints for a rule."""
    definition, codes = RISKS[risk], path.codes(index)
    rows = grouped.chosen[definition.population]
    counted = int(definition.counts(codes[rows]).sum())
    events = int(definition.events(grouped.labels[rows], codes[rows]).sum())
    return clopper_pearson_upper(events, counted, delta)
