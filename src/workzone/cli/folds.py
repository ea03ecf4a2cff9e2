"""`workzone folds`: the folds of a group k-fold, measured together and never certified."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workzone.cli.console import emit_json, out


def folds(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Directories of the runs, one a fold.")
    ],
    resamples: Annotated[
        int, typer.Option(min=100, max=100_000, help="Bootstrap resamples of groups.")
    ] = 2000,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Measure the test predictions of all folds of a group k-fold together. Nothing is certified on them."""
    from rich.table import Table

    from workzone.evaluation.records import to_json
    from workzone.phases.pooled_folds import pool_folds

    found = pool_folds(runs, n_resamples=resamples)
    if json:
        emit_json({"runs": [str(run) for run in runs], **to_json(found)})
        return
    table = Table("fold", "split", "pictures", "groups", "MCC", "AUROC")
    for column in table.columns[2:]:
        column.justify = "right"
    for fold in found.folds:
        ranked = "–" if fold.auroc is None else f"{fold.auroc:.3f}"
        table.add_row(
            str(fold.fold),
            fold.split_sha256[:12],
            f"{fold.n:,}",
            f"{fold.n_groups:,}",
            f"{fold.mcc:.3f}",
            ranked,
        )
    out.print(table)
    interval = "" if found.low is None else f" ({found.low:.3f} to {found.high:.3f})"
    out.print(
        f"All folds: MCC {found.mcc:.3f}{interval} on {found.n:,} pictures of {found.n_groups:,} groups."
    )
    out.print(found.statement)
