"""The drawing of `workzone subnet score --plot`: rewards by level and source, and how windows of 100 spread.

Needs matplotlib (extra `report`). A file of its own, not part of a page, so it has colours of its own.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workzone.cli.subnet_tables import rows_of, series_of
from workzone.core.lazy import require
from workzone.storage.atomic import atomic_path

if TYPE_CHECKING:
    from workzone.phases.subnet_score import SubnetScore
    from workzone.subnet.simulator import Reward

_COLOURS = ("#555555", "#0b62a4")
_OFFSET = 0.16
"""Of the two series from the middle of their row."""


def draw_score(found: SubnetScore, path: Path) -> None:
    """Draw into a file of the kind that its name ends in; it appears whole or not at all.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    series, rows = series_of(found), len(rows_of(found.plain))
    figures = require("matplotlib.figure", "report")
    matplotlib = require("matplotlib", "report")
    with matplotlib.rc_context({"svg.hashsalt": "workzone", "font.size": 9}):
        figure = figures.Figure(figsize=(6.5, 1.9 + 0.36 * rows), layout="constrained")
        slices, windows = figure.subplots(2, 1, sharex=True, height_ratios=(rows, 1.6))
        for place, (name, reward) in enumerate(series):
            offset = 0.0 if len(series) == 1 else _OFFSET * (2 * place - 1)
            _draw_slices(slices, reward, offset, _COLOURS[place], name)
            _draw_windows(windows, reward, place, _COLOURS[place])
        _frame(slices, [row.name for row in rows_of(found.plain)])
        slices.set_title(
            f"Reward under profile {found.profile}, with 95 % intervals", fontsize=9.5, loc="left"
        )
        figure.legend(*slices.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
        _frame(windows, [name for name, _ in series])
        windows.set_title("Mean over 100 challenges in a row: 5, 25, 50, 75, 95 %", fontsize=9.5, loc="left")
        windows.set_xlim(0, 1)
        kind = path.suffix.lower().removeprefix(".")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=150, metadata=_METADATA[kind])


_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Left out, so that the same numbers give the same bytes."""


def _draw_slices(axes: Any, reward: Reward, offset: float, colour: str, name: str) -> None:
    for row, one in enumerate(rows_of(reward)):
        if not math.isnan(one.low):
            axes.plot([one.low, one.high], [row + offset] * 2, color=colour, linewidth=1.6)
        axes.plot(one.mean, row + offset, "o", color=colour, markersize=4.5, label=name if row == 0 else None)


def _draw_windows(axes: Any, reward: Reward, row: int, colour: str) -> None:
    lowest, low, median, high, highest = (value for _, value in reward.window_quantiles)
    axes.plot([lowest, highest], [row, row], color=colour, linewidth=1.2)
    axes.plot([low, high], [row, row], color=colour, linewidth=6, solid_capstyle="butt", alpha=0.6)
    axes.plot(median, row, "|", color=colour, markersize=12, markeredgewidth=2)


def _frame(axes: Any, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.grid(visible=True, axis="x", linewidth=0.6, alpha=0.5)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
