"""`workzone data import`: pictures in some format become a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workzone.cli.console import ConsoleObserver, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.data.importers.importing import Import

Json = Annotated[bool, typer.Option("--json", help="For machines.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Directory to create.")]
Name = Annotated[str | None, typer.Option(help="Name of the data set; by default the source's.")]
Licence = Annotated[str, typer.Option(help="Licence of the pictures.")]
Revision = Annotated[str, typer.Option(help="Which state of the data set this is.")]
DropConflicts = Annotated[
    bool,
    typer.Option(
        "--drop-conflicts", help="Leave out identical pictures with conflicting labels or groups, all copies."
    ),
]


def print_import(imported: Import, out_dir: Path, *, json: bool) -> None:
    """Print what came of an import: counts for people, or one JSON object."""
    from dataclasses import asdict

    from workzone.cli.tables import print_summary
    from workzone.data.summary import summarise

    summary = summarise(imported.dataset)
    if json:
        emit_json(
            {
                "dataset": str(out_dir),
                "skipped": len(imported.skipped),
                "duplicates": imported.duplicates,
                "notes": list(imported.notes),
                **asdict(summary),
            }
        )
        return
    print_summary(summary)
    out.print(f"Data set: {shown(out_dir)}")


def folder(
    source: Annotated[Path, typer.Argument(help="Directory with a sub-directory a class, or with a CSV.")],
    out_dir: Out,
    csv: Annotated[
        Path | None, typer.Option(help="Table with columns file and label (1, 0, -1 or words).")
    ] = None,
    group_from: Annotated[
        str | None,
        typer.Option(help="Regular expression on the path; its first group names the sequence or place."),
    ] = None,
    name: Name = None,
    licence: Licence = "unknown",
    revision: Revision = "1",
    drop_conflicts: DropConflicts = False,
    json: Json = False,
) -> None:
    """Import a folder of pictures: class sub-directories, or a CSV."""
    from workzone.data.importers.folder import import_folder

    with ConsoleObserver(quiet=json) as observer:
        imported = import_folder(
            source,
            out_dir,
            csv=csv,
            group_from=group_from,
            name=name,
            licence=licence,
            revision=revision,
            drop_conflicts=drop_conflicts,
            observer=observer,
        )
    print_import(imported, out_dir, json=json)
