"""How `workzone predict` shows an answer, and with `--timing` where its time went."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from workzone.cli.console import emit_json_line, out, shown

if TYPE_CHECKING:
    from workzone.engine.results import ResultRow
    from workzone.engine.timing import Timing

_COLOURS = {"roadwork": "yellow", "none": "green", "defer": "cyan"}


def print_row(row: ResultRow) -> None:
    """Print one answer, or the error instead of it."""
    if row.error is not None:
        out.print(f"[red]error[/red] {shown(row.error)}")
        return
    verdict = str(row.verdict)
    stage = "" if row.stage == "model" else f"  by stage {shown(row.stage)}"
    out.print(
        f"{shown(row.image)}  probability {row.probability:.3f}  "
        f"[{_COLOURS[verdict]}]{verdict}[/{_COLOURS[verdict]}]  {row.latency_ms:.0f} ms{stage}"
    )


def timed_to_console(bundle: Path, pictures: Iterable[Path], repeats: int, *, json: bool) -> int:
    """Answer pictures one by one, print each with its times, and return how many have no answer."""
    from dataclasses import asdict

    from workzone.engine.results import to_row
    from workzone.engine.timing import open_timed

    timed = open_timed(bundle)
    if not json:
        out.print(f"Opened in {timed.opened_ms:.0f} ms: hashes, network, golden pictures.")
    failed = 0
    for path in pictures:
        found = timed.time(path, repeats)
        row = to_row(found.answer)
        failed += row.error is not None
        if json:
            timing = None if found.timing is None else asdict(found.timing)
            emit_json_line({**asdict(row), "opened_ms": timed.opened_ms, "timing": timing})
            continue
        print_row(row)
        if found.timing is not None:
            _print_timing(found.timing)
    return failed


def _print_timing(timing: Timing) -> None:
    from rich.table import Table

    table = Table("step", "first ms", "median ms", "share")
    for column in table.columns[1:]:
        column.justify = "right"
    for step in timing.steps:
        table.add_row(str(step.step), f"{step.first_ms:.3f}", f"{step.median_ms:.3f}", f"{step.share:.1%}")
    table.add_section()
    table.add_row("total", f"{timing.first_ms:.3f}", f"{timing.median_ms:.3f}", "100.0%")
    out.print(table)
    out.print(f"{timing.repeats} runs after a warm-up, {timing.low_ms:.3f} to {timing.high_ms:.3f} ms.")
