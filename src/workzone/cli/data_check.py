"""`workzone data check`: is this data set fit to learn from and to be measured on?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workzone.cli.console import ConsoleObserver, ExitCode, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.core.observer import Observer
    from workzone.data.checks.check import DataCheck
    from workzone.data.checks.fix import Fixed

_COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}
_FACTS = ".facts-under-way"
"""Under --out, while a check is under way: what is measured already, so that a killed one goes on."""


def check(
    dataset: Annotated[Path, typer.Argument(help="Directory of the data set.")],
    split_dir: Annotated[
        Path | None, typer.Option("--split", help="Judge leakage and balance by this split too.")
    ] = None,
    near_m: Annotated[
        float | None,
        typer.Option("--near-m", metavar="METRES", help="Closer is one place; by default 100."),
    ] = None,
    embedding: Annotated[
        str,
        typer.Option(
            metavar="descriptor|BUNDLE|onnx:PATH",
            help="What judges labels. Near-duplicates are always compared by the descriptor.",
        ),
    ] = "descriptor",
    out_dir: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write check.json and check.html into this directory.")
    ] = None,
    fix: Annotated[
        Path | None,
        typer.Option("--fix", metavar="NEW", help="Write a new data set without the faults, and a log."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Threads.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Judge a data set: broken, dark, repeated, leaking, mislabelled or telling pictures, and what to do.

    Nothing is changed in place: --fix writes a new data set, with a log of every removal and change. Exits with 3 when
    a check fails, also after --fix: the result is that of the data set as it is.
    """
    from workzone.data.checks.check import check_dataset
    from workzone.data.checks.fix import check_fix_target, fix_dataset
    from workzone.data.dataset import open_dataset
    from workzone.data.places import NEAR_M
    from workzone.data.split import read_split
    from workzone.phases.embedder import embedder_of

    opened = open_dataset(dataset)
    split = None if split_dir is None else read_split(split_dir)
    if fix is not None:
        check_fix_target(opened, fix)
    fixed = None
    written: list[str] = []
    with ConsoleObserver(quiet=json) as observer:
        checked = check_dataset(
            opened,
            split=split,
            near_m=NEAR_M if near_m is None else near_m,
            embedder=embedder_of(embedding),
            cache=None if out_dir is None else out_dir / _FACTS,
            workers=workers,
            observer=observer,
        )
        if out_dir is not None:
            written = _write(out_dir, checked, observer)
        if fix is not None:
            fixed = fix_dataset(opened, checked, fix, observer=observer)
    if json:
        emit_json({"path": str(dataset), **checked.document(), "fixed": _fixed_document(fixed)})
    else:
        _print(checked, fixed)
        if written:
            out.print(f"Written: {' and '.join(shown(path) for path in written)}")
        idle = sum(not result.judged for result in checked.results)
        unjudged = f" ({idle} of {len(checked.results)} checks had nothing to judge)" if idle else ""
        out.print(f"[bold {_COLOURS[checked.status]}]{checked.status}[/]{unjudged}")
    if checked.status == "FAIL":
        raise typer.Exit(ExitCode.GATE_NOT_MET)


def _write(out_dir: Path, checked: DataCheck, observer: Observer) -> list[str]:
    """JSON always; the page where Jinja is installed. Then the measurements are dropped: the next check reads anew."""
    import shutil

    from workzone.core.errors import MissingExtraError
    from workzone.data.checks.page import write_page
    from workzone.storage.atomic import write_json

    written = [str(out_dir / "check.json")]
    write_json(out_dir / "check.json", checked.document())
    try:
        write_page(out_dir / "check.html", checked, observer)
        written.append(str(out_dir / "check.html"))
    except MissingExtraError as error:
        observer.note(f"check.html is not written. {error}")
    shutil.rmtree(out_dir / _FACTS, ignore_errors=True)
    return written


def _fixed_document(fixed: Fixed | None) -> dict[str, Any] | None:
    if fixed is None:
        return None
    actions = [entry.action for entry in fixed.log]
    return {
        "dataset": str(fixed.dataset.root),
        "sha256": fixed.dataset.sha256,
        "pictures": len(fixed.dataset),
        "removed": actions.count("removed"),
        "changes": actions.count("changed"),
    }


def _print(checked: DataCheck, fixed: Fixed | None) -> None:
    from rich.table import Table

    from workzone.data.checks.check import DESCRIPTOR

    dataset = checked.subject.dataset
    out.print(
        f"{len(dataset):,} pictures of '{shown(dataset.name)}', revision {shown(dataset.revision)}, "
        f"hash {dataset.sha256[:12]}; near-duplicates compared by {DESCRIPTOR}, labels judged by "
        f"{shown(checked.embedding)}."
    )
    table = Table("check", "", "found", "of", "")
    for column in table.columns[2:4]:
        column.justify = "right"
    for result in checked.results:
        table.add_row(
            result.name,
            f"[{_COLOURS[result.status]}]{result.status}[/]"
            if result.judged or result.status != "PASS"
            else "–",
            f"{result.count:,}" if result.of else "–",
            f"{result.of:,}" if result.of else "–",
            shown(result.summary),
        )
    out.print(table)
    for result in checked.results:
        if result.advice:
            out.print(f"[{_COLOURS[result.status]}]{result.status}[/] {result.name}: {shown(result.advice)}")
            for offender in result.offenders[:3]:
                out.print(f"     {shown(offender.path)}: {shown(offender.detail)}")
    if fixed is not None:
        document = _fixed_document(fixed) or {}
        out.print(
            f"New data set: {shown(fixed.dataset.root)}, {document['pictures']:,} pictures; {document['removed']:,} "
            f"removed, {document['changes']:,} changes, each with its reason in fix_log.jsonl."
        )
