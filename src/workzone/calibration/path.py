"""An ordered family of rules, and what each of them does to the calibration pictures, in one pass.

Whatever the policy, its candidates are walked along one number (a threshold, a score), and along it a
picture's verdict changes at most once: from "deferred" to "none" as the lower threshold passes it, from
"deferred" to its first answer as the gate opens. So the counts of all J rules are a cumulative sum over the
place where each picture changes, not J passes over N pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workzone.calibration.groups import Grouped
from workzone.policy.risks import RiskDefinition

F64 = NDArray[np.float64]
Codes = NDArray[np.int8]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """J rules on N pictures.

    Attributes:
        parameter: What is walked along, such as "t_lo".
        values: float64 [J], strictly rising or falling.
        before: int8 [N], verdict codes of the pictures under the rules that have not reached them.
        after: int8 [N], under those that have.
        switch: intp [N], the first rule that has reached the picture; J where none has.
    """

    parameter: str
    values: F64
    before: Codes
    after: Codes
    switch: Rows

    def __len__(self) -> int:
        return len(self.values)

    def codes(self, index: int) -> Codes:
        """Return the verdict codes [N] under one rule."""
        return np.where(self.switch <= index, self.after, self.before).astype(np.int8)


def rising_path(parameter: str, values: F64, logits: F64, before: Codes, after: Codes) -> Path:
    """Return the path on which a picture changes once the value is above its logit."""
    return Path(parameter, values, before, after, np.searchsorted(values, logits, side="right"))


def falling_path(parameter: str, values: F64, scores: F64, before: Codes, after: Codes) -> Path:
    """Return the path, of falling values, on which a picture changes once the value is not above its score."""
    return Path(parameter, values, before, after, np.searchsorted(-values, -scores, side="left"))


def picture_counts(path: Path, grouped: Grouped, definition: RiskDefinition, rows: Rows) -> tuple[Rows, Rows]:
    """Return how many of the rows count, and how many are events, under each rule: intp [J] twice."""
    labels, switch = grouped.labels[rows], path.switch[rows]
    before, after = path.before[rows], path.after[rows]
    counted = _along(path, switch, definition.counts(before), definition.counts(after))
    events = _along(path, switch, definition.events(labels, before), definition.events(labels, after))
    return counted, events


def group_counts(codes: Codes, grouped: Grouped, definition: RiskDefinition) -> tuple[Rows, Rows, Rows]:
    """Return pictures of the population, those that count, and events, of each group: intp [n_groups] thrice."""
    rows = grouped.rows(definition.population)
    groups, said = grouped.groups[rows], codes[rows]
    n = grouped.n_groups
    return (
        np.bincount(groups, minlength=n),
        np.bincount(groups[definition.counts(said)], minlength=n),
        np.bincount(groups[definition.events(grouped.labels[rows], said)], minlength=n),
    )


def _along(path: Path, switch: Rows, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Rows:
    j = len(path)
    gained = np.bincount(switch[after], minlength=j + 1)[:j]
    lost = np.bincount(switch[before], minlength=j + 1)[:j]
    total: Rows = int(before.sum()) + np.cumsum(gained - lost)
    return total
