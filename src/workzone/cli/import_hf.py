"""`workzone data import hf`: an image classification data set as the `datasets` library writes it."""

from __future__ import annotations

from typing import Annotated

import typer

from workzone.cli.console import ConsoleObserver
from workzone.cli.import_natix import Hub, Local, Revision, Workers, local_files
from workzone.cli.imports import DropConflicts, Json, Licence, Name, Out, print_import


def hf(
    out_dir: Out,
    path: Local = None,
    hub: Hub = None,
    revision: Revision = None,
    image_column: Annotated[str | None, typer.Option(help="Needed where several hold pictures.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Needed where it is not plain.")] = None,
    label_map: Annotated[
        str | None,
        typer.Option(help="What each class means: 'roadwork=1,clear road=0'; 1, 0 or -1 (unknown)."),
    ] = None,
    group_column: Annotated[
        str | None, typer.Option(help="Names the sequence or place of a picture.")
    ] = None,
    name: Name = None,
    licence: Licence = "unknown",
    drop_conflicts: DropConflicts = False,
    workers: Workers = 2,
    json: Json = False,
) -> None:
    """Import a Hugging Face image data set: Parquet, a directory of save_to_disk, or a commit of the hub."""
    from workzone.data.importers.huggingface import HubImagesSource, parse_label_map
    from workzone.data.importers.importing import import_source

    meanings = None if label_map is None else parse_label_map(label_map)
    with ConsoleObserver(quiet=json) as observer:
        place = local_files(path, hub, revision, observer)
        source = HubImagesSource(
            place,
            image_column=image_column,
            label_column=label_column,
            label_map=meanings,
            group_column=group_column,
            # With its owner: 'roadwork' alone would pass for another collection than natix-network-org's.
            name=name or (None if hub is None else hub.replace("/", "-")),
            source=hub,
        )
        imported = import_source(
            source,
            out_dir,
            name=name,
            revision=revision or "1",
            licence=licence,
            drop_conflicts=drop_conflicts,
            workers=workers,
            observer=observer,
        )
    print_import(imported, out_dir, json=json)
