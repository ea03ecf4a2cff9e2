"""`model_card.json`: what the subnet's validators look for in a miner's public model repository.

Knows the document, the form of a hotkey's address and which repository names a validator can read; knows no bundle,
no network and no key. Source: natixnetwork/streetvision-subnet, docs/Mining.md and natix/validator/verify_models.py
(commit 08b1582): the card must be by the UID's hotkey, its time not in the future, its name not another miner's.

The decision a reader would question: a repository whose name holds a dot is refused, though Hugging Face takes it.
The validators' own check of the name allows letters, digits, `_` and `-` only, and would find no model there.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass

from workzone.core.errors import ConfigError

CARD_NAME = "model_card.json"
SS58_FORMAT = 42
"""The address format of Bittensor's hotkeys: the generic one of Substrate."""
EARLIEST = 946_684_800
"""Validators take no submission from before the year 2000."""
_LATEST = 10**11
"""A time in milliseconds is far above it."""
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VERSION = re.compile(r"(?:0|[1-9]\d{0,5})(?:\.(?:0|[1-9]\d{0,5})){2}")
_REPO = re.compile(r"[A-Za-z0-9_-]{1,96}/[A-Za-z0-9_-]{1,96}")
_MAX_NAME, _MAX_DESCRIPTION = 100, 2000


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A submission.

    Attributes:
        model_name: Any text of one line; a validator refuses a new miner whose name another one took.
        description: What it is, in a few sentences.
        version: "X.Y.Z", without leading zeros.
        submitted_by: SS58 address of the miner's hotkey.
        submission_time: Unix time in seconds.

    Raises:
        ConfigError: One of them is not as said here.
    """

    model_name: str
    description: str
    version: str
    submitted_by: str
    submission_time: int

    def __post_init__(self) -> None:
        _check_text("model's name", self.model_name, _MAX_NAME)
        _check_text("description", self.description, _MAX_DESCRIPTION)
        if not _VERSION.fullmatch(self.version):
            raise ConfigError(f"'{self.version[:40]}' is no version; expected X.Y.Z, such as 1.0.0.")
        check_hotkey(self.submitted_by)
        if not EARLIEST <= self.submission_time < _LATEST:
            raise ConfigError(
                f"{self.submission_time} is no time of a submission; expected Unix seconds since the year 2000."
            )

    def to_json(self) -> bytes:
        """Return the content of `model_card.json`."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()


def check_hotkey(address: str) -> str:
    """Return `address` if it is a hotkey's SS58 address (format 42, 32 bytes, its checksum right).

    Source: Substrate's SS58 address format, https://docs.polkadot.com/reference/glossary/#ss58.

    Raises:
        ConfigError: It is none.
    """
    decoded = _base58(address)
    if decoded is None or len(decoded) != 35 or decoded[0] != SS58_FORMAT:
        raise ConfigError(
            f"'{address[:60]}' is no hotkey's address; expected 48 letters and digits that begin with 5, as "
            "`btcli wallet list` shows them (an SS58 address, not a file and not a name)."
        )
    checksum = hashlib.blake2b(b"SS58PRE" + decoded[:-2], digest_size=64).digest()[:2]
    if checksum != decoded[-2:]:
        raise ConfigError(
            f"The address '{address}' has a wrong checksum: a letter is not as it was. Copy it again."
        )
    return address


def check_repo(repo: str) -> str:
    """Return `repo` if it is a repository that the subnet's validators can read.

    Raises:
        ConfigError: It is no `owner/name`, or holds a letter that validators refuse.
    """
    if not _REPO.fullmatch(repo):
        dotted = re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", repo)
        why = "the validators refuse names with a dot" if dotted else "it is no repository of a model"
        raise ConfigError(
            f"{repo[:120]!r} cannot be used: {why}; expected owner/name of letters, digits, '-' and '_'."
        )
    return repo


def _check_text(what: str, text: str, longest: int) -> None:
    if not text.strip() or len(text) > longest or not text.isprintable():
        raise ConfigError(
            f"The {what} has {len(text)} characters: {text[:60]!r}; expected one line of 1 to {longest} "
            "printable ones."
        )


def _base58(text: str) -> bytes | None:
    """Decode; None where it is no Base58 of an address's length. A leading "1" is a leading zero byte."""
    if not 46 <= len(text) <= 50 or any(letter not in _ALPHABET for letter in text):
        return None
    number = 0
    for letter in text:
        number = number * 58 + _ALPHABET.index(letter)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
