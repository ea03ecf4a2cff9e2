from __future__ import annotations

from collections.abc import Iterable

import pytest

from workzone.core.observer import NullObserver, track


class Listener(NullObserver):
    def __init__(self) -> None:
        self.heard: list[tuple[str, int, int | None]] = []

    def progress(self, task: str, done: int, total: int | None) -> None:
        self.heard.append((task, done, total))


@pytest.mark.parametrize(
    ("items", "given", "total"),
    [
        (["a", "b"], None, 2),
        (iter(["a", "b"]), None, None),
        (iter(["a", "b"]), 2, 2),
        ({"a": 1, "b": 2}, None, 2),
    ],
)
def test_every_item_is_reported_once_done(items: Iterable[str], given: int | None, total: int | None) -> None:
    listener = Listener()
    assert list(track(items, listener, "read", given)) == ["a", "b"]
    assert listener.heard == [("read", 0, total), ("read", 1, total), ("read", 2, total)]


def test_an_item_in_hand_is_not_done() -> None:
    listener = Listener()
    tracked = track(["a", "b"], listener, "read")
    next(tracked)
    assert listener.heard == [("read", 0, 2)]
    next(tracked)
    assert listener.heard == [("read", 0, 2), ("read", 1, 2)]


def test_nothing_is_a_task_of_no_steps() -> None:
    listener = Listener()
    assert list(track([], listener, "read")) == []
    assert listener.heard == [("read", 0, 0)]
