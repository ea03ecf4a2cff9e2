"""The same bundle with an operating point: at which logit its answer to a subnet's challenge turns.

Knows how the copy is written; how the threshold was found is the caller's (`workzone.subnet.operating_point`). Every
file stays byte for byte what it was, but for one line of the card, and the manifest keeps all that it says, the day it
was made included: the model, its promise and what it has seen are the same. Only the digest is another, because the
point is part of what is sealed.

The decision a reader would question: a bundle has one operating point, and a new one takes its place. A miner serves
the one profile that is in force; two points would ask which of them answered.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from workzone.bundle.files import hash_file
from workzone.bundle.manifest import MANIFEST_NAME, OperatingPoint, render_manifest
from workzone.bundle.reader import Bundle, open_bundle
from workzone.core.errors import BundleError, ConfigError
from workzone.storage.atomic import atomic_directory
from workzone.storage.hashing import sha256_bytes

CARD_NAME = "CARD.md"
CARD_PREFIX = "Operating point: "
"""How the card's line begins, which the next point replaces."""


def write_with_operating_point(bundle: Bundle, out: Path, point: OperatingPoint, *, card_note: str) -> Bundle:
    """Write a copy of `bundle` that has the operating point `point`, and return it, opened and verified.

    Args:
        bundle: The verified bundle to copy.
        out: A new directory, not inside the bundle's.
        point: Profile and logit; takes the place of one that the bundle has.
        card_note: One line for the card: on how many pictures the point was found, and when.

    Raises:
        ConfigError: `out` holds files already or lies inside the bundle, or the note is not one line.
        BundleError: A file of `bundle` was changed since it was opened.
    """
    check_target(bundle.path, out)
    card = _card(bundle.card, point, card_note).encode("utf-8")
    with atomic_directory(out) as temporary:
        for name, sealed in bundle.manifest.files.items():
            if name != CARD_NAME:
                _copy(bundle.path / name, temporary / name, sealed)
        (temporary / CARD_NAME).write_bytes(card)
        files = bundle.manifest.files | {CARD_NAME: sha256_bytes(card)}
        manifest = bundle.manifest.model_copy(update={"operating_point": point, "files": files})
        (temporary / MANIFEST_NAME).write_bytes(render_manifest(manifest))
        open_bundle(temporary)  # before it appears: a bundle that cannot be opened is not written
    return open_bundle(out)


def check_target(bundle: Path, out: Path) -> None:
    """Refuse a directory that a copy of the bundle in the directory `bundle` must not be written to.

    Raises:
        ConfigError: It holds files already, or lies inside the bundle.
    """
    if os.path.lexists(out) and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"'{out}' exists and is not empty; a bundle is written to a new directory.")
    if out.resolve().is_relative_to(bundle.resolve()):
        raise ConfigError(
            f"'{out}' lies inside the bundle '{bundle}', which holds its own files only. Name a directory "
            "beside it."
        )


def _copy(source: Path, target: Path, sealed: str) -> None:
    """Copy one file, and check the copy: what is sealed anew must be what was verified."""
    try:
        shutil.copyfile(source, target, follow_symlinks=False)
    except FileNotFoundError as error:
        raise BundleError(f"'{source}' is gone since its bundle was opened. Get the bundle again.") from error
    if target.is_symlink() or hash_file(target) != sealed:
        raise BundleError(f"'{source}' was changed since its bundle was opened. Get the bundle again.")


def _card(card: str, point: OperatingPoint, note: str) -> str:
    """Return the card with the point as its last line, in the place of an earlier point's."""
    if not note.strip() or len(note.splitlines()) != 1:
        raise ConfigError(f"The note for the card is {note[:80]!r}; expected one line of text.")
    kept = card.rstrip()
    before, _, last = kept.rpartition("\n")
    if last.startswith(CARD_PREFIX):
        kept = before.rstrip()
    line = (
        f"{CARD_PREFIX}challenges of the subnet profile `{point.profile}` are answered with road work above the "
        f"logit {point.threshold:.4f}. {note.strip()}"
    )
    return f"{kept}\n\n{line}\n" if kept else f"{line}\n"
