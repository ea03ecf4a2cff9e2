from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from workzone.core.errors import ArtifactError
from workzone.core.scores import Scores
from workzone.storage.atomic import write_npz
from workzone.storage.scores import FILE_NAME, read_scores, write_scores

SCORES = Scores(
    ids=np.array(["a", "b"]),
    labels=np.array([1, -1], dtype=np.int8),
    ambiguous=np.array([False, True]),
    groups=np.array(["g", "ä"]),
    logits=np.array([0.1, -2.5]),
    features=np.array([[1, 2], [3, 4]], dtype=np.float32),
)


def test_scores_survive_the_disk(tmp_path: Path) -> None:
    write_scores(tmp_path, SCORES)
    read = read_scores(tmp_path)
    for field in fields(Scores):
        assert getattr(read, field.name).tolist() == getattr(SCORES, field.name).tolist()
        assert getattr(read, field.name).dtype == getattr(SCORES, field.name).dtype


@pytest.mark.parametrize("name", [field.name for field in fields(Scores)])
def test_a_missing_or_short_column_is_an_artifact_error(tmp_path: Path, name: str) -> None:
    columns = {field.name: getattr(SCORES, field.name) for field in fields(Scores)}
    write_npz(tmp_path / FILE_NAME, {n: v for n, v in columns.items() if n != name})
    with pytest.raises(ArtifactError, match=f"{FILE_NAME}.*{name}"):
        read_scores(tmp_path)
    write_npz(tmp_path / FILE_NAME, {**columns, name: columns[name][:1]})
    with pytest.raises(ArtifactError, match=FILE_NAME):
        read_scores(tmp_path)
