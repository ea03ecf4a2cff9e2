"""`workzone data fuse`: several data sets become a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workzone.cli.console import ConsoleObserver, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.data.fuse import Fusion


def fuse(
    datasets: Annotated[list[Path], typer.Argument(help="Directories of data sets, at least two.")],
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Directory to create.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the new data set; by default the names joined by +.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Fuse data sets, too, that are known to share pictures.")
    ] = False,
    drop_conflicts: Annotated[
        bool,
        typer.Option("--drop-conflicts", help="Leave out pictures that the data sets label differently."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Fuse data sets: groups stay apart, every sample names its source, shared pictures are one sample."""
    from dataclasses import asdict

    from workzone.cli.tables import print_summary
    from workzone.data.dataset import open_dataset
    from workzone.data.fuse import fuse_datasets
    from workzone.data.summary import summarise

    opened = [open_dataset(path) for path in datasets]
    with ConsoleObserver(quiet=json) as observer:
        fusion = fuse_datasets(
            opened, out_dir, name=name, force=force, drop_conflicts=drop_conflicts, observer=observer
        )
    summary = summarise(fusion.dataset)
    if json:
        emit_json({"dataset": str(out_dir), **_document(fusion), **asdict(summary)})
        return
    _print_inputs(fusion)
    print_summary(summary)
    out.print(f"Data set: {shown(out_dir)}")


def _document(fusion: Fusion) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "inputs": [asdict(item) for item in fusion.inputs],
        "shared": fusion.n_shared,
        "merged_groups": fusion.n_merged_groups,
        "dropped": list(fusion.dropped),
        "renamed_boxes": fusion.renamed_boxes,
        "prefixed_sources": list(fusion.prefixed_sources),
    }


def _print_inputs(fusion: Fusion) -> None:
    from rich.table import Table

    table = Table("from", "revision", "hash", "pictures", "kept")
    for column in table.columns[3:]:
        column.justify = "right"
    for item in fusion.inputs:
        table.add_row(
            shown(item.name), shown(item.revision), item.sha256[:12], f"{item.pictures:,}", f"{item.kept:,}"
        )
    out.print(table)
