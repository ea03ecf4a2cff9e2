"""The report's drawings of one model: reliability, errors against coverage, ROC, precision, training.

Need matplotlib (extra `report`), which is imported when they are drawn; how is `drawing`'s business.
"""

from __future__ import annotations

from collections.abc import Sequence

from workzone.evaluation.drawing import INK, QUIET, SERIES, draw_line, drawing, frame, legend, to_svg
from workzone.evaluation.records import Curve, Evaluation, Measure, ReliabilityPoint
from workzone.evaluation.report import TrainingCurve


def reliability_svg(points: Sequence[ReliabilityPoint]) -> str:
    """Draw the share of road work against the probability, with group intervals, over the counts."""
    with drawing(height=4.2) as figure:
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
        top.plot([0, 1], [0, 1], color=QUIET, linewidth=0.9, linestyle="--")
        for point in points:
            rate = point.positive_rate
            if point.mean_prob is None or rate.estimate is None:
                continue
            face = "none"
            if rate.low is not None and rate.high is not None:
                top.plot([point.mean_prob] * 2, [rate.low, rate.high], color=SERIES[0], linewidth=1.4)
                face = SERIES[0]
            top.plot(point.mean_prob, rate.estimate, "o", color=SERIES[0], markersize=5, markerfacecolor=face)
        frame(top, "", "share of road work", unit_y=True)
        counts = [point.positive_rate.n for point in points]
        centres = [(point.low_prob + point.high_prob) / 2 for point in points]
        bottom.bar(centres, counts, width=0.092, color=SERIES[0], alpha=0.55)
        for centre, count in zip(centres, counts, strict=True):
            if count:
                bottom.annotate(
                    str(count), (centre, count), xytext=(0, 2), textcoords="offset points",
                    ha="center", fontsize=7.5, color=QUIET,
                )  # fmt: skip
        bottom.set_ylim(0, max([1, *counts]) * 1.35)
        bottom.set_yticks([])
        frame(bottom, "probability of road work", "pictures")
        return to_svg(figure, "reliability")


def risk_coverage_svg(evaluation: Evaluation) -> str:
    """Draw errors against coverage: all answers, misses of the road work, and misses among the answers "none"."""
    curves = evaluation.curves
    coverage = evaluation.measure("coverage").estimate
    drawn = (
        (curves.fnr_coverage, "selective_fnr", "missed, of the answered road work"),
        (curves.for_coverage, "false_omission_rate", "road work, of the answers “none”"),
        (curves.risk_coverage, None, "wrong, of all answers (least sure deferred)"),
    )
    highest = 0.02
    with drawing() as figure:
        axes = figure.subplots()
        for index, (curve, name, label) in enumerate(drawn):
            draw_line(axes, curve, index, label)
            highest = max([highest, *curve.y])
            measure = None if name is None else evaluation.measure(name)
            if measure is None or measure.estimate is None or coverage is None:
                continue
            if measure.low is not None and measure.high is not None:
                axes.plot([coverage] * 2, [measure.low, measure.high], color=SERIES[index], linewidth=1.1)
                highest = max(highest, measure.high)
            policy = "the policy, with intervals" if index == 0 else None
            axes.plot(coverage, measure.estimate, "D", color=INK, markersize=6 - index, label=policy)
        frame(axes, "coverage: share of pictures answered", "share wrong", percent=True)
        axes.set_xlim(0, 1.01)
        axes.set_ylim(-0.02 * highest, 1.08 * highest)
        legend(axes, "upper left")
        return to_svg(figure, "risk")


def roc_svg(evaluation: Evaluation) -> str:
    """Draw recall against the false-alarm rate, with plain classification at the decision threshold."""
    with drawing() as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.9, linestyle="--", label="guessing")
        draw_line(axes, evaluation.curves.roc, 0, f"model, area {_number(evaluation.measure('auroc'))}")
        specificity, recall = (
            evaluation.measure("specificity").estimate,
            evaluation.measure("recall").estimate,
        )
        if specificity is not None and recall is not None:
            axes.plot(1 - specificity, recall, "D", color=INK, markersize=6, label="decision threshold")
        frame(axes, "false-alarm rate", "recall", unit_x=True, unit_y=True)
        legend(axes, "lower right")
        return to_svg(figure, "roc")


def precision_recall_svg(evaluation: Evaluation) -> str:
    """Draw precision against recall, with plain classification at the decision threshold."""
    share = evaluation.n_positives / evaluation.n
    with drawing() as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [share, share], color=QUIET, linewidth=0.9, linestyle="--", label="guessing")
        draw_line(
            axes, evaluation.curves.precision_recall, 0, f"model, area {_number(evaluation.measure('auprc'))}"
        )
        precision, recall = evaluation.measure("precision").estimate, evaluation.measure("recall").estimate
        if precision is not None and recall is not None:
            axes.plot(recall, precision, "D", color=INK, markersize=6, label="decision threshold")
        frame(axes, "recall", "precision", unit_x=True, unit_y=True)
        legend(axes, "lower left")
        return to_svg(figure, "pr")


def training_svgs(curves: Sequence[TrainingCurve]) -> list[tuple[str, str]]:
    """Draw one panel for each vertical axis; returns (panel, SVG)."""
    drawn = []
    for number, panel in enumerate(dict.fromkeys(curve.panel for curve in curves)):
        with drawing(height=2.8) as figure:
            axes = figure.subplots()
            for index, curve in enumerate(c for c in curves if c.panel == panel):
                draw_line(axes, Curve(curve.epochs, curve.values), index, curve.name)
            frame(axes, "epoch", panel)
            legend(axes, "best")
            drawn.append((panel, to_svg(figure, f"training-{number}")))
    return drawn


def _number(measure: Measure) -> str:
    return "not defined" if measure.estimate is None else f"{measure.estimate:.3f}"
