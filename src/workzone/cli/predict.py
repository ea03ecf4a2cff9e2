"""`workzone predict`: ask a bundle about pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workzone.cli.console import ConsoleObserver, ExitCode, emit_json, emit_json_line, out, shown
from workzone.cli.predict_timing import print_row, timed_to_console

if TYPE_CHECKING:
    from workzone.engine.batch import AnswersMany
    from workzone.engine.results import ResultRow


def predict(
    bundle: Annotated[Path, typer.Argument(help="Directory of the bundle, or of a cascade.")],
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
    timing: Annotated[bool, typer.Option("--timing", help="Say where each picture's time goes.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="With --timing: runs that count.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="One JSON line a picture.")] = False,
) -> None:
    """Answer pictures: probability, verdict and latency of each.

    A picture that cannot be read is reported and spoils no other; the exit code is then 1.
    """
    from workzone.engine.batch import find_pictures
    from workzone.engine.results import to_row

    if timing:
        _refuse_with_timing({"--out": out_file, "--format": form, "--batch": batch, "--restart": restart})
        if timed_to_console(bundle, find_pictures(images), repeats, json=json):
            raise typer.Exit(ExitCode.FAILED)
        return
    predictor = _opened(bundle)
    pictures = find_pictures(images)
    if out_file is not None:
        failed = _to_file(predictor, pictures, out_file, form, batch, restart=restart, json=json)
    else:
        rows = (to_row(answer) for answer in predictor.predict_many(pictures, batch))
        failed = _to_console(rows, json=json)
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def _opened(path: Path) -> AnswersMany:
    from workzone.bundle.cascade import is_cascade
    from workzone.engine.cascade_predictor import open_cascade_predictor
    from workzone.engine.predictor import open_predictor

    return open_cascade_predictor(path) if is_cascade(path) else open_predictor(path)


def _refuse_with_timing(options: Mapping[str, object]) -> None:
    from workzone.core.errors import ConfigError

    if given := [name for name, value in options.items() if value]:
        raise ConfigError(
            f"--timing answers one picture at a time and prints; it does not go with {' and '.join(given)}."
        )


def _to_file(
    predictor: AnswersMany,
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

    failed = 0
    for row in rows:
        failed += row.error is not None
        if json:
            emit_json_line(asdict(row))
        else:
            print_row(row)
    return failed
