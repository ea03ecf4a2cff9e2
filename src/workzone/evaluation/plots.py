"""The report's drawings as inline SVG. Needs matplotlib (extra `report`), which it imports when it draws.

Colours are written as CSS variables, so a drawing follows the page from light to dark; text stays text, in
the page's font. The same numbers give the same bytes: fixed hash salt, no metadata, no dates.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from workzone.core.lazy import require
from workzone.evaluation.records import Curve, Evaluation, Measure, ReliabilityPoint
from workzone.evaluation.report import TrainingCurve

# Matplotlib wants colours, the page wants variables: these stand for them until the SVG is finished.
_INK, _QUIET, _GRID = "#010101", "#020202", "#030303"
_SERIES = ("#040404", "#050505", "#060606", "#070707")
_VARIABLES = {_INK: "--ink", _QUIET: "--quiet", _GRID: "--line"} | {
    colour: f"--series-{index}" for index, colour in enumerate(_SERIES, 1)
}
_DASHES = ("-", "--", "-.", ":")
_WIDTH_IN, _HEIGHT_IN = 5.0, 3.5


def reliability_svg(points: Sequence[ReliabilityPoint]) -> str:
    """Draw the share of road work against the probability, with group intervals, over the counts."""
    with _drawing(height=4.2) as figure:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
        top.plot([0, 1], [0, 1], color=_QUIET, linewidth=0.9, linestyle="--")
        for point in points:
            rate = point.positive_rate
            if point.mean_prob is None or rate.estimate is None:
                continue
            face = "none"
            if rate.low is not None and rate.high is not None:
                top.plot([point.mean_prob] * 2, [rate.low, rate.high], color=_SERIES[0], linewidth=1.4)
                face = _SERIES[0]
            top.plot(
                point.mean_prob, rate.estimate, "o", color=_SERIES[0], markersize=5, markerfacecolor=face
            )
        _frame(top, "", "share of road work", unit_y=True)
        counts = [point.positive_rate.n for point in points]
        centres = [(point.low_prob + point.high_prob) / 2 for point in points]
        bottom.bar(centres, counts, width=0.092, color=_SERIES[0], alpha=0.55)
        for centre, count in zip(centres, counts, strict=True):
            if count:
                bottom.annotate(
                    str(count), (centre, count), xytext=(0, 2), textcoords="offset points",
                    ha="center", fontsize=7.5, color=_QUIET,
                )  # fmt: skip
        bottom.set_ylim(0, max([1, *counts]) * 1.35)
        bottom.set_yticks([])
        _frame(bottom, "probability of road work", "pictures")
        return _svg(figure, "reliability")


def risk_coverage_svg(evaluation: Evaluation) -> str:
    """Draw errors against coverage: all answers, and misses as the lower threshold moves."""
    curves = evaluation.curves
    with _drawing() as figure:
        axes = figure.subplots()
        _line(axes, curves.fnr_coverage, 0, "missed, of the answered road work")
        _line(axes, curves.risk_coverage, 1, "wrong, of all answers (least sure deferred)")
        fnr, coverage = evaluation.measure("selective_fnr"), evaluation.measure("coverage")
        highest = max([0.02, *curves.fnr_coverage.y, *curves.risk_coverage.y])
        if fnr.estimate is not None and coverage.estimate is not None:
            if fnr.low is not None and fnr.high is not None:
                axes.plot([coverage.estimate] * 2, [fnr.low, fnr.high], color=_INK, linewidth=1.1)
                highest = max(highest, fnr.high)
            axes.plot(
                coverage.estimate,
                fnr.estimate,
                "D",
                color=_INK,
                markersize=6,
                label="the policy, with interval",
            )
        _frame(axes, "coverage: share of pictures answered", "share wrong", percent=True)
        axes.set_xlim(0, 1.01)
        axes.set_ylim(-0.02 * highest, 1.08 * highest)
        _legend(axes, "upper left")
        return _svg(figure, "risk")


def roc_svg(evaluation: Evaluation) -> str:
    """Draw recall against the false-alarm rate, with plain classification at the decision threshold."""
    with _drawing() as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=_QUIET, linewidth=0.9, linestyle="--", label="guessing")
        _line(axes, evaluation.curves.roc, 0, f"model, area {_number(evaluation.measure('auroc'))}")
        specificity, recall = (
            evaluation.measure("specificity").estimate,
            evaluation.measure("recall").estimate,
        )
        if specificity is not None and recall is not None:
            axes.plot(1 - specificity, recall, "D", color=_INK, markersize=6, label="decision threshold")
        _frame(axes, "false-alarm rate", "recall", unit_x=True, unit_y=True)
        _legend(axes, "lower right")
        return _svg(figure, "roc")


def precision_recall_svg(evaluation: Evaluation) -> str:
    """Draw precision against recall, with plain classification at the decision threshold."""
    share = evaluation.n_positives / evaluation.n
    with _drawing() as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [share, share], color=_QUIET, linewidth=0.9, linestyle="--", label="guessing")
        _line(
            axes, evaluation.curves.precision_recall, 0, f"model, area {_number(evaluation.measure('auprc'))}"
        )
        precision, recall = evaluation.measure("precision").estimate, evaluation.measure("recall").estimate
        if precision is not None and recall is not None:
            axes.plot(recall, precision, "D", color=_INK, markersize=6, label="decision threshold")
        _frame(axes, "recall", "precision", unit_x=True, unit_y=True)
        _legend(axes, "lower left")
        return _svg(figure, "pr")


def training_svgs(curves: Sequence[TrainingCurve]) -> list[tuple[str, str]]:
    """Draw one panel for each vertical axis; returns (panel, SVG)."""
    drawn = []
    for number, panel in enumerate(dict.fromkeys(curve.panel for curve in curves)):
        with _drawing(height=2.8) as figure:
            axes = figure.subplots()
            for index, curve in enumerate(c for c in curves if c.panel == panel):
                _line(axes, Curve(curve.epochs, curve.values), index, curve.name)
            _frame(axes, "epoch", panel)
            _legend(axes, "best")
            drawn.append((panel, _svg(figure, f"training-{number}")))
    return drawn


@contextmanager
def _drawing(height: float = _HEIGHT_IN) -> Iterator[Any]:
    matplotlib = require("matplotlib", "report")
    figures = require("matplotlib.figure", "report")
    settings = {"svg.hashsalt": "workzone", "svg.fonttype": "none", "font.size": 9, "path.simplify": False}
    with matplotlib.rc_context(settings):
        yield figures.Figure(figsize=(_WIDTH_IN, height), layout="constrained")


def _line(axes: Any, curve: Curve, index: int, label: str) -> None:
    style = {"color": _SERIES[index % len(_SERIES)], "linestyle": _DASHES[index % len(_DASHES)]}
    axes.plot(curve.x, curve.y, linewidth=1.7, label=_plain(label), **style)


def _frame(
    axes: Any,
    x: str,
    y: str,
    *,
    unit_x: bool = False,
    unit_y: bool = False,
    percent: bool = False,
) -> None:
    axes.set_xlabel(_plain(x), color=_QUIET)
    axes.set_ylabel(_plain(y), color=_QUIET)
    axes.tick_params(colors=_QUIET, length=0, labelsize=8.5)
    axes.grid(visible=True, color=_GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    if unit_x:
        axes.set_xlim(-0.02, 1.02)
    if unit_y:
        axes.set_ylim(-0.02, 1.04)
    if percent:
        ticker = require("matplotlib.ticker", "report")
        axes.xaxis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=1))


def _legend(axes: Any, where: str) -> None:
    axes.legend(loc=where, frameon=False, fontsize=8.5, labelcolor=_INK)


def _number(measure: Measure) -> str:
    return "not defined" if measure.estimate is None else f"{measure.estimate:.3f}"


def _plain(text: str) -> str:
    """A dollar sign would start mathematics."""
    return text.replace("$", r"\$")


def _svg(figure: Any, name: str) -> str:
    """Return the drawing as an element to put into a page: no prologue, no metadata, ids of its own."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', "", text)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(
        r'<svg[^>]*viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', text, count=1
    )
    text = text.replace(' id="', f' id="{name}-').replace('href="#', f'href="#{name}-')
    text = text.replace("url(#", f"url(#{name}-")
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text
