"""Three questions of whoever runs the service, answered truthfully and without a key.

`/livez`: should it be restarted? `/readyz`: should requests be sent here? `/startupz`: has it been ready once?
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from workzone.serving.http.context import Context
from workzone.serving.http.schemas import StateReply
from workzone.serving.readiness import State


def probe_router(context: Context) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    service = context.service
    no: dict[int | str, dict[str, Any]] = {503: {"model": StateReply, "description": "No."}}

    def say(good: bool) -> Response:
        readiness = service.readiness
        reason = readiness.reason
        if not good and readiness.state is State.READY:
            reason = "The model is out of reach for now."
        body = StateReply(state=str(readiness.state), reason=reason)
        return Response(body.model_dump_json(), 200 if good else 503, media_type="application/json")

    @router.get("/livez", response_model=StateReply, responses=no)
    async def live() -> Response:
        """Whether a restart would not help: the service works, starts, or drains."""
        service.check()
        return say(service.readiness.state is not State.FAILED)

    @router.get("/readyz", response_model=StateReply, responses=no)
    async def ready() -> Response:
        """Whether requests should be sent here."""
        return say(service.check())

    @router.get("/startupz", response_model=StateReply, responses=no)
    async def startup() -> Response:
        """Whether the start is over."""
        return say(service.readiness.started)

    return router
