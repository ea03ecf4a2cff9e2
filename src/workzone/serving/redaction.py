"""Take secrets, line ends and control characters out of what is logged.

It happens in a filter, not in a formatter, because what `logging` says of a handler that fails is made from the
record: there the secrets must be gone already. Two nets: values that are known to be secret, and what looks
like one (our keys, `Authorization`, `password=`, private keys, a wallet's seeds and mnemonics, tokens of Vault and
Hugging Face). The second errs on the side of taking too much: it takes every long number written with 0x, so hashes of
blocks too, but no SHA-256 of a bundle or a picture, which has no 0x, and no SS58 address.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request being answered; every line logged meanwhile carries it."""

REDACTED = "[redacted]"
_MAX_TEXT = 8192
_MAX_DEPTH = 6
_NAMES = (
    "authorization", "cookie", "token", "secret", "password", "passwd", "credential", "mnemonic", "apikey", "api-key",
    "api_key", "privatekey", "private-key", "private_key",
)  # fmt: skip
_SENSITIVE = "|".join(_NAMES)
_SENSITIVE_NAME = re.compile(_SENSITIVE, re.IGNORECASE)
KEY_LIKE = re.compile(r"(wz_[0-9A-Za-z]{1,40})_[\w+/=-]+")
"""One of our keys, or what is left of it; group 1 ends with its id, which says whose it was."""
_PATTERNS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    (
        ("-----begin",),
        re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END|\Z)", re.DOTALL),
        REDACTED,
    ),
    (("wz_",), KEY_LIKE, rf"\1_{REDACTED}"),
    (
        ("authorization", "cookie"),
        re.compile(r"\b(authorization|cookie)\b[\"'\]]{0,2}\s{0,5}[:=,][^\r\n]*", re.IGNORECASE),
        rf"\1: {REDACTED}",
    ),
    (
        ("bearer", "basic"),
        re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE),
        rf"\1 {REDACTED}",
    ),
    (
        # In quotes, a value may have several words; the quotes may be those of a text within a text.
        _NAMES,
        re.compile(
            rf"((?:{_SENSITIVE})[\w-]{{0,30}}\\{{0,3}}[\"']?\s{{0,5}}[=:]\s{{0,5}})"
            r"(?:(\\{0,3}[\"'])(?:(?!\2)(?:\\.|[^\r\n]))+|[^\s\"',;&}]+)",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
    (("://",), re.compile(r"(://[^\s/:@]{0,200}):[^\s/@]{1,200}@"), rf"\1:{REDACTED}@"),
    (("0x",), re.compile(r"0[xX][0-9a-fA-F]{32,}"), f"0x{REDACTED}"),
    (("hv",), re.compile(r"(hv[a-z]\.)[\w-]{16,}"), rf"\1{REDACTED}"),
    (
        ("s.", "b.", "r."),  # Vault's tokens of before 1.10
        re.compile(r"(?<![\w.])([sbr]\.)[0-9A-Za-z]{24}(?:\.[0-9A-Za-z]{5})?(?![\w.])"),
        rf"\1{REDACTED}",
    ),
    (("hf_",), re.compile(r"(hf_)[0-9A-Za-z]{16,}"), rf"\1{REDACTED}"),
    (("api_org_",), re.compile(r"(api_org_)[0-9A-Za-z]{16,}"), rf"\1{REDACTED}"),
)
"""Marks, of which a text has one if the pattern takes something from it; the pattern; what it leaves. Most texts of a
busy service have no mark, and looking for one costs a tenth of looking for a pattern."""
_WORD = re.compile(r"(?:(?<=\\[nrt])|(?<![A-Za-z\\]))[A-Za-z]{3,8}(?![A-Za-z])")
_LEAST_WORDS = 12
_WORDS = re.compile(
    rf"{_WORD.pattern}(?:(?>\\[nrt]|[^A-Za-z]){{1,16}}+[A-Za-z]{{3,8}}+(?![A-Za-z])){{{_LEAST_WORDS - 1},}}"
)
"""As many short words in a row as a mnemonic has, whatever stands between them: spaces, quotes, commas, numbers, an
escaped line end. Ordinary text rarely gets as far; whether it is a mnemonic, the list of words says."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; the rest was given as `extra`."""
MARK = "workzone_redacted"
"""Set on a record that was cleaned."""


class Redaction(logging.Filter):
    """Takes secrets, line ends and control characters out of a record, whatever its fields hold."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Make the filter.

        Args:
            secrets: Values known to be secret, of at least six characters, replaced wherever they occur.
        """
        super().__init__()
        # The longest first: one secret may begin with another.
        self._known = sorted({s for s in secrets if len(s) >= 6}, key=len, reverse=True)

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean `record` in place, once."""
        if getattr(record, MARK, False):
            return True
        record.msg, record.args = self.one_line(_message(record)), None
        if record.exc_info:
            trace = "".join(traceback.format_exception(*record.exc_info))
            record.exc_text, record.exc_info = self.text(trace, end=True), None
        elif record.exc_text:
            record.exc_text = self.text(record.exc_text, end=True)
        if record.stack_info:
            record.stack_info = self.text(record.stack_info)
        for name in set(vars(record)) - OWN_FIELDS:
            value = vars(record).pop(name)
            setattr(record, self.one_line(name), self._value(name, value, 0))
        record.request_id = self._value("request_id", getattr(record, "request_id", REQUEST_ID.get()), 0)
        setattr(record, MARK, True)
        return True

    def text(self, text: str, *, end: bool = False) -> str:
        """Return `text` without secrets, cut to a bounded length: to its end (a traceback's), or its start."""
        bounded = text[-8 * _MAX_TEXT :] if end else text[: 8 * _MAX_TEXT]
        for secret in self._known:
            bounded = bounded.replace(secret, REDACTED)
        bounded = _WORDS.sub(_without_mnemonic, bounded)  # first: a pattern may take one word of twelve
        folded = bounded.casefold()
        for marks, pattern, replacement in _PATTERNS:
            if any(mark in folded for mark in marks):
                bounded = pattern.sub(replacement, bounded)
        if len(bounded) <= _MAX_TEXT:
            return bounded
        return f"[cut] {bounded[-_MAX_TEXT:]}" if end else f"{bounded[:_MAX_TEXT]} [cut]"

    def one_line(self, text: str) -> str:
        """Return `text` without secrets, in one line: what could end or reorder it is written as its code."""
        cleaned = self.text(text)
        if cleaned.isascii() and cleaned.isprintable():
            return cleaned
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", cleaned)

    def _value(self, name: str, value: Any, depth: int) -> Any:
        if isinstance(value, bool) or value is None:
            return value
        if _SENSITIVE_NAME.search(name):
            return REDACTED
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            return value if value - value == 0 else str(value)  # JSON has no NaN and no infinity
        if depth < _MAX_DEPTH and isinstance(value, Mapping):
            return {self.one_line(shown(k)): self._value(shown(k), v, depth + 1) for k, v in value.items()}
        if depth < _MAX_DEPTH and isinstance(value, (list, tuple, set, frozenset)):
            return [self._value("", v, depth + 1) for v in value]
        return self.one_line(shown(value))


def shown(value: Any) -> str:
    """Return `str(value)`, or a word for it where that fails."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - an observer must not fail what it observes
        return f"<{type(value).__name__} that cannot be shown>"


@cache
def _mnemonic_words() -> frozenset[str]:
    """Return the 2048 words of mnemonics: BIP-39's English list."""
    text = Path(__file__).with_name("bip39_english.txt").read_text(encoding="ascii")
    return frozenset(text.split())


def _without_mnemonic(found: re.Match[str]) -> str:
    """Return a row of words without those twelve or more in a row that are a mnemonic's."""
    known, text, kept, rows = _mnemonic_words(), found[0], 0, [[0, 0, 0]]
    for word in _WORD.finditer(text):
        if word[0].lower() not in known:
            rows.append([0, 0, 0])
        else:
            first, _, n = rows[-1]
            rows[-1] = [first if n else word.start(), word.end(), n + 1]
    pieces = []
    for start, end, n in rows:
        if n >= _LEAST_WORDS:
            pieces += [text[kept:start], REDACTED]
            kept = end
    return "".join([*pieces, text[kept:]])


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - as above: a wrong format string is the caller's, not the request's
        return f"{shown(record.msg)} (its arguments do not fit)"
