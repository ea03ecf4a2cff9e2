"""`report.html`: one self-contained page for a person. Needs Jinja and matplotlib (extra `report`).

Nothing is loaded from outside and nothing runs: styles and drawings are inline, thumbnails are data, there is
no script. Names and captions come from data sets that others made, so everything is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workzone.core.lazy import require
from workzone.evaluation.answer import answer
from workzone.evaluation.claims import percent, percent_range, walk_sentence
from workzone.evaluation.grouped import counted
from workzone.evaluation.measures import TITLES
from workzone.evaluation.plots import (
    precision_recall_svg,
    reliability_svg,
    risk_coverage_svg,
    roc_svg,
    training_svgs,
)
from workzone.evaluation.policies import COLUMNS
from workzone.evaluation.policy_plots import frontier_svg, policies_svg
from workzone.evaluation.records import Measure, find_measure
from workzone.evaluation.report import Gallery, Report, TrainingCurve
from workzone.storage.atomic import write_bytes

TEMPLATE = "report.html.j2"
MAX_THUMBNAIL_BYTES = 1_800_000
"""Of JPEG in one page, shared evenly by the galleries; what does not fit is counted, not shown."""

_SHARES = {
    "selective_fnr", "committed_miss_rate", "false_omission_rate", "false_alarm_rate", "false_discovery_rate",
    "coverage", "oracle_coverage", "positive_coverage", "negative_coverage", "answered_accuracy",
    "answered_precision", "accuracy", "precision", "recall", "specificity",
}  # fmt: skip
_PERCENT = frozenset(name for name in {*TITLES, *COLUMNS} if name.split("_at_half")[0] in _SHARES)
_SECTIONS = (
    ("The policy: road work, none, or defer", (
        "selective_fnr", "committed_miss_rate", "false_omission_rate", "false_alarm_rate",
        "false_discovery_rate", "coverage", "oracle_coverage", "positive_coverage", "negative_coverage",
        "answered_accuracy", "answered_mcc")),
    ("Every picture answered, at the decision threshold", (
        "mcc", "accuracy", "precision", "recall", "specificity")),
    ("Every picture answered, at probability 0.5", (
        "mcc_at_half", "accuracy_at_half", "precision_at_half", "recall_at_half", "specificity_at_half")),
    ("Ranking, without any threshold", ("auroc", "auprc")),
    ("The least sure deferred first, over all coverages (lower is better)", ("aurc", "augrc")),
    ("Probabilities (lower is better, unless said otherwise)", (
        "brier", "brier_reliability", "brier_resolution", "brier_uncertainty", "brier_remainder", "nll",
        "ece_equal_width", "ece_equal_width_debiased", "ece_equal_mass", "ece_equal_mass_debiased")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _ShownGallery:
    title: str
    explanation: str
    pictures: tuple[tuple[str, str], ...]
    """(data URI, caption)."""
    n_left_out: int


def render_html(
    report: Report, curves: Sequence[TrainingCurve] = (), galleries: Sequence[Gallery] = ()
) -> str:
    """Return the page. The same arguments give the same text.

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
    environment.filters |= {"value": _value, "interval": _interval, "percent": percent, "unbroken": _unbroken}
    environment.globals |= {"counted": counted, "titles": TITLES, "columns": COLUMNS}
    evaluation = report.evaluation
    page = environment.get_template(TEMPLATE).render(
        report=report,
        evaluation=evaluation,
        provenance=report.provenance,
        certificate=report.policy.certificate,
        walk=walk_sentence(report.policy.certificate) if report.policy.certificate else "",
        policies_plot=policies_svg(report.policies) if report.policies else "",
        frontier_plot=frontier_svg(report.frontier) if report.frontier else "",
        answer=answer(report),
        sections=_SECTIONS,
        find=find_measure,
        lineage=sorted(report.provenance.lineage),
        reliability=reliability_svg(evaluation.curves.reliability),
        risk_coverage=risk_coverage_svg(evaluation),
        roc=roc_svg(evaluation),
        precision_recall=precision_recall_svg(evaluation),
        training=training_svgs(curves),
        galleries=_shown(galleries),
    )
    return str(page)


def write_report_html(
    path: Path, report: Report, curves: Sequence[TrainingCurve] = (), galleries: Sequence[Gallery] = ()
) -> None:
    """Write `report.html` atomically; raises as `render_html`."""
    write_bytes(path, render_html(report, curves, galleries).encode())


def _shown(galleries: Sequence[Gallery]) -> list[_ShownGallery]:
    budget = MAX_THUMBNAIL_BYTES // max(1, len(galleries))
    shown = []
    for gallery in galleries:
        pictures: list[tuple[str, str]] = []
        used = 0
        for picture in gallery.thumbnails:
            used += len(picture.jpeg)
            if used > budget:
                break
            data = base64.b64encode(picture.jpeg).decode("ascii")
            pictures.append((f"data:image/jpeg;base64,{data}", picture.caption))
        left_out = len(gallery.thumbnails) - len(pictures)
        shown.append(_ShownGallery(gallery.title, gallery.explanation, tuple(pictures), left_out))
    return shown


def _value(measure: Measure) -> str:
    if measure.estimate is None:
        return "–"
    return _unbroken(percent(measure.estimate)) if measure.name in _PERCENT else f"{measure.estimate:.3f}"


def _interval(measure: Measure) -> str:
    if measure.low is None or measure.high is None:
        return measure.reason or "exact"
    if measure.name in _PERCENT:
        return _unbroken(percent_range(measure.low, measure.high))
    return f"{measure.low:.3f} to {measure.high:.3f}"


def _unbroken(text: str) -> str:
    """Keep numbers and their per cent sign on one line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")
