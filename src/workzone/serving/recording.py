"""What goes on record of each picture, and which pictures are kept.

Knows the fields of a journal's record; does not know files. Runs in the one thread that writes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from workzone.core.errors import ConfigError, JournalError
from workzone.core.types import Verdict
from workzone.engine.answers import Answer
from workzone.serving.faults import Code, Fault
from workzone.serving.logs import ERRORS

_LOG = logging.getLogger(ERRORS)


@dataclass(frozen=True, slots=True)
class Details:
    """What a caller says of a picture; echoed and put on record, never used for the answer."""

    id: str | None = None
    """The caller's own name for it."""
    lat: float | None = None
    """Degrees north, in [-90, 90]."""
    lon: float | None = None
    """Degrees east, in [-180, 180]."""
    captured_at: datetime | None = None
    camera: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One picture that is asked about."""

    picture: bytes
    details: Details = Details()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the id of a key, or "anonymous" on a service without keys."""

    key: str
    request_id: str


class Recorder(Protocol):
    """The journal, as far as it is used here."""

    def append(self, record: Mapping[str, Any]) -> None:
        """Put one record on disk.

        Raises:
            JournalError: It could not be.
        """


class PictureStore(Protocol):
    """Where pictures are kept."""

    def keep(self, sha256: str, picture: bytes) -> None:
        """Keep a picture under its hash."""

    def erase(self, sha256: str) -> bool:
        """Erase it; return whether it was there."""

    def expire(self) -> object:
        """Erase those whose time is over."""


@dataclass(frozen=True, slots=True)
class KeepRule:
    """Which answered pictures are kept: the deferred ones, or a share of all, chosen by their hash."""

    deferred: bool = False
    share: float = 0.0

    def wants(self, answer: Answer) -> bool:
        """Whether the answered picture is kept; equal pictures always fare alike."""
        if self.deferred and answer.verdict is Verdict.DEFER:
            return True
        return int(answer.sha256[:8], 16) < self.share * 2**32


def parse_keep_rule(text: str) -> KeepRule | None:
    """Read `none`, `deferred` or `sample=p` with p in (0, 1]; None: nothing is kept.

    Raises:
        ConfigError: It is none of these.
    """
    if text == "none":
        return None
    if text == "deferred":
        return KeepRule(deferred=True)
    try:
        share = float(text.removeprefix("sample=")) if text.startswith("sample=") else 0.0
    except ValueError:
        share = 0.0
    if not 0.0 < share <= 1.0:
        raise ConfigError(
            f"--keep-pictures is {text!r:.60}; expected none, deferred, or sample=p with 0 < p <= 1."
        )
    return KeepRule(share=share)


@dataclass(frozen=True, slots=True)
class Keeper:
    """A store and the rule of what goes into it; without a rule it only erases."""

    store: PictureStore
    rule: KeepRule | None


class Writing:
    """Writes records and kept pictures; every method blocks, and runs in one thread."""

    def __init__(self, journal: Recorder | None, keeper: Keeper | None, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._keeper = keeper
        self._now = now

    def outcomes(
        self, entries: Sequence[tuple[Asked, str, Answer | Fault]], caller: Caller, bundle: str
    ) -> None:
        """Keep what is to be kept and put every outcome on record.

        Raises:
            JournalError: One could not be put on record.
        """
        for asked, sha256, outcome in entries:
            kept = isinstance(outcome, Answer) and self._keep(outcome, asked.picture)
            if self._journal is not None:
                common = {**self._head(caller), "bundle": bundle, "sha256": sha256, "kept": kept}
                self._append({**common, **_said(outcome), "details": _details(asked.details)})

    def crash(self, caller: Caller) -> None:
        """Put on record that a request failed unexpectedly.

        Raises:
            JournalError: It could not be.
        """
        if self._journal is not None:
            self._append({**self._head(caller), "status": 500, "error": str(Code.INTERNAL)})

    def erase(self, sha256: str) -> bool:
        """Erase a kept picture; return whether there was one."""
        return self._keeper is not None and self._keeper.store.erase(sha256)

    def expire(self) -> None:
        """Remove kept pictures whose time is over."""
        if self._keeper is not None:
            self._keeper.store.expire()

    def _keep(self, answer: Answer, picture: bytes) -> bool:
        """Keep a picture if the rule wants it; a full disk costs the picture, not the answer."""
        if self._keeper is None or self._keeper.rule is None or not self._keeper.rule.wants(answer):
            return False
        try:
            self._keeper.store.keep(answer.sha256, picture)
        except Exception:  # noqa: BLE001 - keeping is an extra and costs no answer
            _LOG.exception("picture_not_kept: %s", answer.sha256)
            return False
        return True

    def _append(self, record: Mapping[str, Any]) -> None:
        assert self._journal is not None
        try:
            self._journal.append(record)
        except OSError as error:
            raise JournalError(f"The journal cannot be written: {error.strerror or error}.") from error

    def _head(self, caller: Caller) -> dict[str, Any]:
        return {"time": self._now().isoformat(), "key": caller.key, "request_id": caller.request_id}


def _said(outcome: Answer | Fault) -> dict[str, Any]:
    if isinstance(outcome, Fault):
        return {"status": outcome.status, "error": str(outcome.code)}
    said = asdict(outcome)
    for known in ("bundle", "sha256"):  # of the service's own reckoning, above
        del said[known]
    said["stages"] = list(said["stages"])
    return {"status": 200, **said}


def _details(details: Details) -> dict[str, Any]:
    said = {name: value for name, value in asdict(details).items() if value is not None}
    if details.captured_at is not None:
        said["captured_at"] = details.captured_at.isoformat()
    return said
