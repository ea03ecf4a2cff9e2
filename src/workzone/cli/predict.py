"""`workzone predict`: ask a bundle about pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workzone.cli.console import ConsoleObserver, ExitCode, emit_json, emit_json_line, out, shown

if TYPE_CHECKING:
    from workzone.engine.predictor import Predictor
    from workzone.engine.results import ResultRow


def predict(
    bundle: Annotated[Path, typer.Argument(help="Directory of the bundle.")],
    images: Annotated[list[Path], typer.Argument(help="Pictures, or directories of pictures.")],
    out_file: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write to this .jsonl, .csv or .parquet; resumable.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="jsonl, csv or parquet, where the name does not say.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Pictures at once; by default the bundle's largest.")
    ] = None,
    restart: Annotated[bool, typer.Option(help="Begin anew instead of resuming an interrupted run.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON line a picture.")] = False,
) -> None:
    """Answer pictures: probability, verdict and latency of each.

    A picture that cannot be read is reported and spoils no other; the exit code is then 1.
    """
    from workzone.engine.batch import find_pictures
    from workzone.engine.predictor import open_predictor
    from workzone.engine.results import to_row

    predictor = open_predictor(bundle)
    pictures = find_pictures(images)
    if out_file is not None:
        failed = _to_file(predictor, pictures, out_file, form, batch, restart=restart, json=json)
    else:
        rows = (to_row(answer) for answer in predictor.predict_many(pictures, batch))
        failed = _to_console(rows, json=json)
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def _to_file(
    predictor: Predictor,
    pictures: list[Path],
    out_file: Path,
    form: str | None,
    batch: int | None,
    *,
    restart: bool,
    json: bool,
) -> int:
    from workzone.engine.batch import predict_to_file
    from workzone.engine.results import result_format

    with ConsoleObserver(quiet=json) as observer:
        summary = predict_to_file(
            predictor,
            pictures,
            out_file,
            result_format(out_file, form),
            batch=batch,
            restart=restart,
            observer=observer,
        )
    if json:
        emit_json({"out": str(out_file), "pictures": summary.pictures, "failed": summary.failed})
    else:
        failures = f", {summary.failed} without an answer (see the column 'error')" if summary.failed else ""
        out.print(f"{summary.pictures} pictures in {shown(out_file)}{failures}")
    return summary.failed


def _to_console(rows: Iterable[ResultRow], *, json: bool) -> int:
    from dataclasses import asdict

    colours = {"roadwork": "yellow", "none": "green", "defer": "cyan"}
    failed = 0
    for row in rows:
        failed += row.error is not None
        if json:
            emit_json_line(asdict(row))
        elif row.error is not None:
            out.print(f"[red]error[/red] {shown(row.error)}")
        else:
            verdict = str(row.verdict)
            out.print(
                f"{shown(row.image)}  probability {row.probability:.3f}  "
                f"[{colours[verdict]}]{verdict}[/{colours[verdict]}]  {row.latency_ms:.0f} ms"
            )
    return failed
