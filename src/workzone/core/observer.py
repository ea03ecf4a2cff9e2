"""How libraries tell of their progress without knowing who listens.

A library calls an `Observer`; the command line draws bars, tests record, a service counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Protocol, TypeVar

T = TypeVar("T")


class Observer(Protocol):
    """Someone who wants to know how far a task is."""

    def progress(self, task: str, done: int, total: int | None) -> None:
        """`done` of `total` steps of `task` are finished; `total` is None while it is unknown."""

    def note(self, message: str) -> None:
        """One sentence that a person should read: a warning, or why something is done."""


class NullObserver:
    """Listens to nothing."""

    def progress(self, task: str, done: int, total: int | None) -> None:
        """Ignore it."""

    def note(self, message: str) -> None:
        """Ignore it."""


def track(items: Iterable[T], observer: Observer, task: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`, reporting each as done once the consumer asks for the next."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    observer.progress(task, 0, total)
    for done, item in enumerate(items, 1):
        yield item
        observer.progress(task, done, total)
