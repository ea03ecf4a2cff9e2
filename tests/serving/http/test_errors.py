"""What is refused, with which status, and what a refusal does not say."""

from __future__ import annotations

import base64
import json
import logging

import pytest

from workzone.serving.limits import Limits

FORM = [("content-type", "multipart/form-data; boundary=B")]
JSON = [("content-type", "application/json")]
RAW = ("content-type", "image/jpeg")
PART = b'--B\r\nContent-Disposition: form-data; name="image"\r\n\r\n'


@pytest.mark.parametrize("body", [
    b"", b"{", b"[" * 100_000, b'{"image": "\xff"}', b'{"image": "a", "image": "b"}', b'{"lat": NaN, "image": ""}',
    b'{"lat": 1e999, "image": ""}', b'{"lat": ' + b"9" * 5000 + b', "image": ""}', b"null\x00",
])  # fmt: skip
def test_what_is_no_strict_json_is_400_or_too_much(bench, body) -> None:
    reply = bench.json(body)
    assert (reply.status, reply.code) in {(400, "bad_request"), (413, "too_large")}
    assert bench.answerer.asked == []


@pytest.mark.parametrize("value", [
    None, 5, [], {}, {"pictures": []}, {"pictures": {}}, {"pictures": [5]}, {"image": None}, {"picture": "x"},
    {"pictures": [{"image": "aGk="}], "lat": 5},
])  # fmt: skip
def test_json_of_another_shape_is_422(bench, value) -> None:
    assert bench.json(value).status == 422


@pytest.mark.parametrize("encoded", ["a", "####", "a b=", "/9j/é", "_-_-", "/9j/\n", "\ud800"])
def test_broken_base64_is_400(bench, encoded) -> None:
    reply = bench.json({"image": encoded})
    assert (reply.status, reply.code) == (400, "bad_request")


@pytest.mark.parametrize("details", [
    {"lat": 90.1}, {"lat": -91}, {"lon": 181}, {"lat": True}, {"lat": "north"}, {"lat": "1" * 50}, {"lat": "nan"},
    {"lat": "inf"}, {"lat": 10**400}, {"lat": [1]}, {"id": ""}, {"id": "a" * 201}, {"id": "a\nb"},
    {"camera": "a\u202eb"}, {"camera": 5}, {"captured_at": "yesterday"}, {"captured_at": 1777000000},
    {"captured_at": "2026-05-04T07:30:00"}, {"captured_at": "2026-13-04T07:30:00Z"}, {"id": "\ud800"},
    {"unknown": 1}, {"\ud800": 1}, {"__proto__": 1},
])  # fmt: skip
def test_wrong_details_are_422_of_that_picture_alone(bench, fakes, details) -> None:
    image = base64.b64encode(fakes.picture()).decode()
    reply = bench.json({"pictures": [{"image": image, **details}, {"image": image}]})
    assert reply.status == 200
    assert [r["status"] for r in reply.json()["results"]] == [422, 200]
    assert len(bench.journal.records) == 1


@pytest.mark.parametrize("query", ["lat=nan", "lat=1e999", "lat=1&lat=2", "evil=1", "id=a%0d%0aSet-Cookie:%20x=1",
                                   "captured_at=2026", "id=%00", "camera=%ff%fe" + "a" * 300])  # fmt: skip
def test_wrong_details_in_the_address(bench, query) -> None:
    reply = bench.ask(query=query)
    assert reply.status in (400, 422)
    assert bench.answerer.asked == []


@pytest.mark.parametrize("body", [
    b"", b"--", b"nothing of the kind", b"--B", b"--B\r\n", PART, PART + b"\xff\xd8\xff", PART + b"x\r\n--B",
    b"--B\r\nContent-Disposition: attachment\r\n\r\nx\r\n--B--\r\n", b"--B\r\n\r\nx\r\n--B--\r\n",
    b"--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--\r\n", b"--B\r\nBad Header\r\n\r\nx\r\n--B--\r\n",
    b"--B\r\n" + b"X: y\r\n" * 50 + b"\r\nx\r\n--B--\r\n", b"--B\r\nX: " + b"y" * 5000 + b"\r\n\r\nx\r\n--B--\r\n",
    PART[:-4] + b"\r\nContent-Type: a\r\n\r\n\xff\xd8\xff\r\n--C--\r\n",
])  # fmt: skip
def test_a_malformed_form_is_400(bench, body) -> None:
    reply = bench.call(body=body, headers=FORM)
    assert (reply.status, reply.code) == (400, "bad_request")


def field(name: str, value: bytes = b"x") -> bytes:
    return f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"


@pytest.mark.parametrize(("parts", "status"), [
    ([field("lat", b"1")], 422), ([field("file")], 422), ([field("image"), field("lat"), field("lat")], 400),
    ([field("image"), field("image"), field("lat", b"1")], 422), ([field("image"), field("details", b"[]")], 422),
    ([field("image"), field("details", b"{")], 400), ([field("image"), field("details", b"[{}]"), field("id")], 422),
    ([field("image"), field("camera", b"\xff\xfe")], 400), ([field("image"), field("camera", b"x" * 70_000)], 413),
    ([field("image")] * 33, 413), ([field("image")] * 100, 413), ([field("image\r\nX: y")], 422),
])  # fmt: skip
def test_a_form_of_wrong_fields(bench, parts, status) -> None:
    assert bench.call(body=b"".join(parts) + b"--B--\r\n", headers=FORM).status == status
    assert bench.answerer.asked == []


@pytest.mark.parametrize("kind", ["", "text/html", "application/x-www-form-urlencoded", "application/jsonp",
                                  "multipart/mixed; boundary=B", "imagex/jpeg", "x" * 5000])  # fmt: skip
def test_other_types_are_415(bench, kind) -> None:
    reply = bench.call(body=b"x", headers=[("content-type", kind)])
    assert (reply.status, reply.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize("boundary", ["", "b" * 71, '""'])
def test_a_form_without_a_boundary_is_400(bench, boundary) -> None:
    head = [("content-type", f"multipart/form-data; boundary={boundary}")]
    assert bench.call(body=b"x", headers=head).status == 400


def test_a_compressed_body_is_415(bench) -> None:
    assert bench.ask(None, ("content-encoding", "gzip")).status == 415


def test_a_body_larger_than_it_says_is_cut_off_while_it_arrives(fakes) -> None:
    bench = fakes.make_bench(limits=Limits(body_bytes=100, picture_bytes=50))
    pieces = [b"x" * 60] * 1000
    reply = bench.call(body=pieces, headers=[RAW, ("content-length", "3")])
    assert (reply.status, reply.code) == (413, "too_large")
    assert bench.context.admission.bytes == 0


@pytest.mark.parametrize("declared", ["101", "9" * 400])
def test_a_body_that_says_it_is_too_large_is_not_read(fakes, declared) -> None:
    bench = fakes.make_bench(limits=Limits(body_bytes=100))

    class Unread(list[bytes]):
        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            raise AssertionError("the body was read")

    assert bench.call(body=Unread([b"x"]), headers=[RAW, ("content-length", declared)]).status == 413


def test_a_picture_too_large_spoils_no_other(fakes) -> None:
    bench = fakes.make_bench(limits=Limits(picture_bytes=50))
    images = [base64.b64encode(fakes.picture(b"x" * n)).decode() for n in (10, 48, 300)]
    reply = bench.json({"pictures": [{"image": image} for image in images]})
    assert [r["status"] for r in reply.json()["results"]] == [200, 413, 413]


def test_too_many_pictures_are_413(bench) -> None:
    reply = bench.json({"pictures": [{"image": ""}] * 33})
    assert (reply.status, reply.code) == (413, "too_large")


def test_an_empty_picture_is_422_and_no_picture_415(bench) -> None:
    assert (bench.ask(b"").status, bench.ask(b"<svg>").status) == (422, 415)


def test_a_half_sent_body_is_not_answered(bench) -> None:
    assert bench.call(body=[b"\xff\xd8\xff"], headers=[RAW], cut=True).status == 400
    assert bench.answerer.asked == []
    assert bench.context.admission.bytes == 0


@pytest.mark.parametrize(("more", "status"), [([], 408), ([("x-deadline-ms", "1")], 504)])
def test_a_body_that_does_not_come_is_408_or_the_deadline(fakes, more, status) -> None:
    import asyncio

    bench = fakes.make_bench(limits=Limits(body_timeout_s=0.02))
    assert bench.call(body=[], headers=[RAW, *more], then=asyncio.Event().wait).status == status
    assert bench.answerer.asked == []


def test_more_requests_than_allowed_are_429(fakes) -> None:
    bench = fakes.make_bench(limits=Limits(in_flight=1))

    async def two() -> tuple[int, int, str | None]:
        import asyncio

        head = [RAW]
        first = asyncio.create_task(fakes.call(bench.app, body=fakes.picture(b"slow"), headers=head))
        await bench.answerer.entered.wait()
        second = await fakes.call(bench.app, body=fakes.picture(), headers=head)
        bench.answerer.release.set()
        return (await first).status, second.status, second.header("retry-after")

    assert fakes.run(two()) == (200, 429, "1")


def test_bodies_fill_one_budget(fakes) -> None:
    bench = fakes.make_bench(limits=Limits(body_bytes=100, in_flight_bytes=100))

    async def two() -> tuple[int, int, int]:
        import asyncio

        slow = fakes.picture(b"slow" + b"x" * 60)
        first = asyncio.create_task(fakes.call(bench.app, body=slow, headers=[RAW]))
        await bench.answerer.entered.wait()
        second = await fakes.call(bench.app, body=b"\xff\xd8\xff" + b"y" * 60, headers=[RAW])
        bench.answerer.release.set()
        return (await first).status, second.status, bench.context.admission.bytes

    assert fakes.run(two()) == (200, 429, 0)


def test_the_rate_of_a_key_counts_pictures(fakes) -> None:
    bench = fakes.make_bench(limits=Limits(rate_per_s=2, burst=4, pictures=4))
    image = {"image": base64.b64encode(fakes.picture()).decode()}
    assert bench.json({"pictures": [image] * 3}).status == 200
    reply = bench.json({"pictures": [image] * 3})
    assert (reply.status, reply.code, reply.header("retry-after")) == (429, "overloaded", "1")
    assert len(bench.answerer.asked) == 3
    bench.clock.now += 1.0
    assert bench.json({"pictures": [image] * 3}).status == 200


@pytest.mark.parametrize("given", ["a b", "a\tb", "x" * 65, "é", "", "../../etc", "<script>", "-a"])
def test_a_request_id_that_is_none_is_replaced(bench, given) -> None:
    reply = bench.ask(None, ("x-request-id", given))
    assert reply.status == 200
    assert reply.header("x-request-id") == reply.json()["request_id"]
    assert len(reply.json()["request_id"]) == 32


@pytest.mark.parametrize("path", ["/v2", "/v1/predict/", "//v1/predict", "/v1/../etc/passwd", "/docs", "/redoc",
                                  "/metrics", "/v1/pictures/a/../../etc", "/%00", "/v1/predict\r\nX: y"])  # fmt: skip
def test_other_paths_are_404_in_the_one_form(bench, path) -> None:
    reply = bench.call("GET", path)
    assert (reply.status, reply.code) == (404, "not_found")
    assert reply.header("x-content-type-options") == "nosniff"


def test_another_method_is_405(bench) -> None:
    reply = bench.call("GET", "/v1/predict")
    assert (reply.status, reply.code) == (405, "method_not_allowed")
    assert reply.header("allow") == "POST"


def test_without_keys_a_page_from_elsewhere_is_refused(bench) -> None:
    assert bench.ask(None, ("host", "evil.example:8000")).status == 403
    assert bench.ask(None, ("host", "127.0.0.1.evil.example")).status == 403
    assert bench.ask(None, ("host", "")).status == 403
    assert bench.ask(None, ("origin", "https://evil.example")).status == 403
    assert bench.ask(None, ("origin", "null")).status == 403
    assert bench.ask(None, ("origin", "http://127.0.0.1:8000")).status == 200
    assert bench.ask(None, ("host", "[::1]:8000")).status == 200


def test_what_nobody_foresaw_is_500_on_record_and_told_by_its_id_only(
    bench, fakes, monkeypatch, caplog
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"internals {fakes.SECRET}")

    monkeypatch.setattr("workzone.serving.http.predict._reply", broken)
    with caplog.at_level(logging.ERROR):
        reply = bench.ask()
    assert (reply.status, reply.code) == (500, "internal")
    assert "internals" not in reply.body.decode()
    assert bench.journal.records[-1] == {
        "time": "2026-05-04T07:30:00+00:00", "key": "anonymous", "request_id": reply.json()["request_id"],
        "status": 500, "error": "internal",
    }  # fmt: skip
    assert "internals" in caplog.text, "the traceback is in the log"


def test_a_crash_that_cannot_be_recorded_is_503(bench, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("internals")

    monkeypatch.setattr("workzone.serving.http.predict._reply", broken)
    bench.journal.room = 1  # for the answer, not for the crash after it
    reply = bench.ask()
    assert (reply.status, reply.code) == (503, "journal_unavailable")


@pytest.mark.parametrize("room", [0, 1, 2])
def test_without_the_journal_nothing_is_answered(bench, fakes, room) -> None:
    bench.journal.room = room
    image = {"image": base64.b64encode(fakes.picture()).decode()}
    reply = bench.json({"pictures": [image] * 3})
    assert (reply.status, reply.code) == (503, "journal_unavailable")
    assert "results" not in reply.json()
    assert "roadwork" not in reply.body.decode()
    assert "/srv/private" not in reply.body.decode()
    assert bench.metrics.registry.get_sample_value("workzone_journal_errors_total") == 1
    assert bench.metrics.registry.get_sample_value("workzone_answers_total",
                                                   {"verdict": "roadwork", "cached": "false"}) is None  # fmt: skip


def test_no_message_has_more_than_a_line_or_500_characters(bench) -> None:
    reply = bench.json({"image": "/9j/", "x" * 5000 + "\r\n": 1})
    message = reply.json()["error"]["message"]
    assert len(message) <= 500
    assert message.isprintable()


def test_json_that_unpacks_into_too_many_values_is_not_read(bench) -> None:
    reply = bench.json(b'{"image": "", "id": [' + b"0," * 30_000 + b"0]}")
    assert reply.status == 413
    assert json.loads(reply.body)["error"]["code"] == "too_large"
