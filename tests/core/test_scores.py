from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

from workzone.core.errors import DataError
from workzone.core.scores import Scores

SCORES = Scores(
    ids=np.array(["a", "b", "c", "d"]),
    labels=np.array([1, 0, -1, 1], dtype=np.int8),
    ambiguous=np.array([False, False, False, True]),
    groups=np.array(["g", "g", "h", "h"]),
    logits=np.array([1.0, -1.0, 0.5, 2.0]),
    features=np.arange(8, dtype=np.float32).reshape(4, 2),
)


@pytest.mark.parametrize("name", [field.name for field in fields(Scores)][1:])
def test_a_column_of_another_length_is_named(name: str) -> None:
    with pytest.raises(DataError, match=f"'{name}' has 3 rows, 'ids' has 4"):
        replace(SCORES, **{name: getattr(SCORES, name)[:3]})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_are_finite(value: float) -> None:
    with pytest.raises(DataError, match="1 of 4 logits are not finite"):
        replace(SCORES, logits=np.array([1.0, value, 0.0, 0.0]))


def test_rows_are_taken_from_every_column() -> None:
    for rows in (np.array([False, True, False, True]), np.array([1, 3])):
        taken = SCORES.take(rows)
        assert taken.ids.tolist() == ["b", "d"]
        assert taken.groups.tolist() == ["g", "h"]
        assert taken.features.tolist() == [[2, 3], [6, 7]]
    assert SCORES.take(np.array([], dtype=np.intp)).ids.tolist() == []


def test_unknown_and_ambiguous_pictures_are_not_decided() -> None:
    assert SCORES.decided().ids.tolist() == ["a", "b"]


def test_scores_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        SCORES.logits = np.zeros(4)  # type: ignore[misc]
