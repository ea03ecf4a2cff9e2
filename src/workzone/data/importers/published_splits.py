"""How published data sets name the parts of their own split, in directories and in names of files.

What was trained or tested on elsewhere is kept as the column `published_split`: "train", "val" (however it is spelt),
"test", and the two that only ROADWork's `geographic_da` has, "pretrain" and "unsupervised".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_WORDS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "pretrain": "pretrain",
    "unsupervised": "unsupervised",
}
_YEAR = re.compile(r"(?P<word>[a-z]+)(?P<year>\d{4})")
_FILLERS = ("with", "gt")
"""What ROADWork adds to one part's name alone: `geographic_da_unsupervised_with_gt`."""

PROTECTED_FIRST = ("test", "val", "unsupervised", "pretrain", "train")
"""A picture that two parts name belongs to the first of them here: nothing of a test may be in train."""


def part_named(word: str) -> str | None:
    """Return the part that a word names, as "val" for "valid" or "val2017", or None."""
    year = _YEAR.fullmatch(word.lower())
    return _WORDS.get(year["word"] if year else word.lower())


def family_and_part(stem: str) -> tuple[str, str | None]:
    """Return what is common to the files of one split, and the part that this file holds.

    >>> family_and_part("instances_train_gps_split_with_signs")
    ('instances_gps_split_with_signs', 'train')
    >>> family_and_part("instances_geographic_da_unsupervised_with_gt")
    ('instances_geographic_da', 'unsupervised')
    >>> family_and_part("instances_val2017"), family_and_part("labels")
    (('instances_2017', 'val'), ('labels', None))
    """
    words = stem.split("_")
    for at, word in enumerate(words):
        part = part_named(word)
        if part is None:
            continue
        year = _YEAR.fullmatch(word.lower())
        after = words[at + 1 :]
        if part == "unsupervised" and tuple(after[:2]) == _FILLERS:
            after = after[2:]
        return "_".join([*words[:at], *([year["year"]] if year else []), *after]), part
    return stem, None


def protected_first(part: str | None) -> int:
    """Return the rank of a part in `PROTECTED_FIRST`; other files come last."""
    return PROTECTED_FIRST.index(part) if part in PROTECTED_FIRST else len(PROTECTED_FIRST)
