"""Counts of what happened to single boxes and pictures, told as sentences.

An import notes what it did to a thousand boxes once, with the number and the first place, not a thousand times.
Loading runs in several threads, so counting is locked. After an interruption the counts are of the last attempt
only.
"""

from __future__ import annotations

from threading import Lock


class Tally:
    """Counts by sentence; `notes` holds the sentences with their counts so far."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._lock = Lock()
        self._found: dict[str, tuple[int, int, str]] = {}

    def add(self, sentence: str, place: str = "", count: int = 1) -> None:
        """Count something.

        Args:
            sentence: With `{n}` where the number goes.
            place: Where it was found; the first is told.
            count: How often.
        """
        with self._lock:
            before, at, first = self._found.get(sentence, (0, len(self.notes), place))
            self._found[sentence] = (before + count, at, first)
            text = sentence.replace("{n}", f"{before + count:,}")
            note = f"{text} First: {first}." if first else text
            self.notes[at : at + 1] = [note]
