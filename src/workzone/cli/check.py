"""`workzone check`: does a bundle still meet its numbers on this machine?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workzone.cli.console import ConsoleObserver, ExitCode, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.phases.check import BundleCheck
    from workzone.phases.check_findings import Finding

_COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}


def check(
    bundle: Annotated[Path, typer.Argument(help="Directory of the bundle.")],
    dataset: Annotated[Path, typer.Argument(help="Labelled data set that it has not learned from.")],
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe", metavar="NAME|FILE.yaml", help="The limits: a shipped file's name, or yours."
        ),
    ] = "check",
    unseen: Annotated[
        bool,
        typer.Option("--unseen", help="Leave out groups that hold pictures the bundle has learned from."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Judge a bundle's promised risks, MCC, coverage, throughput, latency and memory against limits.

    FAIL is what is shown to be beyond its limit (the whole interval is, or the exact lower bound of a promised risk),
    WARN what is near it or rests on too few pictures. Exits with 3 when anything fails.
    """
    from workzone.core.types import Status
    from workzone.data.dataset import open_dataset
    from workzone.phases.build import ledger_of
    from workzone.phases.check import check_bundle
    from workzone.phases.check_limits import load_limits

    limits = load_limits(recipe)
    data = open_dataset(dataset)
    with ConsoleObserver(quiet=json) as observer:
        found = check_bundle(
            bundle, data, limits, leave_out_seen=unseen, ledger=ledger_of(data), observer=observer
        )
    if json:
        emit_json(_document(bundle, found))
    else:
        _print(found)
    if found.status is Status.FAIL:
        raise typer.Exit(ExitCode.GATE_NOT_MET)


def _document(bundle: Path, found: BundleCheck) -> dict[str, Any]:
    from workzone.evaluation.records import to_json

    return {"bundle": str(bundle), **to_json(found)}


def _print(found: BundleCheck) -> None:
    from rich.table import Table

    on = found.on
    out.print(
        f"{on.n:,} pictures of {on.n_groups:,} groups of '{shown(on.dataset_name)}', bundle {found.digest[:16]}, "
        f"limits '{shown(found.limits)}'."
    )
    if on.n_left_out:
        out.print(
            f"Left out: {on.n_in_seen_groups:,} in groups that the bundle has learned from, "
            f"{on.n_left_out - on.n_in_seen_groups:,} without a decided label."
        )
    table = Table("", "measured", "interval", "n", "warn", "fail", "", "why")
    for column in table.columns[1:6]:
        column.justify = "right"
    for finding in found.findings:
        table.add_row(*_row(finding))
    out.print(table)
    out.print(
        f"Bundles and pairs that were checked or compared on this data set, this one included: {on.test_openings}."
    )
    out.print(f"[bold {_COLOURS[found.status]}]{found.status}[/]")


def _row(finding: Finding) -> tuple[str, ...]:
    interval = ""
    if finding.low is not None and finding.high is not None:
        interval = f"{_number(finding.low)} to {_number(finding.high)}"
    return (
        finding.name,
        _number(finding.value),
        interval,
        f"{finding.n:,}",
        f"{finding.warn:g}",
        f"{finding.fail:g}",
        f"[{_COLOURS[finding.status]}]{finding.status}[/]",
        finding.reason or "",
    )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
