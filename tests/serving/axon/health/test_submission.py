from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workzone.core.errors import ArtifactError, DataError
from workzone.serving.axon.health.submission import submitted_at

CREATED = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_cards_time_counts(tmp_path: Path) -> None:
    card = tmp_path / "model_card.json"
    card.write_text(json.dumps({"model_name": "x", "submission_time": 1_777_593_600}))
    assert submitted_at(card, CREATED) == datetime(2026, 5, 1, tzinfo=UTC)


def test_without_a_card_the_bundles_does() -> None:
    assert submitted_at(None, CREATED) == CREATED


@pytest.mark.parametrize(
    "card", [{}, [], "x", {"submission_time": "1777593600"}, {"submission_time": 1.5}, {"submission_time": True},
             {"submission_time": 0}, {"submission_time": -5}, {"submission_time": 1_777_593_600_000}],
)  # fmt: skip
def test_a_card_without_unix_seconds_is_refused(tmp_path: Path, card: Any) -> None:
    path = tmp_path / "model_card.json"
    path.write_text(json.dumps(card))
    with pytest.raises(DataError, match="expected an integer of Unix seconds"):
        submitted_at(path, CREATED)


def test_a_card_that_is_missing_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        submitted_at(tmp_path / "absent.json", CREATED)
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(ArtifactError, match="not JSON"):
        submitted_at(tmp_path / "card.json", CREATED)
