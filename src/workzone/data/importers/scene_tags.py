"""Published scene tags in our words, by a table that anyone can read: `natix_tags.yaml`.

Never guesses: a value that the table does not have is null, and is named in a note with how often it came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from workzone.data.importers.cell_values import is_missing, parse_tags

_TABLE = Path(__file__).with_name("natix_tags.yaml")
_SAYS_NOTHING = "says_nothing"
_MAX_UNMAPPED = 100
"""Different values that are counted by name; a table of free text must not fill the memory."""
_SHOWN = 8


@cache
def tag_table() -> Mapping[str, Mapping[str, str | None]]:
    """Return by column: the published value, in lower case → ours, or None where it is known to say nothing.

    Values are in the order in which they win.
    """
    columns = yaml.safe_load(_TABLE.read_text(encoding="utf-8"))
    return {
        column: {
            str(value): None if ours == _SAYS_NOTHING else ours
            for ours, values in meanings.items()
            for value in values
        }
        for column, meanings in columns.items()
    }


class SceneTags:
    """Maps tags, and counts those that the table does not have."""

    def __init__(self) -> None:
        self._unmapped: Counter[tuple[str, str]] = Counter()
        self._more = 0

    def ours(self, column: str, cell: Any) -> str | None:
        """Return our value for a cell of one of the table's columns; None where it says nothing that we know."""
        table = tag_table()[column]
        found: set[str | None] = set()
        for tag in parse_tags(cell):
            word = tag.casefold()
            if word in table:
                found.add(table[word])
            elif not is_missing(tag):
                self._count(column, tag[:80])
        return next((ours for ours in table.values() if ours is not None and ours in found), None)

    def notes(self) -> list[str]:
        """Return what a person should know: the values that are not in the table."""
        sentences = []
        for column in tag_table():
            values = Counter({tag: n for (at, tag), n in self._unmapped.items() if at == column})
            if values:
                shown = ", ".join(f"'{tag}' ({n:,})" for tag, n in values.most_common(_SHOWN))
                more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
                sentences.append(
                    f"Values of '{column}' that {_TABLE.name} does not have are kept as null: {shown}{more}."
                )
        if self._more:
            sentences.append(
                f"{self._more:,} further tags were not counted by name: there were too many kinds."
            )
        return sentences

    def _count(self, column: str, tag: str) -> None:
        if (column, tag) in self._unmapped or len(self._unmapped) < _MAX_UNMAPPED:
            self._unmapped[column, tag] += 1
        else:
            self._more += 1
