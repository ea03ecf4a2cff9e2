"""What a fault must not leave behind: answerers that nobody closes, logs without end, series that nobody asked for."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime, timedelta

import pytest

from workzone.serving.logs import MAX_SET_ASIDE, JsonLines, RotatingLog


def test_a_bundle_that_cannot_be_described_is_closed_and_the_old_one_stays(
    fakes, tmp_path, monkeypatch
) -> None:
    from workzone.serving.bundle_root import BundleRoot
    from workzone.serving.http import model
    from workzone.serving.key_file import add_key
    from workzone.serving.key_ring import KeyRing
    from workzone.serving.keys import Role

    _, token = add_key(tmp_path / "keys", "a", Role.ADMIN, now=fakes.NOW)
    (tmp_path / "root" / "new").mkdir(parents=True)
    opened = fakes.FakeAnswerer("b" * 64)

    async def open_served(_):
        return fakes.served(opened)

    root = BundleRoot(tmp_path / "root", open_served, available=lambda: None)
    bench = fakes.make_bench(keys=KeyRing.open(tmp_path / "keys"), bundles=root, start=False)
    head = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]

    def broken(_):
        raise ValueError("a card that is no text")

    async def exchange() -> None:
        bench.service.swap(fakes.served(bench.answerer))
        monkeypatch.setattr(model, "model_said", broken)
        body = json.dumps({"bundle": "new"}).encode()
        reply = await fakes.call(bench.app, "PUT", "/v1/model", body=body, headers=head)
        assert (reply.status, reply.code) == (500, "internal")

    fakes.run(exchange())
    assert opened.closed
    assert not bench.answerer.closed
    assert bench.service.current.answerer is bench.answerer
    assert [record["status"] for record in bench.journal.records] == [500]


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0"])
def test_no_series_says_when_it_began(bench, fakes, accept) -> None:
    """They double the series. The library's switch is global, and importing must change nothing for others."""
    import prometheus_client

    from workzone.serving.http.metrics import metrics_app

    assert bench.ask().status == 200
    reply = fakes.run(fakes.call(metrics_app(bench.metrics), "GET", "/metrics", headers=[("accept", accept)]))
    names = re.findall(r"^(?:# TYPE )?([a-z_]+)", reply.body.decode(), re.MULTILINE)
    assert "workzone_answer_seconds" in names
    assert [name for name in names if name.endswith("_created")] == []
    other = prometheus_client.CollectorRegistry()
    prometheus_client.Counter("other", "Another's.", registry=other)
    assert b"other_created" in prometheus_client.generate_latest(other)


def test_rubbish_day_and_night_does_not_fill_the_disk_with_logs(tmp_path) -> None:
    """Rotated at every line; only the youngest files stay."""
    now = datetime(2026, 5, 4, tzinfo=UTC)

    def clock() -> datetime:
        nonlocal now
        now += timedelta(seconds=1)
        return now

    log = RotatingLog(tmp_path / "errors.jsonl", max_bytes=1, retain_days=30, clock=clock)
    log.setFormatter(JsonLines())
    for number in range(MAX_SET_ASIDE + 20):
        log.handle(logging.makeLogRecord({"msg": f"line {number}", "levelno": 30, "levelname": "WARNING"}))
    log.close()
    files = sorted(tmp_path.glob("errors.*.jsonl"))
    assert len(files) == MAX_SET_ASIDE
    assert "line 19" in files[0].read_text()
    assert f"line {MAX_SET_ASIDE + 19}" in (tmp_path / "errors.jsonl").read_text()


def test_a_process_is_ended_only_where_an_inference_still_runs(monkeypatch) -> None:
    import threading

    from workzone.engine.inference_thread import InferenceThread
    from workzone.serving import process_end

    codes: list[int] = []
    monkeypatch.setattr(process_end.os, "_exit", codes.append)
    monkeypatch.setattr(process_end, "_PATIENCE_S", 0.2)
    stopped: InferenceThread[None] = InferenceThread()
    stopped.submit(lambda: None).result()
    stopped.stop()
    process_end.end_if_hung(1)
    assert codes == []
    gate = threading.Event()
    hung: InferenceThread[bool] = InferenceThread()
    future = hung.submit(lambda: gate.wait(60))
    hung.stop()
    process_end.end_if_hung(1)
    assert codes == [1]
    gate.set()
    assert future.result(60)
