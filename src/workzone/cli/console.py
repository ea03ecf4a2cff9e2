"""What every command shares: output for people or machines, progress bars, and the one error boundary."""

from __future__ import annotations

import json
import sys
import time
from enum import IntEnum
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

SHOW_AFTER_S = 2.0
"""A bar that is done sooner would only flicker."""


class ExitCode(IntEnum):
    """What the process says to its caller."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    GATE_NOT_MET = 3


PIPE_WIDTH = 120
"""Columns of a table where no terminal says how wide it is."""

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)
"""Results."""
err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, notes and errors: a pipe sees none of it."""


def shown(text: object) -> str:
    """Return a text that comes from outside as it can be printed: not as markup, and bytes that are no text escaped."""
    return escape(str(text).encode("utf-8", "backslashreplace").decode("utf-8"))


def emit_json(value: Any) -> None:
    """Write one JSON document for machines to standard output, in ASCII: file names may hold what is no text."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def emit_json_line(value: Any) -> None:
    """Write one JSON line to standard output and flush it, so that a pipe sees it at once."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")
    sys.stdout.flush()


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f}/s" if speed else "", style="dim")


class ConsoleObserver:
    """Shows progress as bars with rate and time left, once a task takes longer than two seconds.

    Where standard error is no terminal, each task is one line when it ends, so that logs stay readable.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}

    def __enter__(self) -> ConsoleObserver:
        if not self._quiet and err.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                _Rate(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=err,
                transient=True,
            )
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def progress(self, task: str, done: int, total: int | None) -> None:
        """Move the bar of `task`, or report its end."""
        now = time.monotonic()
        if done == 0 or task not in self._started:
            self._started[task] = now
        seconds = now - self._started[task]
        finished = total is not None and done >= total
        if self._bars is not None:
            self._move_bar(task, done, total, show=seconds >= SHOW_AFTER_S)
        if finished and seconds >= SHOW_AFTER_S and not self._quiet:
            err.print(f"[dim]{task}: {done} in {seconds:.0f} s[/dim]")

    def note(self, message: str) -> None:
        """Print one sentence."""
        if not self._quiet:
            err.print(f"[yellow]note[/yellow] {shown(message)}")

    def _move_bar(self, task: str, done: int, total: int | None, *, show: bool) -> None:
        bars = self._bars
        if bars is None:
            return
        if task not in self._tasks:
            self._tasks[task] = bars.add_task(task, total=total, visible=False)
        finished = total is not None and done >= total
        bars.update(self._tasks[task], completed=done, total=total, visible=show and not finished)
