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
    "false_omission_rate", "false_alarm_rate", "false_discovery_rate", "coverage", "oracle_coverage", "auroc",
    "auprc", "aurc", "augrc", "brier", "nll", "ece_equal_mass", "ece_equal_mass_debiased",
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
    if policy["certificate"] is None:
        out.print(str(policy["refusal"]), markup=False)
    else:
        out.print(f"{document['answer']['headline']} {_promise(policy['certificate'])}.", markup=False)
    if document["answer"]["warning"]:
        out.print(str(document["answer"]["warning"]), markup=False)
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
    if document["policies"] is not None:
        _print_policies(document["policies"])
    _print_sources(document["evaluation"]["slices"])
    _print_provenance(document["provenance"])


def _print_provenance(provenance: dict[str, Any]) -> None:
    out.print(
        f"Data set {shown(provenance['dataset_name'])}, revision {shown(provenance['dataset_revision'])}, hash "
        f"{provenance['dataset_sha256'][:12]}; split {provenance['split_sha256'][:12]}."
    )
    out.print(f"Runs that have opened this test split: {provenance['test_openings']}.")


def _print_sources(slices: list[dict[str, Any]]) -> None:
    """Print the measures of each source, where test has several; the page has every other property too."""
    for property_ in slices:
        if property_["name"] != "source" or not property_["slices"]:
            continue
        names = [measure["name"] for measure in property_["slices"][0]["measures"]]
        table = Table("source", "pictures", "groups", *names)
        for row in property_["slices"]:
            measures = [f"{_number(m['estimate'])} ({_interval(m)})" for m in row["measures"]]
            table.add_row(shown(row["value"]), str(row["n"]), str(row["n_groups"]), *measures)
        out.print(table)


def _promise(certificate: dict[str, Any]) -> str:
    """Return the counts and bounds of a certificate of `report.json`."""
    claims = "; ".join(
        f"{claim['risk']}: {claim['events']} of {claim['n']} groups, bound {claim['bound']:.4f}"
        for claim in certificate["claims"]
    )
    if certificate["kind"] == "pac":
        return f"(confidence {1 - certificate['delta']:g}; {claims})"
    chances = ", ".join(f"{claim['exceedance']:.2f}" for claim in certificate["claims"])
    return f"({claims}; a draw like this one is above it with a chance of {chances})"


def _print_policies(policies: dict[str, Any]) -> None:
    """Print the policies that were compared, the recipe's first."""
    table = Table("policy", "promise", "coverage on test", "selective FNR on test")
    for row in policies["rows"]:
        measures = {measure["name"]: measure for measure in row["measures"]}
        shown_measures = [
            f"{_number(measures[name]['estimate'])} ({_interval(measures[name])})" if measures else "–"
            for name in ("coverage", "selective_fnr")
        ]
        promise = {"pac": "certified", "average": "on average"}.get(row["promise"], "none")
        table.add_row(row["title"] + (" *" if row["chosen"] else ""), promise, *shown_measures)
    out.print(table)
    out.print("* this run's policy. Test chose none of them: one picked by these numbers has no promise.")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(measure: dict[str, Any]) -> str:
    if measure["low"] is None:
        return str(measure["reason"] or "")
    return f"{measure['low']:.3f} to {measure['high']:.3f}"
