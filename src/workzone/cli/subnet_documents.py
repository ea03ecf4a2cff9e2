"""The publisher's own copy of what is published: `model_card.json` and README.md in a directory.

Knows when they may be written; does not know what stands in them. `workzone mine` counts the age of a model from the
card's `submission_time`, so a card that may be published is never replaced by one that is not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workzone.cli.console import out, shown

if TYPE_CHECKING:
    from workzone.phases.publication import Publication
    from workzone.subnet.publishing.hub import Published


def check_new(directory: Path) -> None:
    """Refuse a directory that holds a card or a README already.

    Raises:
        ConfigError: It does, or nothing can be written there.
    """
    from workzone.core.errors import ConfigError

    _check_writable(directory)
    for name in _names():
        if os.path.lexists(directory / name):
            raise ConfigError(
                f"'{directory / name}' exists, and may be the published one; it is not replaced. Name another "
                "directory."
            )


def check_replaceable(directory: Path) -> None:
    """Refuse a directory whose README is not that of an earlier publication: no card is beside it.

    Raises:
        ConfigError: It is so, or nothing can be written there.
    """
    from workzone.core.errors import ConfigError

    _check_writable(directory)
    card, readme = (directory / name for name in _names())
    if os.path.lexists(readme) and not os.path.lexists(card):
        raise ConfigError(
            f"'{readme}' exists without a {card.name} beside it, so it is of something else; it is not replaced. Name "
            "another directory."
        )


def documents_of(made: Publication) -> dict[str, str]:
    """Return name → text of the card and the README."""
    return {name: made.text(name) for name in _names()}


def write_documents(directory: Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """Write each text under its name, whole or not at all, and return the paths.

    Raises:
        OSError: One cannot be written.
    """
    from workzone.storage.atomic import write_bytes

    for name, text in reversed(tuple(texts.items())):  # the card last: where it is, the README is
        write_bytes(directory / name, text.encode())
    return tuple(directory / name for name in texts)


def keep_published(
    published: Published | None, made: Publication, directory: Path | None
) -> tuple[Path, ...]:
    """Write what was published, if it was and that is asked for; return the paths.

    Raises:
        ArtifactError: It was published, and cannot be written.
    """
    from workzone.core.errors import ArtifactError

    if published is None or directory is None:
        return ()
    try:
        return write_documents(directory, documents_of(made))
    except OSError as error:
        raise ArtifactError(
            f"It was published: {published.url}, commit {published.commit[:12]}. But its documents cannot be written "
            f"into '{directory}': {error.strerror or error}. Take them from the repository."
        ) from error


def print_kept(written: Sequence[Path], made: Publication) -> None:
    """Print where a publication was kept, or how it still can be."""
    for path in written:
        out.print(f"Written: {shown(path)}")
    if not written:
        out.print(
            "`workzone mine --model-card` reads the published model_card.json, which was not kept here. The same "
            f"command with --submission-time {made.card.submission_time} --out DIR writes it."
        )


def _names() -> tuple[str, str]:
    from workzone.subnet.publishing.card import CARD_NAME
    from workzone.subnet.publishing.readme import README_NAME

    return CARD_NAME, README_NAME


def _check_writable(directory: Path) -> None:
    from workzone.core.errors import ConfigError

    there = next(place for place in (directory, *directory.absolute().parents) if os.path.lexists(place))
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError(f"Nothing can be written into '{directory}': '{there}' is no writable directory.")
