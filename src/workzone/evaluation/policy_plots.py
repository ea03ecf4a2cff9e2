"""The report's drawings of several policies: what each does on `test`, and what thresholds cannot have at once.

Need matplotlib (extra `report`), which is imported when they are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from workzone.evaluation.drawing import INK, QUIET, SERIES, drawing, frame, legend, to_svg
from workzone.evaluation.frontier import ParetoFrontier, ParetoPoint
from workzone.evaluation.policies import PolicyComparison, PolicyRow
from workzone.evaluation.records import Measure, find_measure

_PROMISES = (
    ("pac", "certified", SERIES[0], "o", SERIES[0]),
    ("average", "promised on average", SERIES[1], "s", SERIES[1]),
    (None, "no promise", QUIET, "o", "none"),
)
"""Promise, its name in the legend, colour, marker, and how the marker is filled."""


def policies_svg(comparison: PolicyComparison) -> str:
    """Draw each policy's coverage and selective FNR with group intervals, numbered as in the table."""
    drawn = [_Place(number, row) for number, row in enumerate(comparison.rows, 1) if _is_drawn(row)]
    highest = max([0.02, 1.5 * (comparison.fnr_limit or 0.0), *(place.highest for place in drawn)])
    with drawing(height=3.8) as figure:
        axes = figure.subplots()
        if comparison.fnr_limit is not None:
            limit = f"limit of the promise, {100 * comparison.fnr_limit:g} %"
            axes.axhline(comparison.fnr_limit, color=QUIET, linewidth=0.9, linestyle="--", label=limit)
        named: set[str | None] = set()
        for place in drawn:
            _draw_policy(axes, place, None if place.row.promise in named else place.style[0])
            named.add(place.row.promise)
        for x, y, text in _labels(drawn, highest):
            axes.annotate(
                text, (x, y), xytext=(5, 5), textcoords="offset points", fontsize=9.5, color=INK
            )  # fmt: skip
        frame(axes, "coverage: share of pictures answered", "missed, of the answered road work", percent=True)
        axes.set_xlim(-0.02, 1.09)
        axes.set_ylim(-0.04 * highest, 1.12 * highest)
        legend(axes, "upper left")
        return to_svg(figure, "policies")


def frontier_svg(frontier: ParetoFrontier) -> str:
    """Draw cost against coverage of the frontier, told apart by selective FNR, and the policy."""
    limit = frontier.fnr_limit
    with drawing(height=3.8) as figure:
        axes = figure.subplots()
        if limit is None:
            _draw_points(axes, frontier.points, 0, "not beaten by other thresholds")
        else:
            within = [p for p in frontier.points if p.selective_fnr <= limit]
            beyond = [p for p in frontier.points if p.selective_fnr > limit]
            _draw_points(axes, within, 0, f"missed at most {100 * limit:g} % of the answered road work")
            _draw_points(axes, beyond, 1, "missed more")
        axes.plot(
            frontier.policy.coverage, frontier.policy.cost, "D", color=INK, markersize=6.5, label="the policy"
        )
        frame(axes, "coverage: share of pictures answered", "expected cost of a picture", percent=True)
        axes.yaxis.set_major_formatter("{x:g}")
        every = (*frontier.points, frontier.policy)
        axes.set_xlim(max(-0.02, min(point.coverage for point in every) - 0.05), 1.02)
        axes.set_ylim(0, 1.25 * max(point.cost for point in every) or 1.0)
        legend(axes, "best")
        return to_svg(figure, "frontier")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a row of the table is drawn."""

    number: int
    row: PolicyRow

    @property
    def coverage(self) -> Measure:
        return find_measure(self.row.measures, "coverage")

    @property
    def fnr(self) -> Measure:
        return find_measure(self.row.measures, "selective_fnr")

    @property
    def highest(self) -> float:
        return max(self.fnr.estimate or 0.0, self.fnr.high or 0.0)

    @property
    def style(self) -> tuple[str, str, str, str]:
        return next(style[1:] for style in _PROMISES if style[0] == self.row.promise)


def _is_drawn(row: PolicyRow) -> bool:
    measures = (row.measure("coverage"), row.measure("selective_fnr"))
    return all(measure is not None and measure.estimate is not None for measure in measures)


def _labels(drawn: list[_Place], highest: float) -> list[tuple[float, float, str]]:
    """Return (x, y, numbers): policies that cannot be told apart in the drawing share one label."""
    labels: list[tuple[float, float, str]] = []
    for place in drawn:
        x, y = place.coverage.estimate or 0.0, place.fnr.estimate or 0.0
        for index, (other_x, other_y, text) in enumerate(labels):
            if abs(x - other_x) < 0.03 and abs(y - other_y) < 0.04 * highest:
                labels[index] = (other_x, other_y, f"{text}, {place.number}")
                break
        else:
            labels.append((x, y, str(place.number)))
    return labels


def _draw_policy(axes: Any, place: _Place, label: str | None) -> None:
    _, colour, marker, face = place.style
    coverage, fnr = place.coverage, place.fnr
    if fnr.low is not None:
        axes.plot([coverage.estimate] * 2, [fnr.low, fnr.high], color=colour, linewidth=1.1)
    if coverage.low is not None:
        axes.plot([coverage.low, coverage.high], [fnr.estimate] * 2, color=colour, linewidth=1.1)
    size = 8 if place.row.chosen else 5.5
    axes.plot(
        coverage.estimate,
        fnr.estimate,
        marker,
        color=colour,
        markerfacecolor=face,
        markersize=size,
        label=label,
    )


def _draw_points(
    axes: Any, points: tuple[ParetoPoint, ...] | list[ParetoPoint], index: int, label: str
) -> None:
    if not points:
        return
    axes.plot(
        [point.coverage for point in points],
        [point.cost for point in points],
        "os"[index],
        color=SERIES[index],
        markerfacecolor=SERIES[index] if index == 0 else "none",
        markersize=4,
        label=label,
    )
