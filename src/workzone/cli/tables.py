"""Tables for people: counts of a data set, measures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from workzone.cli.console import out, shown

if TYPE_CHECKING:
    from workzone.data.summary import DataSetSummary, Tally

SHOWN_MEASURES = (
    "mcc", "accuracy", "precision", "recall", "specificity", "selective_fnr", "committed_miss_rate",
    "false_alarm_rate", "coverage", "auroc", "auprc", "brier", "nll", "ece_equal_mass",
)  # fmt: skip


def print_summary(summary: DataSetSummary) -> None:
    """Print counts by role, condition and source, then the objects."""
    out.print(
        f"[bold]{shown(summary.name)}[/bold] revision {shown(summary.revision)}, licence {shown(summary.licence)}, "
        f"hash {summary.sha256[:12]}"
    )
    table = Table("", "", "pictures", "groups", "road work", "its groups", "none", "unknown", "ambiguous")
    for column in table.columns[2:]:
        column.justify = "right"
    _add(table, "all", (summary.total,))
    for name in ("roles", "daytime", "weather", "environment", "source"):
        _add(table, name, getattr(summary, name))
    out.print(table)
    if summary.boxes:
        objects = Table("object", "", "boxes", "pictures")
        for box in summary.boxes:
            if box.category != "context":
                objects.add_row(shown(box.type), box.category, str(box.boxes), str(box.pictures))
        out.print(objects)


def _add(table: Table, name: str, tallies: Sequence[Tally]) -> None:
    for place, tally in enumerate(tallies):
        counts = (
            tally.pictures,
            tally.groups,
            tally.roadwork,
            tally.roadwork_groups,
            tally.none,
            tally.unknown,
            tally.ambiguous,
        )
        table.add_row("" if place else name, shown(tally.value or "not stated"), *map(str, counts))
    table.add_section()


def print_measures(document: dict[str, Any]) -> None:
    """Print the answer and the measures of `report.json`."""
    policy = document["policy"]
    certificate = policy["certificate"]
    if certificate is None:
        out.print(str(policy["refusal"]), markup=False)
    else:
        out.print(
            f"Certified: at most {certificate['alpha']:g} of answered road work is called 'none' "
            f"(confidence {1 - certificate['delta']:g}; {certificate['misses']} of {certificate['n']} "
            f"groups; bound {certificate['bound']:.4f})."
        )
    measures = {measure["name"]: measure for measure in document["evaluation"]["measures"]}
    table = Table("measure on test", "value", "interval", "groups")
    for name in SHOWN_MEASURES:
        measure = measures[name]
        table.add_row(name, _number(measure["estimate"]), _interval(measure), str(measure["n_groups"]))
    out.print(table)
    baseline = document["evaluation"]["baseline"]
    if baseline is not None:
        difference = baseline["mcc_difference"]
        out.print(
            f"MCC ahead of the {baseline['name']} by {_number(difference['estimate'])} "
            f"({_interval(difference)})."
        )
    out.print(f"Runs that have opened this test split: {document['provenance']['test_openings']}.")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(measure: dict[str, Any]) -> str:
    if measure["low"] is None:
        return str(measure["reason"] or "")
    return f"{measure['low']:.3f} to {measure['high']:.3f}"
