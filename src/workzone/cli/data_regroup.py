"""`workzone data regroup`: groups that show the same place, or nearly the same pictures, become one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workzone.cli.console import ConsoleObserver, emit_json, out, shown


def regroup(
    dataset: Annotated[Path, typer.Argument(help="Directory of the data set; it stays as it is.")],
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Directory to create.")],
    near_duplicates: Annotated[
        bool, typer.Option("--near-duplicates", help="Merge groups that share near-duplicate pictures.")
    ] = False,
    within_m: Annotated[
        float | None,
        typer.Option("--within-m", metavar="METRES", help="Merge groups with pictures this close in place."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep what is measured of pictures in this directory.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Write a new data set whose linked groups are merged, so that a certificate counts them once.

    Pictures are hard-linked where that is possible; regroup_log.jsonl says what was merged.
    """
    from workzone.core.errors import ConfigError
    from workzone.data.dataset import open_dataset
    from workzone.data.regroup import REGROUP_LOG, regroup_dataset
    from workzone.data.writer import check_free
    from workzone.phases.split import linked_units

    check_free(out_dir, overwrite=False)
    opened = open_dataset(dataset)
    with ConsoleObserver(quiet=json) as observer:
        units = linked_units(opened, within_m, near_duplicates, cache=cache, observer=observer)
        if units is None:
            raise ConfigError("Say what links groups: --near-duplicates, --within-m METRES, or both.")
        done = regroup_dataset(opened, units, out_dir, observer=observer)
    if json:
        emit_json(
            {
                "dataset": str(out_dir),
                "sha256": done.dataset.sha256,
                "pictures": len(done.dataset),
                "groups_before": done.n_groups_before,
                "groups": done.n_groups,
                "merged": done.n_merged,
                "hard_links": done.n_linked,
            }
        )
        return
    out.print(
        f"{done.n_groups_before} groups became {done.n_groups}: {done.n_merged} of them were several "
        f"({REGROUP_LOG})."
    )
    out.print(f"Data set: {shown(out_dir)}  (hash {done.dataset.sha256[:12]})")
