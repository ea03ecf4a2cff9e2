"""A body's picture: what the standard library decodes is what comes out, and nothing else comes out."""

from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.serving.axon import body as module
from workzone.serving.axon.body import picture_of
from workzone.serving.axon.refusals import Refusal, RefusedRequest

RFC_4648 = re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@given(st.binary(min_size=1, max_size=200))
def test_every_picture_comes_out_as_it_was_sent(picture: bytes) -> None:
    assert (
        picture_of(json.dumps({"image": base64.b64encode(picture).decode(), "x": [1, {}]}).encode())
        == picture
    )


@given(st.binary(min_size=1, max_size=64), st.integers(1, 3), st.data())
def test_decoding_in_pieces_is_decoding(picture: bytes, quads: int, data: st.DataObject) -> None:
    """Pieces of some characters, and text that is damaged anywhere: like RFC 4648 decoded at once."""
    text = base64.b64encode(picture).decode()
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.sampled_from(["=", "A", "==", "\n", "é", "AA==", "===="])) + text[at:]
    expected = base64.b64decode(text) if RFC_4648.fullmatch(text) else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", 4 * quads)
        try:
            found = picture_of(json.dumps({"image": text}).encode())
        except RefusedRequest:
            found = None
    assert found == expected


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace")))
def test_anything_else_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(RefusedRequest) as caught:
        picture_of(body)
    assert caught.value.why is Refusal.BAD_BODY
    assert caught.value.message.isprintable()
    assert 0 < len(caught.value.message) <= 300


def test_a_key_that_quotes_control_characters_is_told_without_them() -> None:
    with pytest.raises(RefusedRequest, match="occurs twice") as caught:
        picture_of(b'{"\\r\\nX: \\u202e": 1, "\\r\\nX: \\u202e": 2}')
    assert caught.value.message.isprintable()
