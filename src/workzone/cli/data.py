"""`workzone data`: make, import, check, fuse, split and look at data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workzone.cli import (
    data_check,
    data_diff,
    data_fuse,
    data_regroup,
    import_coco,
    import_hf,
    import_natix,
    import_yolo,
    imports,
)
from workzone.cli.console import ConsoleObserver, emit_json, out, shown

app = typer.Typer(help="Make, import, check, fuse, split and look at data sets.", no_args_is_help=True)
importers = typer.Typer(help="Bring pictures from elsewhere into a data set.", no_args_is_help=True)
app.add_typer(importers, name="import")
importers.command("folder")(imports.folder)
importers.command("natix")(import_natix.natix)
importers.command("coco")(import_coco.coco)
importers.command("yolo")(import_yolo.yolo)
importers.command("hf")(import_hf.hf)
app.command("check")(data_check.check)
app.command("diff")(data_diff.diff)
app.command("fuse")(data_fuse.fuse)
app.command("regroup")(data_regroup.regroup)

Json = Annotated[bool, typer.Option("--json", help="For machines.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Directory to create.")]
NearDuplicates = Annotated[
    bool,
    typer.Option(
        "--near-duplicates/--no-near-duplicates",
        help="Deal groups that share near-duplicate pictures as one; reads every picture.",
    ),
]


@importers.callback()
def import_group() -> None:
    """Bring pictures from elsewhere into a data set."""


@app.command()
def render(
    out_dir: Out,
    sequences: Annotated[int, typer.Option(min=4, max=1_000_000, help="How many sequences (groups).")] = 400,
    frames: Annotated[int, typer.Option(min=1, max=100, help="Frames a sequence.")] = 2,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another world.")] = 0,
    roadwork_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of sequences with road work.")
    ] = 0.5,
    shift: Annotated[str, typer.Option(help="none, night, snow, city or camera: a changed world.")] = "none",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 2,
    json: Json = False,
) -> None:
    """Render the embedded data set: street scenes, half of them with road work."""
    from workzone.core.errors import ConfigError, nearest
    from workzone.data.render import render_dataset
    from workzone.data.scenes.world import Shift

    if shift not in list(Shift):
        raise ConfigError(f"There is no shift '{shift}'.{nearest(shift, list(Shift))}")
    with ConsoleObserver(quiet=json) as observer:
        dataset = render_dataset(
            out_dir,
            sequences=sequences,
            frames=frames,
            seed=seed,
            roadwork_share=roadwork_share,
            shift=Shift(shift),
            workers=workers,
            observer=observer,
        )
    if json:
        emit_json({"dataset": str(out_dir), "pictures": dataset.samples.num_rows, "sha256": dataset.sha256})
    else:
        out.print(f"{dataset.samples.num_rows} pictures in {shown(out_dir)}  (hash {dataset.sha256[:12]})")


@app.command()
def split(
    dataset: Annotated[Path, typer.Argument(help="Directory of the data set.")],
    out_dir: Out,
    by: Annotated[
        str, typer.Option(help="What decides who is test: group, place, source, time or published.")
    ] = "group",
    train: Annotated[float, typer.Option(help="Share of groups.")] = 0.40,
    select: Annotated[float, typer.Option(help="Share of groups.")] = 0.15,
    calib: Annotated[float, typer.Option(help="Share of groups.")] = 0.25,
    test: Annotated[float, typer.Option(help="Share of groups.")] = 0.20,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    folds: Annotated[int | None, typer.Option(min=2, help="Group k-fold: how many folds.")] = None,
    fold: Annotated[int, typer.Option(min=0, help="Group k-fold: which fold is test.")] = 0,
    min_distance_m: Annotated[
        float | None,
        typer.Option(
            "--min-distance-m", metavar="METRES", help="By place: between two roles; 100 by default."
        ),
    ] = None,
    train_source: Annotated[
        list[str] | None, typer.Option(help="By source: one of train, select and calib; may be repeated.")
    ] = None,
    test_source: Annotated[
        list[str] | None, typer.Option(help="By source: one of test; may be repeated.")
    ] = None,
    near_duplicates: NearDuplicates = True,
    cache: Annotated[
        Path | None, typer.Option(help="Keep what is measured of pictures in this directory.")
    ] = None,
    json: Json = False,
) -> None:
    """Deal whole groups to train, select, calib and test.

    By place no two roles come closer than a distance; by source test is from other sources; by time test is the newest;
    published honours the publisher's split (val becomes select; without a published test, val is test).
    """
    from dataclasses import asdict

    from workzone.cli.tables import print_summary
    from workzone.core.errors import ConfigError
    from workzone.data.dataset import open_dataset
    from workzone.data.split import write_split
    from workzone.data.summary import summarise
    from workzone.phases.recipe import SplitSection, checked
    from workzone.phases.split import split_of
    from workzone.storage.atomic import atomic_directory

    settings = checked(
        SplitSection,
        by=by,
        train=train,
        select=select,
        calib=calib,
        test=test,
        seed=seed,
        folds=folds,
        fold=fold,
        min_distance_m=min_distance_m,
        train_sources=tuple(train_source or ()),
        test_sources=tuple(test_source or ()),
        near_duplicates=near_duplicates,
    )
    if out_dir.exists():
        raise ConfigError(f"'{out_dir}' exists. A split is never written over: name a new directory.")
    opened = open_dataset(dataset)
    with ConsoleObserver(quiet=json) as observer:
        made = split_of(opened, settings, observer, cache)
    with atomic_directory(out_dir) as directory:
        write_split(made, directory)
    summary = summarise(opened, made)
    if json:
        emit_json({"split": str(out_dir), "split_sha256": made.sha256, **asdict(summary)})
    else:
        print_summary(summary)
        out.print(f"Split: {shown(out_dir)}")


@app.command()
def show(
    dataset: Annotated[Path, typer.Argument(help="Directory of the data set.")],
    split_dir: Annotated[
        Path | None, typer.Option("--split", help="Count by the roles of this split too.")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet (PNG or JPEG) here.")] = None,
    pictures: Annotated[int, typer.Option(min=1, max=400, help="Pictures on the sheet.")] = 40,
    json: Json = False,
) -> None:
    """Count a data set by split, label and condition; optionally draw a contact sheet."""
    from dataclasses import asdict

    from workzone.cli.tables import print_summary
    from workzone.data.dataset import open_dataset
    from workzone.data.sheet import dataset_sheet
    from workzone.data.split import read_split
    from workzone.data.summary import summarise

    opened = open_dataset(dataset)
    made = read_split(split_dir) if split_dir is not None else None
    summary = summarise(opened, made)
    if sheet is not None:
        dataset_sheet(opened, sheet, count=pictures)
    if json:
        emit_json(asdict(summary))
        return
    print_summary(summary)
    if sheet is not None:
        out.print(f"Contact sheet: {shown(sheet)}")
