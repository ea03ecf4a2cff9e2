"""What `/readyz` of a miner says beside ready or not: the chain as last known, and the concerns.

Knows the reply's shape. Ready means: the service answers, and a table of neurons is there, without which every caller
is refused. No concern makes a miner unready: it would be taken out of service for what a restart doesn't mend.
"""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict

from workzone.serving.axon.health.health import MinerHealth


class ConcernReply(BaseModel):
    """A concern that is there."""

    model_config = ConfigDict(frozen=True)

    concern: str
    message: str
    since: AwareDatetime


class MinerReply(BaseModel):
    """The body of a miner's probes."""

    model_config = ConfigDict(frozen=True)

    ready: bool
    state: str
    reason: str
    uid: int | None
    block: int | None
    neurons: int | None
    neurons_age_s: float | None
    last_challenge_s: float | None
    challenges: dict[str, int]
    refused: dict[str, int]
    concerns: tuple[ConcernReply, ...]


def miner_reply(health: MinerHealth, *, good: bool, state: str, reason: str) -> MinerReply:
    """Say how the miner is.

    Args:
        health: Of the miner.
        good: Whether the service behind it answers (`Service.check`).
        state: Of the service.
        reason: For it.
    """
    known, age = health.watch.state, health.neurons_age
    if good and known is None:
        reason = "The table of neurons has not been read yet, so every caller would be refused."
    return MinerReply(
        ready=good and known is not None,
        state=state,
        reason=reason,
        uid=None if known is None else known.own_uid,
        block=None if known is None else known.neurons.block,
        neurons=None if known is None else len(known.neurons.by_hotkey),
        neurons_age_s=None if age is None else round(age.total_seconds(), 3),
        last_challenge_s=None if health.last_challenge_s is None else round(health.last_challenge_s, 3),
        challenges=dict(health.challenges),
        refused=dict(health.refusals),
        concerns=tuple(
            ConcernReply(concern=str(c.kind), message=c.finding.message, since=c.since)
            for c in health.concerns.current.values()
        ),
    )
