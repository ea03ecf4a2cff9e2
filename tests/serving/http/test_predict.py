"""One picture or many, in each of three forms, and what comes back."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

BOUNDARY = "xYzZy"
FORM = [("content-type", f"multipart/form-data; boundary={BOUNDARY}")]


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_raw_picture_is_answered_and_on_record(bench, fakes) -> None:
    reply = bench.ask(None, ("x-request-id", "car-7.frame-9"))
    assert reply.status == 200
    said = reply.json()
    assert said["request_id"] == reply.header("x-request-id") == "car-7.frame-9"
    (result,) = said["results"]
    sha256 = hashlib.sha256(fakes.picture()).hexdigest()
    assert (result["sha256"], result["verdict"], result["probability"]) == (sha256, "roadwork", 0.97)
    assert result["stages"][0]["name"] == "model"
    (record,) = bench.journal.records
    assert record == {
        "time": "2026-05-04T07:30:00+00:00", "key": "anonymous", "request_id": "car-7.frame-9",
        "bundle": "a" * 64, "sha256": sha256, "kept": False, "status": 200, "probability": 0.97,
        "verdict": "roadwork", "logit": 3.4, "certified": True, "reason": None, "degraded": False,
        "latency_ms": 1.5, "cached": False, "details": {},
        "stages": [{"name": "model", "verdict": "roadwork", "probability": 0.97, "logit": 3.4, "latency_ms": 1.5,
                    "certified": True, "error": None}],
    }  # fmt: skip


def test_details_of_a_raw_picture_are_echoed_and_on_record(bench) -> None:
    reply = bench.ask(
        query="id=f1&lat=48.2&lon=-16.5&captured_at=2026-05-04T09%3A30%3A00%2B02%3A00&camera=van%207"
    )
    details = reply.json()["results"][0]["details"]
    assert details == {"id": "f1", "lat": 48.2, "lon": -16.5, "captured_at": "2026-05-04T09:30:00+02:00",
                       "camera": "van 7"}  # fmt: skip
    assert bench.journal.records[0]["details"] == details


def test_many_pictures_of_a_form_have_an_outcome_each_in_order(bench, fakes) -> None:
    body = form(
        part("image", fakes.picture(), "a.jpg"),
        part("image", fakes.picture(b"bad"), "../../etc/passwd"),
        part("image", b"MZ no picture", "c.jpg"),
        part("image", fakes.picture(b"defer"), "d.jpg"),
        part("details", json.dumps([{"id": "a"}, {"id": "b"}, {"id": "c"}, {"id": "d"}]).encode()),
    )
    reply = bench.call(body=body, headers=FORM)
    assert reply.status == 200
    results = reply.json()["results"]
    assert [r["status"] for r in results] == [200, 422, 415, 200]
    assert [r["index"] for r in results] == [0, 1, 2, 3]
    assert [r["details"]["id"] for r in results] == ["a", "b", "c", "d"]
    assert results[1]["error"]["code"] == "bad_picture"
    assert results[3]["reason"] == "Between."
    assert [r["status"] for r in bench.journal.records] == [200, 422, 200]
    assert bench.journal.records[1]["error"] == "bad_picture"


def test_a_form_of_one_picture_takes_plain_fields(bench, fakes) -> None:
    body = form(part("lat", b"48.2"), part("image", fakes.picture()), part("camera", "Kamera Süd".encode()))
    reply = bench.call(body=[body[:40], body[40:41], body[41:]], headers=FORM)
    assert reply.json()["results"][0]["details"] == {"lat": 48.2, "camera": "Kamera Süd"}


def test_json_of_one_and_of_many(bench, fakes) -> None:
    one = bench.json({"image": b64(fakes.picture()), "id": "a"})
    assert one.json()["results"][0]["details"] == {"id": "a"}
    many = bench.json({"pictures": [{"image": b64(fakes.picture())}, {"image": "no base64!"}, {"image": 5},
                                    {"image": b64(fakes.picture()), "lat": 91}]})  # fmt: skip
    assert many.status == 200
    assert [r["status"] for r in many.json()["results"]] == [200, 400, 422, 422]


def test_none_answered_is_the_highest_of_the_statuses(bench, fakes) -> None:
    reply = bench.json(
        {"pictures": [{"image": b64(fakes.picture(tag))} for tag in (b"bad", b"down", b"busy")]}
    )
    assert (reply.status, reply.code) == (503, "unavailable")
    assert [r["status"] for r in reply.json()["results"]] == [422, 503, 429]
    assert reply.header("retry-after") == "5"


@pytest.mark.parametrize(("tag", "status", "code"), [
    (b"bad", 422, "bad_picture"), (b"busy", 429, "overloaded"), (b"late", 504, "deadline_exceeded"),
    (b"down", 503, "unavailable"), (b"boom", 500, "internal"), (b"nan", 500, "internal"),
    (b"timeout", 500, "internal"),
])  # fmt: skip
def test_each_error_of_the_engine_has_its_status_and_is_on_record(
    bench, fakes, tag, status, code, caplog
) -> None:
    reply = bench.ask(fakes.picture(tag))
    assert (reply.status, reply.code) == (status, code)
    assert "results" not in reply.json()
    assert reply.header("retry-after") == {429: "3", 503: "5"}.get(status)
    assert [(r["status"], r["error"]) for r in bench.journal.records] == [(status, code)]
    text = reply.body.decode()
    assert fakes.SECRET not in text
    assert "/srv/private" not in text
    assert "\\r" not in text


def test_the_deadline_header_reaches_the_answerer_and_ends_the_wait(bench, fakes) -> None:
    assert bench.ask(None, ("x-deadline-ms", "60000")).status == 200
    assert bench.answerer.deadlines[0] is not None
    reply = bench.ask(fakes.picture(b"slow"), ("x-deadline-ms", "20"))
    assert (reply.status, reply.code) == (504, "deadline_exceeded")
    assert bench.answerer.cancelled == 1


def test_a_longer_deadline_than_allowed_is_cut(fakes) -> None:
    import time

    from workzone.serving.limits import Limits

    bench = fakes.make_bench(limits=Limits(max_deadline_s=5))
    before = time.monotonic()
    bench.ask(None, ("x-deadline-ms", "999999999"))
    assert before < bench.answerer.deadlines[0] <= time.monotonic() + 5


@pytest.mark.parametrize("value", ["0", "-5", "1.5", "1e3", "NaN", "", "9" * 10, "+5", "٣", " 5 5"])
def test_a_deadline_that_is_none_is_refused(bench, value) -> None:
    values = value.encode().decode("latin-1")
    assert bench.ask(None, ("x-deadline-ms", values)).status == 400
    assert bench.ask(None, ("x-deadline-ms", "5"), ("x-deadline-ms", "6")).status == 400
    assert bench.answerer.asked == []


def test_who_goes_away_costs_nothing_more(bench, fakes) -> None:
    reply = bench.ask(fakes.picture(b"slow"), then=bench.answerer.entered.wait)
    assert reply.status == 0, "a reply to nobody"
    assert bench.answerer.cancelled == 1
    assert bench.journal.records == []
    assert (bench.context.admission.requests, bench.context.admission.bytes, bench.service.in_flight) == (
        0,
        0,
        0,
    )
    assert bench.metrics.registry.get_sample_value("workzone_requests_total", {"code": "499"}) == 1


def test_equal_pictures_come_from_the_cache_and_say_so(fakes) -> None:
    from workzone.engine.cache import AnswerCache

    bench = fakes.make_bench(cache=AnswerCache(1 << 20))

    async def twice() -> list[bool]:
        head = [("content-type", "image/jpeg")]
        replies = [await fakes.call(bench.app, body=fakes.picture(), headers=head) for _ in range(2)]
        return [reply.json()["results"][0]["cached"] for reply in replies]

    assert fakes.run(twice()) == [False, True]
    assert len(bench.answerer.asked) == 1
    assert [r["cached"] for r in bench.journal.records] == [False, True]


def test_what_was_counted(bench, fakes) -> None:
    bench.ask()
    bench.ask(fakes.picture(b"bad"))
    value = bench.metrics.registry.get_sample_value
    assert value("workzone_requests_total", {"code": "200"}) == 1
    assert value("workzone_requests_total", {"code": "422"}) == 1
    assert value("workzone_answers_total", {"verdict": "roadwork", "cached": "false"}) == 1
    assert value("workzone_answer_seconds_count") == 1
    assert value("workzone_queue_depth") == 3
    assert value("workzone_stage_state", {"stage": "second"}) == 2
    assert value("workzone_ready") == 1
    assert value("workzone_bundle_info", {"digest": "a" * 64}) == 1
