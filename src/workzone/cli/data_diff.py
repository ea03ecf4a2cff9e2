"""`workzone data diff`: what differs between two data sets, or two revisions of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workzone.cli.console import ConsoleObserver, emit_json, out, shown

if TYPE_CHECKING:
    from workzone.data.diff import DataSetDiff


def diff(
    first: Annotated[Path, typer.Argument(metavar="A", help="Directory of the data set before.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Directory of the data set after.")],
    examples: Annotated[int, typer.Option(min=1, max=1000, help="Shown of each kind of difference.")] = 5,
    pictures: Annotated[
        bool,
        typer.Option("--pictures", help="Also read every picture of both, to prove that none was changed."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say what differs: pictures added and removed, values of each column, groups split and merged, objects.

    Exits with 0 whether or not something differs.
    """
    from dataclasses import asdict

    from workzone.data.dataset import open_dataset, verify_pictures
    from workzone.data.diff import diff_datasets

    before, after = open_dataset(first), open_dataset(second)
    if pictures:
        with ConsoleObserver(quiet=json) as observer:
            for dataset in (before, after):
                verify_pictures(dataset, observer)
    found = diff_datasets(before, after, examples)
    if json:
        emit_json({"pictures_read": pictures, **asdict(found)})
    else:
        _print(found, pictures=pictures)


def _print(found: DataSetDiff, *, pictures: bool) -> None:
    from workzone.data.diff import differences

    read = ", every picture read" if pictures else ""
    if found.identical:
        out.print(f"Identical: both have the hash {found.sha256[0][:12]}{read}.")
        return
    out.print(
        f"Hash {found.sha256[0][:12]} became {found.sha256[1][:12]}; {found.common:,} samples in both{read}."
    )
    for sentence in differences(found):
        out.print(f"- {sentence}", markup=False)
    _print_examples(found)


def _print_examples(found: DataSetDiff) -> None:
    from rich.table import Table

    table = Table("what", "sample or group", "before", "after")
    for what, only in (("added", found.added), ("removed", found.removed)):
        for sample_id in only.examples:
            table.add_row(what, sample_id[:12])
    for column in found.columns:
        for change in column.examples:
            table.add_row(column.column, change.sample_id[:12], shown(change.before), shown(change.after))
    for regrouped in found.groups.splits:
        table.add_row("split", shown(regrouped.group), "", shown(", ".join(regrouped.others)))
    for regrouped in found.groups.merges:
        table.add_row("merged", shown(regrouped.group), shown(", ".join(regrouped.others)), "")
    for what, counts in (("object added", found.boxes.added), ("object removed", found.boxes.removed)):
        for kind, count in counts:
            table.add_row(
                what, shown(kind), *(["", str(count)] if what == "object added" else [str(count), ""])
            )
    if table.row_count:
        out.print(table)
