"""What answers now, and what answered before and is not done yet.

Knows leases: a request takes what is current and keeps it to its end, so an exchange loses none. Does not know how an
answerer is opened.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from pydantic import JsonValue

from workzone.bundle.cascade import CascadeBundle
from workzone.bundle.reader import Bundle
from workzone.core.errors import ModelUnavailable
from workzone.engine.answers import Answerer
from workzone.policy.cascade import PATH_ASSUMPTION
from workzone.policy.policies import policy_to_json
from workzone.serving.logs import ERRORS
from workzone.storage.hashing import canonical_json

_LOG = logging.getLogger(ERRORS)


@runtime_checkable
class Perishable(Protocol):
    """An answerer that can break for good."""

    @property
    def dead(self) -> bool:
        """Whether only a restart helps."""


@runtime_checkable
class Available(Protocol):
    """An answerer that can be out of reach for a while, such as a cascade whose first stage is down."""

    @property
    def available(self) -> bool:
        """Whether it would answer now."""


@runtime_checkable
class Closable(Protocol):
    """An answerer with threads or sessions to give back."""

    async def aclose(self) -> None:
        """Give them back."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold where it lives and as it is shown."""

    logit: float
    probability: float


@dataclass(frozen=True, slots=True)
class Description:
    """What is said of an answerer.

    Attributes:
        name: The bundle's name.
        bundle: Its digest.
        card: The model card, Markdown.
        policy_kind: "threshold", "gate", "conformal" or "cascade".
        rule: How logits become verdicts, in one sentence.
        thresholds: On the logit, ascending; empty where the policy has others.
        statement: What is promised; None: nothing.
        certificate: The certificate with its counts, as JSON; None: there is none.
    """

    name: str
    bundle: str
    card: str
    policy_kind: str
    rule: str
    thresholds: tuple[Threshold, ...]
    statement: str | None
    certificate: Mapping[str, JsonValue] | None


@dataclass(frozen=True, slots=True)
class Served:
    """An answerer and what is said of it."""

    answerer: Answerer
    description: Description

    async def aclose(self) -> None:
        """Close the answerer, if it can be closed; what goes wrong is logged, because another answers by then."""
        if isinstance(self.answerer, Closable):
            try:
                await self.answerer.aclose()
            except Exception:  # noqa: BLE001 - the other answers, whatever becomes of this
                _LOG.exception("close_failed: bundle %s", self.description.bundle)


def describe_bundle(bundle: Bundle) -> Description:
    """Return what is said of a bundle."""
    as_json = policy_to_json(bundle.policy)
    found = (
        as_json.get("t_lo"),
        as_json.get("t_hi"),
        as_json.get("none_below"),
        as_json.get("roadwork_from"),
    )
    logits = sorted(float(value) for value in found if value is not None)
    probs = bundle.calibrator.apply(logits) if logits else ()
    thresholds = tuple(Threshold(t, float(p)) for t, p in zip(logits, probs, strict=True))
    certificate = bundle.policy.certificate
    return Description(
        name=bundle.manifest.name,
        bundle=bundle.digest,
        card=bundle.card,
        policy_kind=bundle.policy.kind,
        rule=bundle.policy.rule,
        thresholds=thresholds,
        statement=None if certificate is None else certificate.statement,
        certificate=json.loads(canonical_json(as_json["certificate"])),
    )


def describe_cascade(cascade: CascadeBundle) -> Description:
    """Return what is said of a cascade: the promise is that of all stages together, the record has every path's."""
    stages, paths = cascade.manifest.stages, cascade.paths
    asked = ", then about what it defers ".join(f"'{s.name}' ({s.deadline_ms:g} ms)" for s in stages)
    whole = paths[-1].certificate
    record = {
        "kind": "cascade",
        "stages": [stage.model_dump(mode="json") for stage in stages],
        "paths": cascade.manifest.paths,
        "path_assumption": PATH_ASSUMPTION,
    }
    return Description(
        name=cascade.manifest.name,
        bundle=cascade.digest,
        card=_cascade_card(cascade),
        policy_kind="cascade",
        rule=f"Asks {asked}. Where a later stage is out or late, or a path has no certificate, it defers.",
        thresholds=(),
        statement=None if whole is None else whole.statement,
        certificate=None if whole is None else json.loads(canonical_json(record)),
    )


def _cascade_card(cascade: CascadeBundle) -> str:
    """Return what each path promises, then the cards of the stages."""
    names = [stage.name for stage in cascade.manifest.stages]
    lines = [f"# {cascade.manifest.name}", "", f"A cascade of {len(names)} stages.", ""]
    for path in reversed(cascade.paths):
        said = path.certificate.statement if path.certificate else path.refusal
        lines.append(f"- {', then '.join(names[: path.n_stages])}: {said}")
    lines += ["", f"Assumed beside what each certificate assumes: {PATH_ASSUMPTION}.", ""]
    lines.append("The cards of the stages follow; their promises are theirs alone and do not hold here.")
    for name, bundle in zip(names, cascade.stages, strict=True):
        lines += ["", "---", "", f"## Stage {name}", "", bundle.card]
    return "\n".join(lines)


@dataclass(slots=True)
class _Slot:
    served: Served
    leases: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)


class Slots:
    """The current answerer and the retired ones that still answer. For the event loop's thread."""

    def __init__(self) -> None:
        self._current: _Slot | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self.leases = 0

    @property
    def current(self) -> Served | None:
        """What answers now; None before the first."""
        return None if self._current is None else self._current.served

    @contextmanager
    def lease(self) -> Iterator[Served]:
        """Hold what is current for one request.

        Raises:
            ModelUnavailable: There is none yet.
        """
        slot = self._current
        if slot is None:
            raise ModelUnavailable("No model is loaded yet.")
        slot.leases += 1
        self.leases += 1
        try:
            yield slot.served
        finally:
            slot.leases -= 1
            self.leases -= 1
            if slot.leases == 0 and slot is not self._current:
                slot.idle.set()

    def put(self, served: Served | None) -> None:
        """Let `served` answer from here on; what answered before is closed after its last request."""
        old, self._current = self._current, None if served is None else _Slot(served)
        if old is None:
            return
        if old.leases == 0:
            old.idle.set()
        task = asyncio.get_running_loop().create_task(_retire(old))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def retired(self) -> None:
        """Wait until all that was replaced is closed."""
        while self._retiring:
            await asyncio.gather(*self._retiring)


async def _retire(slot: _Slot) -> None:
    await slot.idle.wait()
    await slot.served.aclose()
