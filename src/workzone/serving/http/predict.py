"""`POST /v1/predict`: one picture or several in, an outcome for each out.

Knows the order in which a request is looked at: who, how much, in what form, by when; only then is a byte of it read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from workzone.serving.faults import Code, Fault, refuse
from workzone.serving.http.authority import authorize
from workzone.serving.http.body import Form, Sent, form_of, read_body, read_pictures
from workzone.serving.http.context import Context
from workzone.serving.http.errors import error_response, request_id_of
from workzone.serving.http.openapi import PREDICT, replies
from workzone.serving.http.schemas import Answered, Failure, PredictReply, answer_said, failure_said
from workzone.serving.keys import Role
from workzone.serving.limits import Limits, Ticket
from workzone.serving.recording import Asked, Caller
from workzone.serving.service import Outcome

_DEADLINE = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_T = TypeVar("_T")


def predict_router(context: Context) -> APIRouter:
    """Return the route."""
    router = APIRouter()

    @router.post("/v1/predict", openapi_extra=PREDICT, responses=replies(PredictReply, *range(400, 505)))
    async def predict(request: Request) -> Response:
        """Answer one picture or several: is there road work in it?

        The HTTP status is 200 if at least one picture has an answer; `results` then says how each fared. If none
        has, it is the highest of their statuses.
        """
        arrived_s = asyncio.get_running_loop().time()
        caller = Caller(authorize(context, request, Role.PREDICT), request_id_of(request))
        client_s = _client_deadline(request, arrived_s, context.limits)
        form, boundary = form_of(request.headers.get("content-type"))
        context.service.readiness.require_answering()
        with context.admission.enter() as ticket:
            sent = await _receive(request, context.limits, ticket, form, boundary, client_s)
            context.limiter.take(caller.key, len(sent))
            deadline_s = client_s or asyncio.get_running_loop().time() + context.limits.default_deadline_s
            asked = [Asked(one.picture, one.details.plain()) for one in sent if one.fault is None]
            answering = context.service.answer(asked, caller, deadline_s=deadline_s)
            outcomes = await _unless_gone(request, answering) if asked else _closed(answering)
        return _reply(sent, outcomes, caller.request_id)

    return router


def _closed(answering: Coroutine[Any, Any, tuple[Outcome, ...]]) -> tuple[Outcome, ...]:
    answering.close()
    return ()


async def _receive(
    request: Request, limits: Limits, ticket: Ticket, form: Form, boundary: bytes, client_s: float | None
) -> tuple[Sent, ...]:
    now_s = asyncio.get_running_loop().time()
    left_s = limits.body_timeout_s if client_s is None else client_s - now_s
    try:
        body = await read_body(request, limits, ticket, min(left_s, limits.body_timeout_s))
    except Exception as error:
        late = client_s is not None and asyncio.get_running_loop().time() >= client_s
        if late and isinstance(error.__cause__, TimeoutError):
            raise refuse(Code.DEADLINE_EXCEEDED, "The body did not arrive before the deadline.") from error
        raise
    if form is Form.JSON:
        ticket.hold(len(body))  # the text, beside the pictures decoded from it
    return await read_pictures(body, form, boundary, request.query_params.multi_items(), limits)


def _client_deadline(request: Request, arrived_s: float, limits: Limits) -> float | None:
    """Return when the client's `X-Deadline-Ms` is over, on the loop's clock; None: it states none."""
    values = request.headers.getlist("x-deadline-ms")
    if not values:
        return None
    if len(values) != 1 or not _DEADLINE.fullmatch(values[0]):
        raise refuse(
            Code.BAD_REQUEST, "X-Deadline-Ms is a whole number of milliseconds from now, at least 1."
        )
    return arrived_s + min(int(values[0]) / 1000, limits.max_deadline_s)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """Wait for `work`, and cancel it if the caller goes away: then it is not worth a processor's time.

    Raises:
        ClientDisconnect: The caller went away.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_wait_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientDisconnect
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _wait_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _reply(sent: Sequence[Sent], outcomes: Sequence[Outcome], request_id: str) -> Response:
    """Join what was refused while reading and what was answered, in the request's order."""
    answered = iter(outcomes)
    found = [next(answered) if one.fault is None else one.fault for one in sent]
    results = tuple(
        failure_said(i, outcome, one.details)
        if isinstance(outcome, Fault)
        else answer_said(i, outcome, one.details)
        for i, (one, outcome) in enumerate(zip(sent, found, strict=True))
    )
    if any(isinstance(result, Answered) for result in results):
        body = PredictReply(request_id=request_id, results=results)
        return Response(body.model_dump_json(exclude_none=True), media_type="application/json")
    worst = max((outcome for outcome in found if isinstance(outcome, Fault)), key=lambda fault: fault.status)
    failures = tuple(result for result in results if isinstance(result, Failure))
    return error_response(worst, request_id, failures if len(failures) > 1 else None)
