"""The miner's own port: the three probes with what the miner worries about, and `/metrics`. Never for validators.

Knows routes; what they say is `report`'s and the registry's. It has no key, so it belongs on the loopback interface or
a network of one's own.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response
from starlette.types import Receive, Scope, Send

from workzone.serving.axon.health.health import MinerHealth
from workzone.serving.axon.health.report import MinerReply, miner_reply
from workzone.serving.http.metrics import Metrics, metrics_app
from workzone.serving.readiness import State
from workzone.serving.service import Service


def private_application(service: Service, health: MinerHealth, metrics: Metrics) -> Any:
    """Return the ASGI application of the private port."""
    app = FastAPI(title="Workzone miner", docs_url=None, redoc_url=None, openapi_url=None)

    def say(good: bool) -> Response:
        readiness = service.readiness
        reply = miner_reply(health, good=service.check(), state=str(readiness.state), reason=readiness.reason)
        return Response(reply.model_dump_json(), 200 if good else 503, media_type="application/json")

    @app.get("/livez", response_model=MinerReply)
    async def live() -> Response:
        """Whether a restart would not help."""
        service.check()
        return say(service.readiness.state is not State.FAILED)

    @app.get("/readyz", response_model=MinerReply)
    async def ready() -> Response:
        """Whether challenges are answered: the model does, and it is known who may ask."""
        return say(service.check() and health.watch.state is not None)

    @app.get("/startupz", response_model=MinerReply)
    async def startup() -> Response:
        """Whether the start is over."""
        return say(service.readiness.started)

    @app.get("/")
    async def paths() -> tuple[str, ...]:
        """What there is."""
        return ("/livez", "/readyz", "/startupz", "/metrics")

    counts = metrics_app(metrics)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        # Mounted, the counts would be at "/metrics/", and "/metrics" would redirect there.
        here = scope["type"] == "http" and scope["path"] in ("/metrics", "/metrics/")
        await (counts if here else app)(scope, receive, send)

    return application
