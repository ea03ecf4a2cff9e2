"""`workzone data import yolo`: boxes in YOLO's format become a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workzone.cli.console import ConsoleObserver
from workzone.cli.import_coco import BoxesExhaustive, GroupFrom, MinArea, MinSide, Qualifying
from workzone.cli.imports import DropConflicts, Json, Licence, Name, Out, Revision, print_import


def yolo(
    source: Annotated[Path, typer.Argument(help="Directory of the data set, with data.yaml in it.")],
    out_dir: Out,
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
    """Import boxes in YOLO's format: an export of Roboflow or Ultralytics."""
    from workzone.data.importers.importing import import_source
    from workzone.data.importers.label_rule import label_rule
    from workzone.data.importers.yolo import YoloSource
    from workzone.data.writer import check_free

    rule = label_rule(qualifying, min_side, min_area, boxes_exhaustive=boxes_exhaustive)
    check_free(out_dir, overwrite=False)
    with ConsoleObserver(quiet=json) as observer:
        imported = import_source(
            YoloSource(source, rule=rule, group_from=group_from),
            out_dir,
            name=name,
            licence=licence,
            revision=revision,
            drop_conflicts=drop_conflicts,
            observer=observer,
        )
    print_import(imported, out_dir, json=json)
