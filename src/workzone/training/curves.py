"""What is recorded of a training: one point an epoch, and which was chosen. Holds no clock: it is hashed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from workzone.storage.atomic import write_json

CURVES_NAME = "curves.json"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One epoch of a finetuning, or one penalty of a probe.

    Attributes:
        epoch: From 1.
        train_loss: Mean training loss, on augmented pictures, weighted as it was minimised.
        select_loss: Mean negative log-likelihood on `select`, in nats.
        metric: The metric on `select`; larger is better.
        learning_rate: The head's at the end of the epoch; of a probe, the inverse penalty C.
    """

    epoch: int
    train_loss: float
    select_loss: float
    metric: float
    learning_rate: float

    def better_than(self, other: CurvePoint | None) -> bool:
        """Whether the metric is higher, or equal with a lower loss: on an easy task many epochs reach 1."""
        return other is None or (self.metric, -self.select_loss) > (other.metric, -other.select_loss)


@dataclass(frozen=True, slots=True)
class Curves:
    """All points so far, in order."""

    points: tuple[CurvePoint, ...] = ()

    def extended(self, point: CurvePoint) -> Curves:
        """Return these curves with one more point."""
        return replace(self, points=(*self.points, point))

    @property
    def best(self) -> CurvePoint | None:
        """The chosen point: the first of the best."""
        chosen: CurvePoint | None = None
        for point in self.points:
            if point.better_than(chosen):
                chosen = point
        return chosen

    @property
    def epochs_since_best(self) -> int:
        """How many points follow the chosen one."""
        return self.points[-1].epoch - self.best.epoch if self.best is not None else 0

    def to_rows(self) -> list[dict[str, Any]]:
        """Return plain values, one mapping a point."""
        return [asdict(point) for point in self.points]

    @classmethod
    def from_rows(cls, rows: list[dict[str, Any]]) -> Self:
        """Read what `to_rows` returned."""
        return cls(tuple(CurvePoint(**row) for row in rows))


def write_curves(directory: Path, curves: Curves, method: str, metric: str) -> None:
    """Write `curves.json`."""
    assert curves.best is not None
    value = {"method": method, "metric": metric, "best_epoch": curves.best.epoch, "points": curves.to_rows()}
    write_json(directory / CURVES_NAME, value)
