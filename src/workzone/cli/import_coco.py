"""`workzone data import coco`: boxes in COCO's format become a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workzone.cli.console import ConsoleObserver
from workzone.cli.imports import DropConflicts, Json, Licence, Name, Out, Revision, print_import

Qualifying = Annotated[
    str | None,
    typer.Option(
        help="Objects of which one makes a picture road work, as 'cone,drum,worker'; apart by commas."
    ),
]
MinArea = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the picture that such an object must cover.")
]
MinSide = Annotated[float, typer.Option(min=0, help="Pixels that both its sides must have.")]
BoxesExhaustive = Annotated[
    bool,
    typer.Option(
        "--boxes-exhaustive",
        help="Every object is marked: a picture without such an object is 'none', not unknown.",
    ),
]
GroupFrom = Annotated[
    str | None,
    typer.Option(
        help="Regular expression on the path; its first group names the sequence or place. Default: by the name's clip."
    ),
]


def coco(
    source: Annotated[Path, typer.Argument(help="Directory of the data set.")],
    out_dir: Out,
    annotations: Annotated[
        list[str] | None,
        typer.Option(
            help="JSON files, relative to the directory, as 'annotations/instances_*_gps_split.json'; may be repeated."
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(help="Directory of the pictures, relative to the first; found by itself if it can be."),
    ] = None,
    qualifying: Qualifying = None,
    min_area: MinArea = 0.0,
    min_side: MinSide = 0.0,
    boxes_exhaustive: BoxesExhaustive = False,
    group_from: GroupFrom = None,
    name: Name = None,
    licence: Licence = "unknown",
    revision: Revision = "1",
    drop_conflicts: DropConflicts = False,
    json: Json = False,
) -> None:
    """Import boxes in COCO's format: COCO, ROADWork, or Roboflow's export."""
    from workzone.data.importers.coco import CocoSource
    from workzone.data.importers.importing import import_source
    from workzone.data.importers.label_rule import label_rule
    from workzone.data.writer import check_free

    rule = label_rule(qualifying, min_side, min_area, boxes_exhaustive=boxes_exhaustive)
    check_free(out_dir, overwrite=False)  # before large annotations are read
    with ConsoleObserver(quiet=json) as observer:
        imported = import_source(
            CocoSource(
                source,
                annotations=tuple(annotations or ()),
                images=images,
                rule=rule,
                group_from=group_from,
                observer=observer,
            ),
            out_dir,
            name=name,
            licence=licence,
            revision=revision,
            drop_conflicts=drop_conflicts,
            observer=observer,
        )
    print_import(imported, out_dir, json=json)
