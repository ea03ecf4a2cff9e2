"""What the axon lets in and what it refuses, request by request, with real signatures and the SDK's application."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("clean_log")

SECOND = 10**9


def refused(axon: Any, reply: Any, status: int, why: str) -> None:
    """Check that a request was refused for this reason, and nothing came of it."""
    assert (reply.status, reply.json()["code"]) == (status, why), reply.body
    message = reply.json()["message"]
    assert message.isprintable()
    assert 0 < len(message) <= 300
    assert reply.header("content-type") == "application/json"
    assert not [name for name, _ in reply.headers if name.startswith("bt_")], "a signature of ours leaks"
    assert axon.counts.refusals == [why]
    assert axon.replier.asked == []
    assert axon.idle()


def test_a_good_challenge_is_answered(axon) -> None:
    reply = axon.ask()
    assert reply.status == 200
    assert reply.json()["prediction"] == 0.75
    assert "image" not in reply.json() or reply.json()["image"] == "", "the picture is not sent back"
    assert reply.header("bt_header_axon_status_code") == "200"
    [challenge] = axon.replier.asked
    assert (challenge.picture, challenge.hotkey) == (axon.PICTURE, axon.caller.ss58_address)
    assert (challenge.uid, challenge.stake) == (7, 1000.0)
    assert len(challenge.request_id) == 32
    assert (len(axon.counts.answers), axon.counts.blanks, axon.counts.refusals) == (1, [], [])
    [(hotkey, offset_s)] = axon.counts.offsets
    assert (hotkey, round(offset_s, 3)) == (axon.caller.ss58_address, 0.0)
    assert axon.idle()


def test_the_deadline_runs_from_the_first_byte_by_the_callers_timeout(axon, fakes) -> None:
    async def asked(timeout: str | None) -> float:
        start = asyncio.get_running_loop().time()
        reply = await axon.asking(head=axon.head(timeout=timeout))
        assert reply.status == 200
        return axon.replier.asked[-1].deadline_s - start

    for timeout, seconds in ((None, 6.0), ("9.0", 6.0), ("12", 6.0), ("5.5", 3.5), ("3600", 6.0)):
        assert seconds <= fakes.run(asked(timeout)) < seconds + 2.0
    assert json.loads(axon.ask(head=axon.head(timeout=None)).body)["timeout"] is None


@pytest.mark.parametrize(("method", "path", "status", "why"), [
    ("POST", "/", 404, "no_route"), ("POST", "/Synapse", 404, "no_route"), ("GET", "/docs", 404, "no_route"),
    ("GET", "/openapi.json", 404, "no_route"), ("GET", "/redoc", 404, "no_route"),
    ("POST", "/ImageSynapse/", 404, "no_route"), ("POST", "//ImageSynapse", 404, "no_route"),
    ("POST", "/imagesynapse", 404, "no_route"), ("GET", "/ImageSynapse", 405, "method"),
    ("PUT", "/ImageSynapse", 405, "method"), ("HEAD", "/ImageSynapse", 405, "method"),
    ("OPTIONS", "/ImageSynapse", 405, "method"),
])  # fmt: skip
def test_there_is_one_route_and_one_method(axon, method, path, status, why) -> None:
    reply = axon.ask(method=method, path=path)
    refused(axon, reply, status, why)
    assert reply.header("allow") == ("POST" if status == 405 else None)


@pytest.mark.parametrize(("changed", "status", "why"), [
    ({"dendrite_hotkey": None}, 401, "no_hotkey"),
    ({"dendrite_hotkey": ""}, 401, "no_hotkey"),
    ({"dendrite_hotkey": "5" * 300}, 400, "bad_headers"),
    ({"dendrite_hotkey": "0OIl" * 12}, 400, "bad_headers"),
    ({"dendrite_hotkey": "h\u00f6tkey"}, 400, "bad_headers"),
    ({"dendrite_signature": None}, 401, "unsigned"),
    ({"dendrite_signature": ""}, 401, "unsigned"),
    ({"dendrite_signature": "0x" + "ab" * 64}, 401, "bad_signature"),
    ({"dendrite_signature": "0xzz"}, 400, "bad_headers"),
    ({"dendrite_signature": "ab" * 64}, 400, "bad_headers"),
    ({"axon_hotkey": "5" + "E" * 47}, 401, "other_receiver"),
    ({"axon_hotkey": None}, 401, "other_receiver"),
    ({"dendrite_nonce": "nan"}, 400, "bad_headers"),
    ({"dendrite_nonce": "-5"}, 400, "bad_headers"),
    ({"dendrite_nonce": "1" * 20}, 400, "bad_headers"),
    ({"dendrite_nonce": "9" * 19}, 401, "future_nonce"),
    ({"dendrite_nonce": "1"}, 401, "stale_nonce"),
    ({"dendrite_uuid": "a.b"}, 400, "bad_headers"),
    ({"dendrite_uuid": "a" * 65}, 400, "bad_headers"),
    ({"dendrite_version": None}, 400, "bad_headers"),
    ({"dendrite_version": "7001999"}, 400, "bad_headers"),
    ({"dendrite_version": "10.5.0"}, 400, "bad_headers"),
    ({"timeout": "1e400"}, 400, "bad_headers"),
    ({"timeout": "inf"}, 400, "bad_headers"),
    ({"timeout": "None"}, 400, "bad_headers"),
    ({"timeout": "-1"}, 400, "bad_headers"),
    ({"timeout": "3601"}, 400, "bad_headers"),
    ({"timeout": "9" * 400}, 400, "bad_headers"),
    ({"timeout": ""}, 400, "bad_headers"),
    ({"computed_body_hash": hashlib.sha3_256(b"x").hexdigest()}, 400, "bad_headers"),
    ({"computed_body_hash": "junk"}, 400, "bad_headers"),
])  # fmt: skip
def test_a_head_that_is_not_right_is_refused(axon, changed, status, why) -> None:
    refused(axon, axon.ask(head=axon.head(**changed)), status, why)


def test_a_receiver_that_was_signed_but_is_not_us_is_refused(axon) -> None:
    """A request to another miner that was caught on the way, with its header turned to us."""
    other = axon.stranger.ss58_address
    mine = axon.keys.hotkey.ss58_address
    refused(axon, axon.ask(head=axon.head(receiver=other, axon_hotkey=mine)), 401, "bad_signature")


@pytest.mark.parametrize("name", ["dendrite_uuid", "dendrite_nonce"])
def test_what_a_signature_covers_cannot_be_exchanged(axon, name) -> None:
    head = dict(axon.head())
    head[f"bt_header_{name}"] = {"dendrite_uuid": "other", "dendrite_nonce": str(axon.now_ns + 77)}[name]
    refused(axon, axon.ask(head=list(head.items())), 401, "bad_signature")


def test_a_hotkey_that_is_registered_but_is_not_the_signers_is_refused(axon) -> None:
    head = axon.head(axon.stranger, dendrite_hotkey=axon.caller.ss58_address)
    refused(axon, axon.ask(head=head), 401, "bad_signature")


def test_a_stranger_is_403_without_an_exception(axon) -> None:
    refused(axon, axon.ask(head=axon.head(axon.stranger)), 403, "unknown")


def test_a_caller_without_a_permit_is_refused_where_the_setting_demands_one(make_axon) -> None:
    axon = make_axon()
    refused(axon, axon.ask(head=axon.head(axon.permitless)), 403, "no_permit")
    axon = make_axon(require_permit=False)
    assert axon.ask(head=axon.head(axon.permitless)).status == 200
    assert axon.replier.asked[0].stake == 5.0


def test_without_a_table_of_neurons_everyone_is_told_to_come_later(axon) -> None:
    axon.table = None
    reply = axon.ask()
    refused(axon, reply, 503, "not_ready")
    assert reply.header("retry-after") == "30"


def test_a_replay_is_refused_whatever_of_its_unsigned_head_is_changed(axon) -> None:
    head = axon.head()
    assert axon.ask(head=head).status == 200
    for changed in ({}, {"bt_header_dendrite_version": "10005001"}, {"timeout": "3600"}):
        reply = axon.ask(head=list({**dict(head), **changed}.items()))
        assert (reply.status, reply.json()["code"]) == (401, "replayed")
    assert len(axon.replier.asked) == 1


def test_a_request_caught_before_a_restart_is_refused_after_it(make_axon) -> None:
    before, after = make_axon(), make_axon()
    head = before.head(dendrite_nonce=str(before.now_ns - 2 * SECOND))
    refused(after, after.ask(head=head), 401, "replayed")


def test_the_same_request_twice_at_once_is_answered_once(axon, fakes) -> None:
    head = axon.head()

    async def both() -> list[Any]:
        return await asyncio.gather(axon.asking(head=head), axon.asking(head=head))

    replies = fakes.run(both())
    assert sorted(reply.status for reply in replies) == [200, 401]
    assert axon.counts.refusals == ["replayed"]
    assert len(axon.replier.asked) == 1


def test_a_replay_costs_no_signature(axon, monkeypatch) -> None:
    head = axon.head()
    assert axon.ask(head=head).status == 200
    monkeypatch.setattr(axon.app, "_app", lambda *_: pytest.fail("the SDK was asked"))
    assert axon.ask(head=head).json()["code"] == "replayed"


def test_a_replay_that_passed_the_entrance_is_refused_at_the_signature(axon, monkeypatch) -> None:
    """Two at once could both pass it, were there a pause between it and the SDK's verification."""
    head = axon.head()
    assert axon.ask(head=head).status == 200
    entrance, look = axon.app._entrance, axon.app._entrance.check_new
    calls: list[Any] = []

    def check_new(claim: Any) -> None:
        calls.append(claim)
        if len(calls) > 1:
            look(claim)

    monkeypatch.setattr(entrance, "check_new", check_new)
    reply = axon.ask(head=head)
    assert (reply.status, reply.json()["code"], len(calls)) == (401, "replayed", 2)
    assert len(axon.replier.asked) == 1


def test_requests_that_overtake_each_other_are_both_answered(axon) -> None:
    """The SDK's own store refuses the second: it keeps the highest nonce only."""
    first, second = axon.head(), axon.head()
    assert axon.ask(head=second).status == 200
    assert axon.ask(head=first).status == 200


def test_age_is_limited_and_a_stated_timeout_widens_it_only_so_far(axon) -> None:
    axon.now_ns += 60 * SECOND
    for timeout, age_s, status in ((None, 3.9, 200), (None, 4.1, 401), ("9", 12.9, 200), ("9", 13.1, 401),
                                   ("3600", 15.9, 200), ("3600", 16.1, 401)):  # fmt: skip
        head = axon.head(timeout=timeout, dendrite_nonce=str(axon.now_ns - int(age_s * SECOND)))
        assert axon.ask(head=head).status == status, (timeout, age_s)


def test_a_wrong_clock_is_named_in_the_refusal_and_in_the_log(axon, caplog) -> None:
    head = axon.head()
    axon.now_ns += 60 * SECOND
    with caplog.at_level(logging.INFO):
        reply = axon.ask(head=head)
    refused(axon, reply, 401, "stale_nonce")
    assert "60.0 s ago" in reply.json()["message"]
    [line] = [record for record in caplog.records if record.getMessage() == "refused"]
    assert "60.0 s ago" in line.details
    axon.counts.refusals.clear()
    for ahead_s, status in ((59, 200), (61, 401)):  # the SDK would take both
        head = axon.head(dendrite_nonce=str(axon.now_ns + ahead_s * SECOND))
        assert axon.ask(head=head).status == status
    assert axon.counts.refusals == ["future_nonce"]


def test_a_refusal_is_one_line_with_its_reason_and_who_is_said_to_ask(axon, caplog) -> None:
    with caplog.at_level(logging.INFO):
        axon.ask(head=axon.head(dendrite_signature="0x" + "ab" * 64))
        axon.ask(b'{"image": "planted secret"}')
    lines = [record for record in caplog.records if record.getMessage() == "refused"]
    assert [(r.why, r.address, r.uid, r.verified) for r in lines] == [
        ("bad_signature", "127.0.0.1", 7, False), ("bad_body", "127.0.0.1", 7, True)
    ]  # fmt: skip
    assert not any("planted" in str(vars(record)) for record in caplog.records)


def test_lines_about_refusals_are_bounded_and_say_how_many_are_missing(axon, caplog) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(150):
            axon.ask(path="/")
    lines = [record for record in caplog.records if record.getMessage() == "refused"]
    assert 100 <= len(lines) < 150
    assert len(axon.counts.refusals) == 150


def test_a_rate_is_kept_by_address_and_a_forwarded_one_is_not_believed(make_axon) -> None:
    axon = make_axon(rate_per_s=0.1, burst=2)
    seen = []
    for n in range(4):
        head = [
            *axon.head(axon.stranger),
            ("x-forwarded-for", f"192.0.2.{n}"),
            ("forwarded", f"for=192.0.2.{n}"),
        ]
        seen.append(axon.ask(head=head))
    assert [reply.status for reply in seen] == [403, 403, 429, 429]
    assert 1 <= int(seen[2].header("retry-after")) <= 10


def test_what_has_no_hotkey_never_reaches_the_table_or_the_signature(make_axon, monkeypatch) -> None:
    axon = make_axon()
    monkeypatch.setattr(type(axon.table), "find", lambda *_: pytest.fail("looked up"))
    refused(axon, axon.ask(head=[]), 401, "no_hotkey")


def test_nothing_of_a_body_is_read_before_the_signature_is_verified(axon, fakes) -> None:
    async def never() -> Any:
        raise AssertionError("the body was read")

    async def ask(head: list[tuple[str, str]]) -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/ImageSynapse", "query_string": b"", "client": None,
                 "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in head]}  # fmt: skip
        await axon.app(scope, never, send)
        return sent

    for head in (
        axon.head(dendrite_signature="0x" + "00" * 64),
        axon.head(axon.stranger),
        axon.head(axon.permitless),
    ):
        assert fakes.run(ask(head))[0]["status"] in (401, 403)


def test_a_body_that_says_it_is_too_large_is_refused_at_once(axon, fakes) -> None:
    head = [*axon.head(), ("content-length", str(24 * 2**20 + 1))]
    refused(axon, axon.ask([b"", b"x"], head=head, cut=True), 413, "too_large")
    axon.counts.refusals.clear()
    refused(axon, axon.ask(head=[*axon.head(), ("content-length", "9" * 20)]), 413, "too_large")


def test_a_body_that_turns_out_too_large_is_refused_by_counting(make_axon) -> None:
    axon = make_axon(max_body_bytes=10_000)
    refused(axon, axon.ask([b" " * 4000] * 3, cut=True), 413, "too_large")


def test_a_picture_of_16_mib_is_taken(axon) -> None:
    picture = bytes(range(256)) * 2**16
    assert axon.ask(axon.body_of(picture)).status == 200
    assert axon.replier.asked[0].picture == picture


@pytest.mark.parametrize(("body", "status", "why"), [
    (b"", 400, "bad_body"), (b"{", 400, "bad_body"), (b"[]", 400, "bad_body"), (b"{}", 400, "bad_body"),
    (b'{"image": null}', 400, "bad_body"), (b'{"image": 5}', 400, "bad_body"), (b'{"image": ""}', 400, "bad_body"),
    (b'{"image": ["AAAA"]}', 400, "bad_body"), (b'{"image": "AAA"}', 400, "bad_body"),
    (b'{"image": "AAAA="}', 400, "bad_body"), (b'{"image": "A A="}', 400, "bad_body"),
    (b'{"image": "AAAA===="}', 400, "bad_body"),
    (b'{"image": "AAA\\ud800"}', 400, "bad_body"), (b'{"image": "AAAA", "image": "BBBB"}', 400, "bad_body"),
    (b'{"image": "AAAA", "prediction": NaN}', 400, "bad_body"), (b"[" * 100_000, 400, "bad_body"),
    (b"\xff\xfe", 400, "bad_body"), (b'{"a":[' + b"1," * 2000 + b'1],"image":"AAAA"}', 400, "bad_body"),
])  # fmt: skip
def test_a_body_that_is_no_picture_in_json_is_refused_in_words(axon, body, status, why) -> None:
    refused(axon, axon.ask(body), status, why)
    assert axon.counts.offsets, "it was verified"


def test_a_body_that_is_cut_off_is_refused(axon) -> None:
    refused(axon, axon.ask([axon.body_of()[:20], b""], cut=True), 400, "cut_off")


def test_a_compressed_body_is_refused(axon) -> None:
    refused(axon, axon.ask(head=[*axon.head(), ("content-encoding", "gzip")]), 415, "encoded")


def test_a_body_whose_end_is_ambiguous_is_refused(axon) -> None:
    head = [*axon.head(), ("content-length", "5"), ("transfer-encoding", "chunked")]
    refused(axon, axon.ask(head=head), 400, "bad_headers")


@pytest.mark.parametrize("more", [
    [("x", "y")] * 60, [("x", "y" * 17_000)], [("timeout", "9.0")],
    [("bt_header_dendrite_hotkey", "x")], [("computed_body_hash", "\xff")],
])  # fmt: skip
def test_a_head_with_too_much_in_it_is_refused(axon, more) -> None:
    refused(axon, axon.ask(head=[*axon.head(), *more]), 400, "bad_headers")


def test_headers_that_the_sdk_would_decode_do_not_reach_it(axon) -> None:
    more = [("bt_header_input_obj_image", "e30="), ("bt_header_axon_status_code", "x"), ("bt_header_axon_", "x"),
            ("bt_header_dendrite_port", "not a port"), ("total_size", "many"), ("header_size", "\xe9")]  # fmt: skip
    names = {name for name, _ in more}
    head = [(k, v) for k, v in axon.head() if k not in names]
    assert axon.ask(head=[*head, *more]).status == 200


def test_a_body_exchanged_on_the_way_is_taken_because_no_signature_covers_it(axon) -> None:
    """The protocol's, not ours: `required_hash_fields` is empty. Nothing here may rely on the picture's origin."""
    assert axon.ask(axon.body_of(b"\xff\xd8\xffanother"), head=axon.head()).status == 200
    assert axon.replier.asked[0].picture == b"\xff\xd8\xffanother"


def test_a_websocket_is_closed(axon, fakes) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    fakes.run(axon.app({"type": "websocket", "path": "/ImageSynapse", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
