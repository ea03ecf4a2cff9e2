"""The API's vocabulary: what is sent and what is answered, with an example of each.

Knows JSON shapes; does not know how they travel. Requests know every key they have; replies may gain keys.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
)

from workzone.core.types import Verdict
from workzone.engine.answers import Answer
from workzone.serving.faults import Code, Fault, refuse, shortened
from workzone.serving.recording import Details
from workzone.serving.served import Description

_KEY = re.compile(r"wz_[0-9a-f]{8}_[0-9a-f]{16}", re.ASCII)
"""How one of our keys begins; no camera is called so."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d.{0,30}", re.ASCII)


def _text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be printable text on one line")
    if _KEY.search(value):
        raise ValueError("looks like a key, which must not be on record; send it as Authorization: Bearer")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, str) and len(value) > 40):
        raise ValueError("must be a number")
    return value


def _time(value: Any) -> Any:
    if not (isinstance(value, str) and _TIME.fullmatch(value)):
        raise ValueError("must be a time with its zone, such as 2026-05-04T07:30:00Z")
    return value


_Name = Annotated[str, Field(strict=True, min_length=1, max_length=200), AfterValidator(_text)]
_Lat = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False), BeforeValidator(_number)]
_Lon = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False), BeforeValidator(_number)]
_Moment = Annotated[AwareDatetime, BeforeValidator(_time)]
_DETAILS_EXAMPLE: dict[str, Any] = {"id": "frame-0001", "lat": 48.2082, "lon": 16.3738,
                                    "captured_at": "2026-05-04T07:30:00Z", "camera": "van-7"}  # fmt: skip
ONE_EXAMPLE: dict[str, Any] = {"image": "/9j/4AAQSkZJRg==", **_DETAILS_EXAMPLE}
MANY_EXAMPLE: dict[str, Any] = {"pictures": [ONE_EXAMPLE, {"image": "iVBORw0KGgo=", "id": "frame-0002"}]}
_SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


class PictureDetails(BaseModel):
    """What the caller says of a picture: echoed and put on record, never used for the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [_DETAILS_EXAMPLE]})

    id: _Name | None = Field(None, description="The caller's own name for the picture.")
    lat: _Lat | None = Field(None, description="Degrees north.")
    lon: _Lon | None = Field(None, description="Degrees east.")
    captured_at: _Moment | None = Field(None, description="ISO 8601, with its zone.")
    camera: _Name | None = None

    def plain(self) -> Details:
        """Return the record that the service knows."""
        return Details(self.id, self.lat, self.lon, self.captured_at, self.camera)


class PictureJson(PictureDetails):
    """One picture in JSON."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [ONE_EXAMPLE]},
    )

    image: str = Field(
        description="The encoded picture (JPEG, PNG, WebP, BMP, TIFF, GIF) in base64 (RFC 4648, §4)."
    )


class PicturesJson(BaseModel):
    """Several pictures in JSON."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [MANY_EXAMPLE]},
    )

    pictures: tuple[PictureJson, ...] = Field(min_length=1)


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True)


class ErrorSaid(_Reply):
    """Why there is no answer."""

    code: Code
    message: str
    retry_after_s: int | None = None


class Failure(_Reply):
    """One picture without an answer."""

    index: int
    status: int = Field(ge=400, le=599, description="As the HTTP status it would be for this picture alone.")
    error: ErrorSaid
    details: PictureDetails = PictureDetails()


class StageSaid(_Reply):
    """One stage that was asked."""

    name: str
    verdict: Verdict | None = None
    probability: float | None = None
    logit: float | None = None
    latency_ms: float
    certified: bool
    error: str | None = None


class Answered(_Reply):
    """One picture's answer."""

    index: int
    status: Literal[200] = 200
    sha256: str
    probability: float = Field(ge=0, le=1, description="Calibrated probability of road work.")
    verdict: Verdict
    logit: float
    certified: bool = Field(description="Whether the path to the verdict carries a certificate.")
    reason: str | None = Field(None, description="Why it was deferred, or which fallback was taken.")
    degraded: bool = Field(description="A later stage was down and a fallback was taken.")
    cached: bool
    bundle: str
    latency_ms: float
    stages: tuple[StageSaid, ...]
    details: PictureDetails = PictureDetails()


_ANSWER_EXAMPLE: dict[str, Any] = {
    "index": 0, "status": 200, "sha256": _SHA, "probability": 0.97, "verdict": "roadwork", "logit": 3.4,
    "certified": True, "degraded": False, "cached": False, "bundle": _SHA, "latency_ms": 21.5,
    "stages": [{"name": "model", "verdict": "roadwork", "probability": 0.97, "logit": 3.4, "latency_ms": 21.5,
                "certified": True}],
    "details": _DETAILS_EXAMPLE,
}  # fmt: skip
_FAILURE_EXAMPLE: dict[str, Any] = {
    "index": 1, "status": 422, "details": {"id": "frame-0002"},
    "error": {"code": "bad_picture", "message": "The picture of 812 bytes looks like JPEG but cannot be decoded."},
}  # fmt: skip


class PredictReply(_Reply):
    """Every picture's outcome, in the order of the request."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [{"request_id": "5f2b7c0e4d1a4b6f", "results": [_ANSWER_EXAMPLE, _FAILURE_EXAMPLE]}]
        },
    )

    request_id: str
    results: tuple[Answered | Failure, ...]


class ErrorReply(_Reply):
    """No answer at all."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "request_id": "5f2b7c0e4d1a4b6f",
                    "error": {"code": "overloaded", "message": "The queue is full.", "retry_after_s": 2},
                }
            ]
        },
    )

    request_id: str
    error: ErrorSaid
    results: tuple[Failure, ...] | None = Field(None, description="Of each picture, where several were sent.")


class ThresholdSaid(_Reply):
    """A threshold, where it lives and as it is shown."""

    logit: float
    probability: float


class PolicySaid(_Reply):
    """How verdicts are decided."""

    kind: str
    rule: str
    thresholds: tuple[ThresholdSaid, ...]


class CertificateSaid(_Reply):
    """What is promised, and the counts from which it can be derived again."""

    statement: str
    record: dict[str, JsonValue]


class ModelReply(_Reply):
    """What answers."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "demo",
                    "bundle": _SHA,
                    "policy": {
                        "kind": "threshold",
                        "rule": "The policy says none at a logit below -1.2, road work from 2.1, and defers what "
                        "lies between.",
                        "thresholds": [
                            {"logit": -1.2, "probability": 0.21},
                            {"logit": 2.1, "probability": 0.9},
                        ],
                    },
                    "card": "# demo",
                }
            ]
        },
    )

    name: str
    bundle: str
    policy: PolicySaid
    certificate: CertificateSaid | None = None
    card: str


class SwapRequest(BaseModel):
    """Which bundle is to answer."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"bundle": "demo-2"}]}
    )

    bundle: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class ErasedReply(_Reply):
    """A kept picture was erased."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"sha256": _SHA, "erased": True}]})

    sha256: str
    erased: bool


class StateReply(_Reply):
    """A probe's answer."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{"state": "ready", "reason": "The model answers."}]}
    )

    state: str
    reason: str


def read_details(values: Any) -> PictureDetails:
    """Read what is said of a picture.

    Raises:
        Refused: 422, with the place of the first faults.
    """
    try:
        return PictureDetails.model_validate(values)
    except ValidationError as error:
        raise refuse(Code.INVALID, describe(error)) from None


def describe(error: ValidationError) -> str:
    """Say where values are wrong, without quoting them, nor keys that are not known: either may be a pasted secret."""
    faults = error.errors()[:3]
    places = [
        "an unknown key" if e["type"] == "extra_forbidden" else ".".join(map(str, e["loc"])) for e in faults
    ]
    return shortened(
        "; ".join(f"{place or 'the body'}: {e['msg']}" for place, e in zip(places, faults, strict=True))
    )


def fault_said(fault: Fault) -> ErrorSaid:
    """Return a fault as it is told."""
    return ErrorSaid(code=fault.code, message=fault.message, retry_after_s=fault.retry_after_s)


def failure_said(index: int, fault: Fault, details: PictureDetails) -> Failure:
    """Return a picture's fault as it is told."""
    return Failure(index=index, status=fault.status, error=fault_said(fault), details=details)


def answer_said(index: int, answer: Answer, details: PictureDetails) -> Answered:
    """Return a picture's answer as it is told."""
    return Answered(
        index=index,
        sha256=answer.sha256,
        probability=answer.probability,
        verdict=answer.verdict,
        logit=answer.logit,
        certified=answer.certified,
        reason=answer.reason,
        degraded=answer.degraded,
        cached=answer.cached,
        bundle=answer.bundle,
        latency_ms=answer.latency_ms,
        stages=tuple(
            StageSaid(
                name=run.name,
                verdict=run.verdict,
                probability=run.probability,
                logit=run.logit,
                latency_ms=run.latency_ms,
                certified=run.certified,
                error=run.error,
            )
            for run in answer.stages
        ),
        details=details,
    )


def model_said(said: Description) -> ModelReply:
    """Return the description of what answers as it is told."""
    certificate = None
    if said.statement is not None and said.certificate is not None:
        certificate = CertificateSaid(statement=said.statement, record=dict(said.certificate))
    thresholds = tuple(ThresholdSaid(logit=t.logit, probability=t.probability) for t in said.thresholds)
    return ModelReply(
        name=said.name,
        bundle=said.bundle,
        policy=PolicySaid(kind=said.policy_kind, rule=said.rule, thresholds=thresholds),
        certificate=certificate,
        card=said.card,
    )
