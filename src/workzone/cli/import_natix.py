"""`workzone data import natix`: the data set of Bittensor subnet 72."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workzone.cli.console import ConsoleObserver
from workzone.cli.imports import DropConflicts, Json, Licence, Name, Out, print_import

Local = Annotated[
    Path | None, typer.Argument(help="A Parquet file, or a directory of them.", show_default=False)
]
Hub = Annotated[
    str | None,
    typer.Option("--hub", help="OWNER/NAME of a data set on the Hugging Face hub, instead of local files."),
]
Revision = Annotated[
    str | None,
    typer.Option(
        help="With --hub: the commit, 40 hexadecimal digits. Else: which state of the data set this is."
    ),
]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Threads that read and decode.")]


def natix(
    out_dir: Out,
    path: Local = None,
    hub: Hub = None,
    revision: Revision = None,
    source: Annotated[
        str, typer.Option(help="What the column 'source' and the groups say, to tell data sets apart.")
    ] = "natix",
    name: Name = None,
    licence: Licence = "unknown",
    drop_conflicts: DropConflicts = False,
    workers: Workers = 2,
    json: Json = False,
) -> None:
    """Import Parquet files of natix-network-org/roadwork, local or at a commit of the hub."""
    from workzone.data.importers.importing import import_source
    from workzone.data.importers.natix import NatixSource

    with ConsoleObserver(quiet=json) as observer:
        place = local_files(path, hub, revision, observer)
        imported = import_source(
            NatixSource(place, source=source),
            out_dir,
            name=name,
            revision=revision or "1",
            licence=licence,
            drop_conflicts=drop_conflicts,
            workers=workers,
            observer=observer,
        )
    print_import(imported, out_dir, json=json)


def local_files(path: Path | None, hub: str | None, revision: str | None, observer: ConsoleObserver) -> Path:
    """Return where the files are, fetched from the hub where it is named.

    Raises:
        ConfigError: Neither a path nor a repository is named, or both are.
    """
    from workzone.core.errors import ConfigError
    from workzone.data.importers.hub import download_dataset

    if (path is None) == (hub is None):
        raise ConfigError("Name either local files, or a data set of the hub with --hub OWNER/NAME.")
    if path is not None:
        return path
    assert hub is not None
    return download_dataset(hub, revision, observer=observer)
