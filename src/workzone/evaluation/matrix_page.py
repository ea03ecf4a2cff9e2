"""The page of a matrix: a heat map for each measure, and the table behind it. Needs Jinja and matplotlib.

One file, nothing loaded from outside; names come from data sets that others made, so everything is escaped. A colour
only repeats the number that stands on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workzone.core.lazy import require
from workzone.evaluation.drawing import INK, QUIET, SERIES, drawing, plain, to_svg
from workzone.evaluation.matrix import Matrix, MatrixCell, rows_of, transfer_sentences
from workzone.evaluation.records import Measure
from workzone.storage.atomic import write_bytes

TEMPLATE = "matrix.html.j2"
_SHOWN = (
    ("mcc", "MCC, every picture answered at probability 0.5", False, 0),
    ("selective_fnr", "Missed, of the road work that the policy answers", True, 1),
    ("coverage", "Answered by the policy, of all pictures", True, 2),
)
"""(measure, title, whether it is shown in per cent, which colour of the page)."""
_DEEPEST = 0.6
"""Opacity of the highest value: text stays legible on it in light and dark."""
_LONGEST_NAME = 22


def render_matrix(matrix: Matrix) -> str:
    """Return the page. The same matrix gives the same text.

    Raises:
        MissingExtraError: Jinja or matplotlib is not installed.
    """
    jinja2 = require("jinja2", "report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(TEMPLATE).render(
        matrix=matrix,
        rows=rows_of(matrix),
        sentences=transfer_sentences(matrix),
        maps=[(title, heat_map_svg(matrix, name)) for name, title, _, _ in _SHOWN],
        shown=_shown_measure,
        interval=_interval,
    )
    return str(page)


def write_matrix_html(path: Path, matrix: Matrix) -> None:
    """Write the page atomically; raises as `render_matrix`."""
    write_bytes(path, render_matrix(matrix).encode())


def heat_map_svg(matrix: Matrix, measure: str) -> str:
    """Draw one measure: rows are what a model was trained on, columns where it was tested."""
    _, _, percent, colour = next(entry for entry in _SHOWN if entry[0] == measure)
    names = [_short(dataset.name) for dataset in matrix.datasets]
    n = len(names)
    with drawing(height=1.4 + 0.55 * n) as figure:
        axes = figure.subplots()
        patches = require("matplotlib.patches", "report")
        for row, (_, cells) in enumerate(rows_of(matrix)):
            for column, cell in enumerate(cells):
                _draw_cell(axes, patches, (column, row), cell.measure(measure), percent, SERIES[colour])
        axes.set_xlim(-0.5, n - 0.5)
        axes.set_ylim(n - 0.5, -0.5)
        axes.set_xticks(range(n), names, rotation=20 if n > 3 else 0, ha="right" if n > 3 else "center")
        axes.set_yticks(range(n), names)
        axes.tick_params(colors=QUIET, length=0, labelsize=8.5)
        axes.set_xlabel("tested on", color=QUIET)
        axes.set_ylabel("trained on", color=QUIET)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return to_svg(figure, f"matrix-{measure.replace('_', '-')}")


def _draw_cell(
    axes: Any, patches: Any, at: tuple[int, int], measure: Measure | None, percent: bool, colour: str
) -> None:
    column, row = at
    value = None if measure is None else measure.estimate
    depth = 0.0 if value is None else _DEEPEST * min(max(value, 0.0), 1.0)
    corner = (column - 0.48, row - 0.46)
    axes.add_patch(patches.Rectangle(corner, 0.96, 0.92, facecolor=colour, alpha=depth, linewidth=0))
    if column == row:  # its own data: what is usually reported
        axes.add_patch(patches.Rectangle(corner, 0.96, 0.92, fill=False, edgecolor=QUIET, linewidth=0.9))
    text = "–" if value is None else f"{100 * value:.1f} %" if percent else f"{value:.2f}"
    axes.text(column, row, text, ha="center", va="center", fontsize=10, color=INK)


def _short(name: str) -> str:
    """Cut a long name in its middle: data sets of one origin differ at the end."""
    half = _LONGEST_NAME // 2
    return plain(name if len(name) <= _LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}")


def _shown_measure(cell: MatrixCell, name: str) -> str:
    measure = cell.measure(name)
    if measure is None or measure.estimate is None:
        return "–"
    return f"{measure.estimate:.3f}" if name == "mcc" else f"{100 * measure.estimate:.1f}\N{NO-BREAK SPACE}%"


def _interval(cell: MatrixCell, name: str) -> str:
    measure = cell.measure(name)
    if measure is None:
        return "no picture left"
    if measure.low is None or measure.high is None:
        return measure.reason or ""
    if name == "mcc":
        return f"{measure.low:.3f} to {measure.high:.3f}"
    return f"{100 * measure.low:.1f} to {100 * measure.high:.1f}\N{NO-BREAK SPACE}%"
