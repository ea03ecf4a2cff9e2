"""The wire's text: what the standard library makes of it is what comes out, and damaged text is refused."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import DataError
from workzone.subnet import wire
from workzone.subnet.wire import from_wire, to_wire

RFC_4648 = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def test_the_wire_returns_the_bytes() -> None:
    for length in (1, 2, 3, 1000, 3 * wire.PIECE // 4, 2 * wire.PIECE):
        data = np.random.default_rng(length).bytes(length)
        assert to_wire(data) == base64.b64encode(data).decode()
        assert from_wire(to_wire(data), length) == data


@given(st.binary(min_size=1, max_size=64), st.integers(1, 3), st.data())
def test_decoding_in_pieces_is_decoding(picture: bytes, quads: int, data: st.DataObject) -> None:
    """Pieces of some characters, and text that is damaged anywhere: like RFC 4648 decoded at once."""
    text = base64.b64encode(picture).decode()
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(text)))
        damage = ["=", "A", "==", "\n", "é", "AA==", "====", "-_-_"]
        text = text[:at] + data.draw(st.sampled_from(damage)) + text[at:]
    expected = base64.b64decode(text) if RFC_4648.fullmatch(text) else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "PIECE", 4 * quads)
        try:
            found = from_wire(text, len(text))
        except DataError:
            found = None
    assert found == expected


@pytest.mark.parametrize(
    ("text", "max_bytes", "why"),
    [
        ("", 10, "no picture"),
        ("A" * 20, 10, "15 bytes; 10"),
        (to_wire(b"0123456789ab"), 11, "12 bytes; 11"),
        (to_wire(b"0123456789"), 9, "10 bytes; 9"),
        ("AA*=", 10, "not base64"),
        ("AAA", 10, "not base64"),
        ("AA\nAA===", 10, "not base64"),
        ("AAAA====", 10, "not base64"),
        ("ÄÄÄÄ", 10, "not base64"),
    ],
)
def test_what_is_no_picture_on_the_wire_is_refused(text: str, max_bytes: int, why: str) -> None:
    with pytest.raises(DataError, match=why):
        from_wire(text, max_bytes)


def test_too_much_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire.binascii, "a2b_base64", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(DataError, match="allowed"):
        from_wire("A" * 400, 299)
