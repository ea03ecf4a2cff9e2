"""How a drawing of the report is made: inline SVG that follows the page. Needs matplotlib (extra `report`).

Colours are written as CSS variables, so a drawing follows the page from light to dark; text stays text, in
the page's font. The same numbers give the same bytes: fixed hash salt, no metadata, no dates. Knows no measure.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workzone.core.lazy import require
from workzone.evaluation.records import Curve

# Matplotlib wants colours, the page wants variables: these stand for them until the SVG is finished.
INK, QUIET, _GRID = "#010101", "#020202", "#030303"
SERIES = ("#040404", "#050505", "#060606", "#070707")
_VARIABLES = {INK: "--ink", QUIET: "--quiet", _GRID: "--line"} | {
    colour: f"--series-{index}" for index, colour in enumerate(SERIES, 1)
}
_DASHES = ("-", "--", "-.", ":")
_WIDTH_IN, _HEIGHT_IN = 5.0, 3.5


@contextmanager
def drawing(height: float = _HEIGHT_IN) -> Iterator[Any]:
    """Give a figure of the page's width, in inches, under the report's settings."""
    matplotlib = require("matplotlib", "report")
    figures = require("matplotlib.figure", "report")
    settings = {"svg.hashsalt": "workzone", "svg.fonttype": "none", "font.size": 9, "path.simplify": False}
    with matplotlib.rc_context(settings):
        yield figures.Figure(figsize=(_WIDTH_IN, height), layout="constrained")


def draw_line(axes: Any, curve: Curve, index: int, label: str) -> None:
    """Draw a curve in the colour and dashes of its place among the curves of a figure."""
    style = {"color": SERIES[index % len(SERIES)], "linestyle": _DASHES[index % len(_DASHES)]}
    axes.plot(curve.x, curve.y, linewidth=1.7, label=plain(label), **style)


def frame(
    axes: Any,
    x: str,
    y: str,
    *,
    unit_x: bool = False,
    unit_y: bool = False,
    percent: bool = False,
) -> None:
    """Name the axes and quieten all else; `percent` reads both as shares."""
    axes.set_xlabel(plain(x), color=QUIET)
    axes.set_ylabel(plain(y), color=QUIET)
    axes.tick_params(colors=QUIET, length=0, labelsize=8.5)
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


def legend(axes: Any, where: str) -> None:
    """Add the legend."""
    axes.legend(loc=where, frameon=False, fontsize=8.5, labelcolor=INK)


def plain(text: str) -> str:
    """A dollar sign would start mathematics."""
    return text.replace("$", r"\$")


def to_svg(figure: Any, name: str) -> str:
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
