"""When the model was submitted: what the subnet counts its age from.

Knows `model_card.json`'s one field; the card itself is made and checked elsewhere (`subnet.card`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from workzone.core.errors import DataError
from workzone.storage.jsonfile import read_json

MAX_CARD_BYTES = 1 << 20
_LATEST = 1 << 33
"""Seconds: the year 2242. Larger ones are no seconds."""


def submitted_at(model_card: Path | None, bundle_created: datetime) -> datetime:
    """Return the card's `submission_time`, without a card the bundle's creation; with a zone.

    Args:
        model_card: `model_card.json` as published; None: not published, or not known.
        bundle_created: When the bundle was made, with its zone.

    Raises:
        ArtifactError: The card is missing, too large or no JSON.
        DataError: Its `submission_time` is no integer of Unix seconds.
    """
    if model_card is None:
        return bundle_created
    card = read_json(model_card, MAX_CARD_BYTES)
    seconds = card.get("submission_time") if isinstance(card, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 < seconds < _LATEST:
        raise DataError(
            f"'{model_card}' has the submission_time {seconds!r:.40}; expected an integer of Unix seconds, as "
            "'workzone subnet card' writes it."
        )
    return datetime.fromtimestamp(seconds, UTC)
