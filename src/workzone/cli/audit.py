"""`workzone audit`: proof that nothing crosses from train to calib or test, and what carelessness would have said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workzone.cli.console import ConsoleObserver, ExitCode, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.phases.audit import Audit
    from workzone.phases.careless_split import CarelessComparison, Repeated

_COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}
_HEADS = {"group": "same group", "near-duplicate": "near-duplicate", "place": "same place"}


def audit(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory of the run.")],
    data: Annotated[
        Path | None, typer.Option(help="Its data set; by default the directory 'data' in the run.")
    ] = None,
    near_m: Annotated[
        float | None,
        typer.Option(
            "--near-m", metavar="METRES", help="Closer is one place; by default the split's own, or 100."
        ),
    ] = None,
    embedding: Annotated[
        str,
        typer.Option(
            help="What the cheap models see: descriptor, a bundle's directory, or onnx:PATH. Near-duplicates are "
            "always compared by the descriptor."
        ),
    ] = "descriptor",
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Careless splits that are drawn.")] = 10,
    careless: Annotated[
        bool, typer.Option(help="Measure what a careless random split would have reported.")
    ] = True,
    cache: Annotated[
        Path | None,
        typer.Option(help="Keep what is measured of pictures here; by default .audit in the run."),
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Counts openings; by default openings.jsonl in the data set.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Prove of a finished run that no group, near-duplicate or place crosses from train to calib or test.

    Exits with 3 when something does. Other crossings, and what could not be looked at, are warnings.
    """
    from workzone.data.dataset import open_dataset
    from workzone.evaluation.records import to_json
    from workzone.phases.audit import CACHE_NAME, AuditSettings, audit_run
    from workzone.phases.build import ledger_of
    from workzone.phases.embedder import embedder_of

    dataset = open_dataset(_data_of(run, data))
    embedder = embedder_of(embedding) if careless else None
    settings = AuditSettings(near_m, careless, embedder, seeds)
    with ConsoleObserver(quiet=json) as observer:
        found = audit_run(
            run,
            dataset,
            settings,
            ledger=ledger or ledger_of(dataset),
            cache=cache or run / CACHE_NAME,
            observer=observer,
        )
    if json:
        emit_json({"run": str(run), **to_json(found)})
    else:
        _print(found)
    if found.status == "FAIL":
        raise typer.Exit(ExitCode.GATE_NOT_MET)


def _data_of(run: Path, data: Path | None) -> Path:
    from workzone.core.errors import ConfigError
    from workzone.data.writer import MANIFEST

    if data is not None:
        return data
    if not (run / "data" / MANIFEST).is_file():
        raise ConfigError(
            f"'{run}' does not say where its data set is, and there is none in '{run / 'data'}'. Name it with --data."
        )
    return run / "data"


def _print(found: Audit) -> None:
    from rich.table import Table

    roles = ", ".join(f"{r.role} {r.pictures:,} ({r.groups:,})" for r in found.roles)
    out.print(
        f"Split {found.split_sha256[:12]} of '{shown(found.dataset)}', {shown(found.method)}. "
        f"Pictures (groups): {roles}."
    )
    links = list(dict.fromkeys(crossing.link for crossing in found.crossings))
    table = Table("from", "to", *(_HEADS[link] for link in links))
    for column in table.columns[2:]:
        column.justify = "right"
    by_roles: dict[tuple[str, str], list[str]] = {}
    for crossing in found.crossings:
        colour = _COLOURS[crossing.status]
        by_roles.setdefault((crossing.first, crossing.second), []).append(
            f"{crossing.pictures:,} of {crossing.of:,} [{colour}]{crossing.status}[/]"
            if crossing.of or crossing.status != "PASS"
            else "–"
        )
    for (first, second), cells in by_roles.items():
        table.add_row(first, second, *cells)
    out.print(table)
    out.print(
        f"Counted are pictures of the right role with a counterpart in the left one; a place is within "
        f"{found.near_m:g} m. {found.n_artifacts} artifacts of the run are as they were sealed."
    )
    for crossing in found.crossings:
        for pair in crossing.worst:
            out.print(
                f"  {crossing.status} {crossing.first}–{crossing.second}, {pair.detail}: {shown(pair.first)} "
                f"({shown(pair.first_group)}), {shown(pair.second)} ({shown(pair.second_group)})"
            )
    for remark in found.remarks:
        out.print(f"{remark.status}  {shown(remark.text)}")
    if found.careless is not None:
        _print_careless(found.careless)
    out.print(f"[bold {_COLOURS[found.status]}]{found.status}[/]")


def _print_careless(careless: CarelessComparison) -> None:
    from rich.table import Table

    left_out = f" {careless.n_left_out:,} pictures were left out." if careless.n_left_out else ""
    out.print(
        f"MCC of cheap models on '{shown(careless.features)}', {careless.n_train:,} pictures of train and "
        f"{careless.n_test:,} of test; {careless.seeds} random splits of each kind.{left_out}"
    )
    table = Table("model", "this run's split", "splits by group", "careless: by picture")
    for column in table.columns[1:]:
        column.justify = "right"
    for model in careless.models:
        table.add_row(model.model, f"{model.run:.3f}", _repeated(model.by_group), _repeated(model.by_picture))
    out.print(table)
    for model in careless.models:
        out.print(model.statement)


def _repeated(value: Repeated) -> str:
    return f"{value.mean:.3f} ({value.low:.3f} to {value.high:.3f})"
