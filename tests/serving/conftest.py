"""Answerers, a journal and a caller that need no socket, no network and no time."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from workzone.core.errors import DataError, DeadlineExceeded, JournalError, ModelUnavailable, Overloaded
from workzone.core.types import Verdict
from workzone.engine.answers import Answer, StageRun
from workzone.serving.served import Description, Served, Threshold

T = TypeVar("T")
JPEG = b"\xff\xd8\xff"
SECRET = "wz_0123abcd_" + "5ec2e7" * 10 + "beef"
NOW = datetime(2026, 5, 4, 7, 30, tzinfo=UTC)


def picture(tag: bytes = b"plain") -> bytes:
    """Bytes that begin as a JPEG does; the tag says what `FakeAnswerer` makes of them."""
    return JPEG + tag


class FakeAnswerer:
    """Does what a picture's tag says."""

    def __init__(self, identity: str = "a" * 64) -> None:
        self.identity = identity
        self.release = asyncio.Event()
        self.entered = asyncio.Event()
        self.asked: list[bytes] = []
        self.deadlines: list[float | None] = []
        self.cancelled = 0
        self.closed = False
        self.dead = False
        self.available = True
        self.depth = 3

    def stage_states(self) -> Mapping[str, str]:
        return {"first": "closed", "second": "open"}

    async def aclose(self) -> None:
        self.closed = True

    async def answer(self, data: bytes, *, deadline_s: float | None) -> Answer:
        self.asked.append(data)
        self.deadlines.append(deadline_s)
        tag = data.removeprefix(JPEG)
        if tag.startswith(b"slow"):
            self.entered.set()
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        errors: dict[bytes, Exception] = {
            b"bad": DataError("The picture looks like JPEG but cannot be decoded\r\n(X-Evil: 1)."),
            b"busy": Overloaded("The queue is full.", retry_after_s=2.2),
            b"late": DeadlineExceeded("Too late."),
            b"down": ModelUnavailable(f"/srv/private/model.onnx is gone {SECRET}"),
            b"boom": RuntimeError(f"library at /srv/private said {SECRET}"),
            b"timeout": TimeoutError("a library's own"),
        }
        if tag in errors:
            raise errors[tag]
        probability = float("nan") if tag == b"nan" else 0.97
        verdict = Verdict.DEFER if tag == b"defer" else Verdict.ROADWORK
        stage = StageRun("model", verdict, 0.97, 3.4, 1.5, True)
        return Answer(
            sha256=hashlib.sha256(data).hexdigest(), probability=probability, verdict=verdict, logit=3.4,
            certified=True, stages=(stage,), reason="Between." if tag == b"defer" else None, degraded=False,
            bundle=self.identity, latency_ms=1.5,
        )  # fmt: skip


def served(answerer: FakeAnswerer, name: str = "demo") -> Served:
    return Served(
        answerer,
        Description(
            name, answerer.identity, "# card", "threshold", "The rule.", (Threshold(-1.0, 0.2), Threshold(2.0, 0.9)),
            "With confidence 0.95 …", {"kind": "pac"},
        ),
    )  # fmt: skip


@dataclass
class FakeJournal:
    """Keeps records, or fails after so many."""

    records: list[Mapping[str, Any]] = field(default_factory=list)
    room: int = 1000

    def append(self, record: Mapping[str, Any]) -> None:
        if len(self.records) >= self.room:
            raise JournalError("The disk under /srv/private/journal is full.")
        json.dumps(record, allow_nan=False)
        self.records.append(record)


@dataclass
class FakeStore:
    """Keeps pictures in memory."""

    kept: dict[str, bytes] = field(default_factory=dict)
    broken: bool = False

    def keep(self, sha256: str, data: bytes) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        self.kept[sha256] = data

    def erase(self, sha256: str) -> bool:
        return self.kept.pop(sha256, None) is not None

    def expire(self) -> int:
        return 0


class FakeClock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body, parse_constant=lambda name: pytest.fail(f"{name} in a reply"))

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} is there twice"
        return values[0] if values else None

    @property
    def code(self) -> str:
        code: str = self.json()["error"]["code"]
        return code


async def call(
    app: Any,
    method: str = "POST",
    path: str = "/v1/predict",
    *,
    body: bytes | Sequence[bytes] = b"",
    headers: Iterable[tuple[str, str]] = (),
    query: str = "",
    then: Callable[[], Coroutine[Any, Any, None]] | None = None,
    cut: bool = False,
) -> Reply:
    """Send one ASGI request.

    Args:
        then: Awaited once the body was sent; when it returns the caller goes away.
        cut: The caller goes away before the last piece of the body.
    """
    pieces = [body] if isinstance(body, bytes) else list(body)
    sent: list[Any] = []
    at = 0

    async def receive() -> Any:
        nonlocal at
        if at < len(pieces):
            at += 1
            return {"type": "http.request", "body": pieces[at - 1], "more_body": cut or at < len(pieces)}
        if cut:
            return {"type": "http.disconnect"}
        if then is not None:
            await then()
            return {"type": "http.disconnect"}
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    given = list(headers)
    if not any(name.lower() == "host" for name, _ in given):
        given.append(("host", "127.0.0.1:8000"))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "scheme": "http",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in given],
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    await app(scope, receive, send)
    if not sent:
        return Reply(0, [], b"")
    start = sent[0]
    for name, value in start["headers"]:
        assert b"\r" not in value, name
        assert b"\n" not in value, name
    return Reply(
        start["status"],
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]],
        b"".join(message.get("body", b"") for message in sent[1:]),
    )


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one test's coroutine; a test that hangs fails."""

    async def bounded() -> T:
        async with asyncio.timeout(20):
            return await work

    return asyncio.run(bounded())


@dataclass
class Bench:
    """A service with everything about it that a test looks at."""

    app: Any
    service: Any
    context: Any
    metrics: Any
    answerer: FakeAnswerer
    journal: FakeJournal
    store: FakeStore
    clock: FakeClock

    def call(self, method: str = "POST", path: str = "/v1/predict", **rest: Any) -> Reply:
        """Send one request in a loop of its own."""
        return run(call(self.app, method, path, **rest))

    def ask(self, data: bytes | None = None, *more: tuple[str, str], **rest: Any) -> Reply:
        """Send one raw picture."""
        data = picture() if data is None else data
        return self.call(body=data, headers=[("content-type", "image/jpeg"), *more], **rest)

    def json(self, value: Any, *more: tuple[str, str]) -> Reply:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.call(body=body, headers=[("content-type", "application/json"), *more])


def make_bench(
    *,
    keys: Any = None,
    limits: Any = None,
    start: bool = True,
    bundles: Any = None,
    rule: Any = None,
    cache: Any = None,
    answerer: FakeAnswerer | None = None,
) -> Bench:
    from workzone.serving.http.app import create_app
    from workzone.serving.http.context import make_context
    from workzone.serving.http.metrics import Metrics
    from workzone.serving.limits import Limits, RateLimiter
    from workzone.serving.recording import Keeper
    from workzone.serving.service import Service

    journal, store, clock, metrics = FakeJournal(), FakeStore(), FakeClock(), Metrics()
    answerer = answerer or FakeAnswerer()
    service = Service(
        cache=cache,
        journal=journal,
        keeper=Keeper(store, rule),
        observer=metrics,
        clock=clock,
        now=lambda: NOW,
    )
    limits = limits or Limits()
    limiter = RateLimiter(limits.rate_per_s, limits.burst, clock=clock)
    context = make_context(service, keys, metrics, limits=limits, limiter=limiter, bundles=bundles)
    if start:
        service.swap(served(answerer))
    return Bench(create_app(context), service, context, metrics, answerer, journal, store, clock)


@pytest.fixture(scope="session")
def fakes() -> SimpleNamespace:
    """Everything above, for tests to use by name."""
    return SimpleNamespace(**globals())


@pytest.fixture
def bench() -> Bench:
    """A ready service without keys."""
    return make_bench()
