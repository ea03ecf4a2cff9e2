"""`/v1/model`: what answers, and its exchange; `/v1/pictures/{sha256}`: erasing what was kept."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from workzone.core.errors import ModelUnavailable
from workzone.serving.faults import Code, refuse
from workzone.serving.http.authority import authorize
from workzone.serving.http.body import read_body
from workzone.serving.http.context import Context
from workzone.serving.http.openapi import replies
from workzone.serving.http.schemas import ErasedReply, ModelReply, SwapRequest, describe, model_said
from workzone.serving.keys import Role
from workzone.serving.served import Served

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SWAP_BYTES = 4096


def model_router(context: Context) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/v1/model", responses=replies(ModelReply, 401, 403, 503))
    async def show(request: Request) -> Response:
        """Say what answers: card, policy, certificate."""
        authorize(context, request, Role.PREDICT)
        if context.service.current is None:
            raise ModelUnavailable("No model is loaded yet.")
        return _described(context.service.current)

    @router.put(
        "/v1/model",
        responses=replies(ModelReply, 400, 401, 403, 404, 408, 409, 413, 415, 422, 503),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": SwapRequest.model_json_schema()}},
            }
        },
    )
    async def swap(request: Request) -> Response:
        """Let another bundle answer (role admin). Requests in flight finish on the old one.

        The bundle is opened, verified and warmed up first; if anything is wrong with it, the old one stays. The way
        back is the same request with the old name.
        """
        authorize(context, request, Role.ADMIN)
        if context.bundles is None:
            raise refuse(
                Code.CONFLICT, "The service was started without --bundle-root: nothing can be exchanged."
            )
        wanted = await _wanted(context, request)
        served = await context.bundles.load(wanted.bundle)
        try:
            reply = _described(served)  # before the exchange: what cannot be described does not serve
        except BaseException:
            await served.aclose()
            raise
        context.service.swap(served)
        return reply

    @router.delete("/v1/pictures/{sha256}", responses=replies(ErasedReply, 401, 403, 404, 422))
    async def erase(request: Request, sha256: str) -> Response:
        """Erase a kept picture by the SHA-256 of its bytes (role admin)."""
        authorize(context, request, Role.ADMIN)
        if not _SHA256.fullmatch(sha256):
            raise refuse(Code.INVALID, "A picture is named by its SHA-256: 64 lower-case hexadecimal digits.")
        if not await context.service.erase(sha256):
            raise refuse(Code.NOT_FOUND, "No such picture is kept.")
        body = ErasedReply(sha256=sha256, erased=True)
        return Response(body.model_dump_json(), media_type="application/json")

    return router


async def _wanted(context: Context, request: Request) -> SwapRequest:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise refuse(Code.UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json.")
    with context.admission.enter() as ticket:
        body = await read_body(request, context.limits, ticket, context.limits.body_timeout_s)
    if len(body) > _SWAP_BYTES:
        raise refuse(Code.TOO_LARGE, f"The body is larger than {_SWAP_BYTES} bytes.")
    try:
        return SwapRequest.model_validate_json(body)
    except ValidationError as error:
        malformed = any(e["type"] == "json_invalid" for e in error.errors())
        raise refuse(Code.BAD_REQUEST if malformed else Code.INVALID, describe(error)) from None


def _described(served: Served) -> Response:
    body = model_said(served.description)
    return Response(body.model_dump_json(exclude_none=True), media_type="application/json")
