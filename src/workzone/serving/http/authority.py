"""Who sends a request, and whether they may."""

from __future__ import annotations

from fastapi import Request

from workzone.serving.faults import Code, refuse
from workzone.serving.http.context import Context
from workzone.serving.http.errors import ANONYMOUS
from workzone.serving.keys import Role

_SCHEME = "bearer "


def authorize(context: Context, request: Request, needed: Role) -> str:
    """Return the id of the key that the request bears.

    Without keys the service is reachable from its own machine only, and whoever is there may predict; to administer
    it takes a key everywhere, because every program on the machine can reach the port.

    Raises:
        Refused: 401: no working key; 403: its role does not reach.
    """
    if context.keys is None:
        if not Role.PREDICT.may(needed):
            raise refuse(Code.FORBIDDEN, "This takes a key of the role admin; the service has no keys.")
        return ANONYMOUS
    values = request.headers.getlist("authorization")
    if len(values) != 1 or not values[0].lower().startswith(_SCHEME):
        raise refuse(Code.UNAUTHORIZED, "A key is needed: Authorization: Bearer wz_…")
    key = context.keys.find(values[0][len(_SCHEME) :].strip())
    if key is None:
        raise refuse(Code.UNAUTHORIZED, "The key is not known or was revoked.")
    request.scope["state"]["key"] = key.id
    if not key.role.may(needed):
        raise refuse(Code.FORBIDDEN, f"This takes a key of the role {needed}; the key's role is {key.role}.")
    return key.id
