"""What no well-behaved client sends, over real sockets: each is refused in words, and the next caller is answered."""

from __future__ import annotations

import base64
import json

import pytest

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
FORM = [("Content-Type", "multipart/form-data; boundary=b")]


def part(name: bytes, data: bytes) -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n' + data + b"\r\n"


@pytest.fixture
def alive(listen, fakes):
    """The service; after the test it must answer, hold nothing, and have put nothing else on record."""
    yield listen
    before = len(listen.bench.journal.records)
    assert listen.ask(fakes.picture()).status == 200
    assert len(listen.bench.journal.records) == before + 1
    assert (listen.bench.context.admission.requests, listen.bench.context.admission.bytes) == (0, 0)
    assert listen.bench.service.in_flight == 0


@pytest.mark.parametrize(
    ("what", "head", "body"),
    [
        ("fewer than it says", b"Content-Type: image/jpeg\r\nContent-Length: 1000\r\n", b"\xff\xd8\xffhalf"),
        ("chunks without an end", b"Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n",
         b"5\r\n\xff\xd8\xffab\r\n"),
        ("a chunk cut off", b"Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n", b"ff\r\n\xff\xd8\xff"),
        ("no body at all", b"Content-Type: image/jpeg\r\nContent-Length: 5\r\n", b""),
        ("half a form", b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 500\r\n",
         part(b"image", b"\xff\xd8\xffx")),
    ],
)  # fmt: skip
def test_a_half_sent_body_and_a_closed_connection_leave_nothing(alive, wire, what, head, body) -> None:
    with wire.connected(alive.address) as connection:
        connection.sendall(HEAD + head + b"\r\n" + body)
        wire.eventually(lambda: alive.bench.context.admission.requests == 1)
    wire.eventually(lambda: alive.bench.context.admission.requests == 0)
    assert alive.bench.answerer.asked == []
    assert alive.bench.journal.records == []


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: five", b"Content-Length: -1", b"Content-Length: +5", b"Content-Length: 5, 6",
     b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: 0x5", b"Content-Length: " + b"9" * 40,
     b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding : chunked",
     b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"X-Header: a\x00b",
     b"X-Header: a\rSet-Cookie: b", b"No colon at all", b": no name", b"X Header: a", b"Host: twice",
     b"X-Long: " + b"a" * 1_000_000, b"X-Many: a\r\n" * 100_000 + b"X: b"],
    ids=lambda head: head[:30].decode("latin-1"),
)  # fmt: skip
def test_a_malformed_head_is_refused_by_the_server_and_closed(alive, wire, head) -> None:
    data = HEAD + b"Content-Type: image/jpeg\r\n" + head + b"\r\n\r\n\xff\xd8\xffab"
    statuses = [reply.status for reply in wire.exchange(alive.address, data, close=False)]
    assert len(statuses) <= 1
    assert all(status in (400, 413, 415, 431, 501) for status in statuses), statuses
    assert alive.bench.answerer.asked == []


@pytest.mark.parametrize("line", [b"", b"GET", b"GET /\x00 HTTP/1.1", b"\x16\x03\x01\x02\x00\x01",
                                  b"GET /v1/model\tHTTP/1.1", b"\xff" * 100])  # fmt: skip
def test_a_malformed_first_line_is_400_or_the_end(alive, wire, line) -> None:
    statuses = [
        r.status for r in wire.exchange(alive.address, line + b"\r\nHost: 127.0.0.1\r\n\r\n\r\n", close=False)
    ]
    assert statuses in ([], [400])


@pytest.mark.parametrize(
    "line", [b"GET /livez HTTP/9.9", b"PRI * HTTP/2.0", b"GET * HTTP/1.1", b"BREW /livez HTTP/1.1"]
)
def test_an_odd_version_target_or_method_is_read_as_http_1(alive, wire, line) -> None:
    """h11 takes any version of one digit; what it cannot take as HTTP/1.1 ends the connection."""
    statuses = [reply.status for reply in wire.exchange(alive.address, line + b"\r\nHost: 127.0.0.1\r\n\r\n")]
    assert statuses in ([200], [404], [405])


@pytest.mark.parametrize("swapped", [False, True])
def test_a_length_and_an_encoding_together_smuggle_nothing(alive, wire, fakes, swapped) -> None:
    """RFC 9112, 6.3: whoever goes by the length sees another request where who goes by chunks sees a body."""
    hidden = wire.predict_bytes(fakes.picture(b"hidden"))
    both = [b"Content-Length: 4\r\n", b"Transfer-Encoding: chunked\r\n"]
    head = HEAD + b"Content-Type: image/jpeg\r\n" + b"".join(both[::-1] if swapped else both) + b"\r\n"
    [reply] = wire.exchange(alive.address, head + b"0\r\n\r\n" + hidden, close=False)
    assert (reply.status, reply.code, reply.headers["connection"]) == (400, "bad_request", "close")
    assert alive.bench.answerer.asked == []


def test_pipelined_requests_are_answered_in_order_one_at_a_time(alive, wire, fakes) -> None:
    data = b"".join(
        wire.predict_bytes(fakes.picture(b"%d" % n), ("X-Request-Id", f"pipe-{n}")) for n in range(20)
    )
    data += wire.request_bytes("GET", "/livez", [("Connection", "close")])
    found = wire.exchange(alive.address, data, close=False)
    assert [reply.headers["x-request-id"] for reply in found[:-1]] == [f"pipe-{n}" for n in range(20)]
    assert [reply.status for reply in found] == [200] * 21
    assert [record["request_id"] for record in alive.bench.journal.records] == [
        f"pipe-{n}" for n in range(20)
    ]


def test_what_follows_a_broken_request_on_its_connection_is_not_run(alive, wire, fakes) -> None:
    data = b"GARBAGE\r\n\r\n" + wire.predict_bytes(fakes.picture())
    assert [reply.status for reply in wire.exchange(alive.address, data, close=False)] == [400]
    assert alive.bench.answerer.asked == []


FORMS = {
    "no boundary in the body": b"hello",
    "empty": b"",
    "another boundary": b"--c\r\n\r\n--c--\r\n",
    "cut off in a header": b"--b\r\nContent-Dispo",
    "cut off in the data": b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n\xff\xd8\xff',
    "no last boundary": part(b"image", b"\xff\xd8\xff"),
    "no name": b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    "no disposition": b"--b\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff\r\n--b--\r\n",
    "attachment": b'--b\r\nContent-Disposition: attachment; name="image"\r\n\r\nx\r\n--b--\r\n',
    "a header without a colon": b"--b\r\nContent-Disposition\r\n\r\nx\r\n--b--\r\n",
    "bare line feeds": b'--b\nContent-Disposition: form-data; name="image"\n\n\xff\xd8\xff\n--b--\n',
    "a header of 2 KB": b"--b\r\nX: " + b"a" * 2000 + b"\r\n\r\nx\r\n--b--\r\n",
    "20 headers": b"--b\r\n" + b"X: a\r\n" * 20 + b"\r\nx\r\n--b--\r\n",
    "only the end": b"--b--\r\n",
    "500 fields": part(b"id", b"x") * 500 + b"--b--\r\n",
    "no UTF-8": part(b"image", b"\xff\xd8\xff") + part(b"id", b"\xff\xfe") + b"--b--\r\n",
    "a name of escapes": part(b"\\\x1b[31m%0d%0a", b"x") + b"--b--\r\n",
    "twice": part(b"image", b"\xff\xd8\xff") + part(b"id", b"x") + part(b"id", b"y") + b"--b--\r\n",
    "nested": part(b"image", b"--b\r\n--b--") + b"--b--\r\n",
}


@pytest.mark.parametrize("shape", FORMS)
def test_a_malformed_form_is_refused_in_one_sentence(alive, wire, shape) -> None:
    [reply] = wire.exchange(alive.address, wire.request_bytes("POST", "/v1/predict", FORM, FORMS[shape]))
    assert reply.status in (400, 413, 415, 422), shape
    assert reply.json()["error"]["message"].isprintable()
    assert alive.bench.answerer.asked == []


@pytest.mark.parametrize(
    "encoded",
    ["=", "AAA", "AAAA=", "AA=A", "/9j_", "/9j/\n4AAQ", " /9j/", "\u00e9" * 4, "data:image/jpeg;base64,/9j/", "\ud800",
     "AAAA" * 10 + "="],
)  # fmt: skip
@pytest.mark.parametrize("many", [False, True])
def test_malformed_base64_is_400(alive, wire, encoded, many) -> None:
    one = {"image": encoded}
    body = json.dumps({"pictures": [one]} if many else one).encode()
    [reply] = wire.exchange(
        alive.address, wire.request_bytes("POST", "/v1/predict", [("Content-Type", "application/json")], body)
    )
    assert (reply.status, reply.code) == (400, "bad_request")
    assert alive.bench.answerer.asked == []


STEERING = [
    "a\r\nSet-Cookie: b=1",
    "a\nb",
    "\x1b[2J\x1b[31mred",
    "a\x00b",
    "\u202eesrever",
    "a\x7fb",
    "\u2028",
]


@pytest.mark.parametrize("text", STEERING, ids=ascii)
@pytest.mark.parametrize("field", ["id", "camera", "captured_at"])
def test_details_that_could_steer_a_terminal_or_a_header_are_refused_unquoted(
    alive, wire, fakes, text, field
) -> None:
    image = base64.b64encode(fakes.picture()).decode()
    body = json.dumps({"image": image, field: text}).encode()
    [reply] = wire.exchange(
        alive.address, wire.request_bytes("POST", "/v1/predict", [("Content-Type", "application/json")], body)
    )
    assert (reply.status, reply.code) == (422, "invalid")
    assert reply.json()["error"]["message"].isprintable()
    assert "set-cookie" not in reply.headers
    assert alive.bench.answerer.asked == []


def test_escapes_in_a_header_reach_nothing(listen, wire, fakes, caplog) -> None:
    """h11 lets them in; no reply, record or log repeats a header."""
    reply = listen.ask(fakes.picture(), ("X-Request-Id", "a\x1b[31mb"), ("User-Agent", "\x1b[2Jcurl"))
    assert reply.status == 200
    assert b"\x1b" not in reply.body + "".join(reply.headers.values()).encode()
    assert "\x1b" not in caplog.text + str(listen.bench.journal.records)


@pytest.mark.parametrize(
    "given", ["a b", "a;b", "../../x", "a" * 65, "%0d%0aSet-Cookie:a", "\u00e9", "", ".", "{}"]
)
def test_a_request_id_that_is_none_is_replaced_on_the_wire(listen, wire, fakes, given) -> None:
    reply = listen.ask(fakes.picture(), ("X-Request-Id", given))
    assert reply.status == 200
    assert reply.headers["x-request-id"] != given
    assert [record["request_id"] for record in listen.bench.journal.records] == [
        reply.headers["x-request-id"]
    ]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "localhost:80:80", "[::1",
             "127.0.0.1/../x", "0.0.0.0", "127.0.0.1, evil.example"],
)  # fmt: skip
def test_another_host_is_refused_without_keys_and_never_echoed(alive, wire, fakes, host) -> None:
    data = wire.predict_bytes(fakes.picture()).replace(b"Host: 127.0.0.1", b"Host: " + host.encode())
    [reply] = wire.exchange(alive.address, data)
    assert reply.status in (400, 403)
    assert b"evil" not in reply.body
    assert not any("evil" in value for value in reply.headers.values())
    assert alive.bench.answerer.asked == []


@pytest.mark.parametrize(
    "path",
    ["/v1/../etc/passwd", "/..%2f..%2fetc/passwd", "//etc/passwd", "/v1/predict/", "/V1/predict", "/%00",
     "/v1/predict%00",
     "http://evil.example/v1/predict", "/v1/pictures/..%2f..%2fx", "/v1/model;x=1", "/static/page.html"],
)  # fmt: skip
def test_no_path_leads_anywhere_else(alive, wire, path) -> None:
    [reply] = wire.exchange(alive.address, wire.request_bytes("GET", path))
    assert reply.status in (404, 405), path
    assert reply.json()["error"]["message"].isprintable()
    assert "location" not in reply.headers
