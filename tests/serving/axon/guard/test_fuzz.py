"""Requests that nobody would send, signed and unsigned: each is answered or refused as stated, without an exception."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STATED = {200, 400, 401, 403, 404, 405, 408, 413, 415, 429, 503}
COUNTS = [150, pytest.param(5000, marks=pytest.mark.slow)]
NAMES = ["name", "timeout", "axon_ip", "axon_port", "axon_hotkey", "axon_status_code", "dendrite_ip",
         "dendrite_version", "dendrite_nonce", "dendrite_uuid", "dendrite_hotkey", "dendrite_signature",
         "dendrite_port", "dendrite_process_time", "header_size", "total_size", "computed_body_hash",
         "content-type", "content-length", "content-encoding", "x-forwarded-for", "expect", "host"]  # fmt: skip
VALUES = (
    st.none()
    | st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=80)
    | st.sampled_from(["", "0", "-1", "1e999", "nan", "inf", "None", "null", "9" * 19, "9" * 400, "0x", "{}", "e30=",
                       "0x" + "0" * 128, "\xe9", "5" * 48, "12.0", "0.0001", "chunked", "gzip", "100-continue"])
)  # fmt: skip
FIELDS = ["image", "prediction", "axon", "dendrite", "timeout", "testnet_label", "name", "x"]
PATHS = ["/ImageSynapse"] * 9 + ["/Synapse", "//", "/\x00"]
KEYS = st.sampled_from(NAMES) | st.text("abcdefghijklmnopqrstuvwxyz_-", min_size=1, max_size=20).map(
    lambda t: f"bt_header_{t}"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda more: st.lists(more, max_size=3) | st.dictionaries(st.text(max_size=8), more, max_size=3),
    max_leaves=8,
)


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """None for the usual one, an object with a changed field, or bytes."""
    match draw(st.sampled_from(["good", "good", "changed", "bytes", "damaged"])):
        case "good":
            return None
        case "changed":
            fields = draw(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
            return json.dumps({"image": "AAAA", **fields}).encode()
        case "bytes":
            return draw(st.binary(max_size=60))
        case _:
            return (draw(st.integers(0, 200)), draw(st.binary(max_size=4)))


@pytest.mark.parametrize("count", COUNTS)
def test_requests_of_any_head_and_body(make_axon, caplog, count) -> None:
    axon = make_axon(rate_per_s=1e9, burst=10**9)
    caplog.set_level(logging.INFO)
    seen: Counter[int] = Counter()

    @settings(
        max_examples=count, suppress_health_check=list(HealthCheck), database=None, derandomize=count < 1000,
        deadline=None,
    )  # fmt: skip
    @given(
        changed=st.dictionaries(KEYS, VALUES, max_size=3), body=bodies(), pieces=st.integers(1, 4),
        cut=st.integers(0, 20), twice=st.booleans(), path=st.sampled_from(PATHS),
    )  # fmt: skip
    def ask(changed: dict[str, str | None], body: Any, pieces: int, cut: int, twice: bool, path: str) -> None:
        usual = axon.body_of()
        data = usual if body is None else body
        if isinstance(data, tuple):
            data = usual[: data[0]] + data[1] + usual[data[0] :]
        size = max(1, -(-len(data) // pieces))
        chunks = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        head = axon.head(**changed)
        if twice:
            head.append(head[len(changed) % len(head)])
        before = (len(axon.counts.answers), len(axon.counts.refusals), len(axon.counts.blanks))
        reply = axon.ask(chunks, head=head, cut=cut == 0, path=path)
        after = (len(axon.counts.answers), len(axon.counts.refusals), len(axon.counts.blanks))
        assert sum(after) == sum(before) + 1, "counted, and once"
        seen[reply.status] += 1
        assert reply.status in STATED
        assert isinstance(reply.json(), dict)
        if reply.status == 200:
            assert reply.json()["prediction"] in (0.75, -1.0)
        else:
            assert reply.json()["message"].isprintable()
        assert axon.idle()
        assert not [r for r in caplog.records if r.exc_info or r.levelno >= logging.WARNING]
        caplog.clear()

    ask()
    print(f"\n{sum(seen.values())} requests, {dict(sorted(seen.items()))}")  # noqa: T201
    assert {200, 400, 401, 404} <= set(seen)
