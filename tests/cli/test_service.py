"""What `workzone serve` says on standard error: addresses and errors, and with `--logs` nothing else."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from workzone.bundle.cascade import open_cascade
from workzone.cli.service import Records, only_operational_logs, serve
from workzone.engine.live import LiveSettings
from workzone.serving.limits import Limits
from workzone.serving.logs import ERRORS, INFERENCE, PERFORMANCE

pytest.importorskip("fastapi")


@pytest.fixture
def while_serving(monkeypatch):
    """Replace sockets and signals: what answers is opened, then `then` runs, and it was told to stop."""

    def install(then):
        async def fake(app, metrics, service, open_first, settings, *, look_after, listening):
            listening("http://127.0.0.1:1234")
            service.swap(await open_first())
            await then(app, service)
            await look_after()
            await service.aclose()
            return True

        monkeypatch.setattr("workzone.serving.http.server.serve", fake)

    return install


async def ask(app, body: bytes):
    """Send a picture as an ASGI server would; return what came back."""
    sent, given = [], [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return given.pop() if given else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"127.0.0.1:1234"), (b"content-type", b"image/png")]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/v1/predict",
        "raw_path": b"/v1/predict", "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 1234),
    }  # fmt: skip
    await app(scope, receive, send)
    return json.loads(b"".join(message.get("body", b"") for message in sent[1:]))


def run(path, logs, **changes):
    from workzone.serving.http.server import ServerSettings

    records = Records(None, 400, None, "none", 30, logs)
    live = LiveSettings(threads=1, max_batch=1)
    return serve(path, live, ServerSettings(port=0), Limits(), records, None, changes.get("bundle_root"), 1)


def test_with_logs_only_the_address_and_errors_reach_standard_error(
    colour_bundle, colour_builders, tmp_path, capsys, while_serving
) -> None:
    picture = colour_builders.encoded(colour_builders.plain(colour_builders.ORANGE))

    async def then(app, service):
        for body in (picture, picture[:60]):
            await ask(app, body)
        logging.getLogger(ERRORS).warning("not_answered: deadline")
        logging.getLogger("uvicorn.error").warning("slow client")
        logging.getLogger("uvicorn.error").info("Application startup complete.")
        logging.getLogger("any.library").warning("chatter")
        await asyncio.sleep(0)

    while_serving(then)
    assert run(colour_bundle, tmp_path / "logs")
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["listening on http://127.0.0.1:1234"]
    events = {
        path.stem: [json.loads(line)["event"] for line in path.read_text().splitlines()]
        for path in (tmp_path / "logs").iterdir()
    }
    assert events["inference"] == ["answered", "not_answered"]
    assert events["errors"] == ["not_answered: deadline", "slow client", "chatter"]
    assert "performance" in events["performance"]

    async def fails(app, service):
        logging.getLogger(ERRORS).error("it broke")

    while_serving(fails)
    assert run(colour_bundle, tmp_path / "logs")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("listening on")
    assert [json.loads(line)["event"] for line in lines[1:]] == ["it broke"]


def test_without_logs_everything_goes_there(colour_bundle, capsys, while_serving) -> None:
    async def then(app, service):
        logging.getLogger(INFERENCE).info("answered")
        logging.getLogger(PERFORMANCE).info("hour")

    while_serving(then)
    assert run(colour_bundle, None)
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in lines[1:]][:2] == ["answered", "hour"]


def test_a_cascade_is_served_and_exchanged_as_a_bundle_is(colour_builders, tmp_path, while_serving) -> None:
    path = colour_builders.make_cascade(tmp_path)
    grey = colour_builders.encoded(colour_builders.plain(colour_builders.GREY))
    seen = {}

    async def then(app, service):
        seen["bundle"] = service.current.answerer.identity
        seen["stages"] = [stage["name"] for stage in (await ask(app, grey))["results"][0]["stages"]]

    while_serving(then)
    assert run(path, tmp_path / "logs", bundle_root=tmp_path)
    assert seen == {"bundle": open_cascade(path).digest, "stages": ["small", "big"]}


def test_the_command_lines_own_handler_is_back_afterwards() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    with only_operational_logs():
        assert root.handlers == []
    assert (root.handlers, root.level) == before
