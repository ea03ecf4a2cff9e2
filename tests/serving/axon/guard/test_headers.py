"""Heads: every value that is written for the SDK is one that it reads back as the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.serving.axon.guard.headers import (
    BODY_HASH,
    Claim,
    check_fresh,
    check_length,
    head_for_sdk,
    read_claim,
    read_head,
)
from workzone.serving.axon.guard.refusals import STATUS, Refusal, RefusedRequest

KEY = "5" + "E" * 47
CLAIM = Claim(KEY, KEY, "u-1", 5_000_000_000_000, "0x" + "ab" * 64, 10_005_000, 9.0)
SECOND = 10**9


def test_every_refusal_has_a_status() -> None:
    assert set(STATUS) == set(Refusal)


@given(
    st.text("0123456789abcdef-", min_size=1, max_size=64), st.integers(0, 10**19 - 1),
    st.integers(7_002_000, 999_999_999), st.none() | st.floats(0, 3600).map(lambda s: round(s, 6)),
)  # fmt: skip
def test_what_is_written_for_the_sdk_reads_as_the_same_claim(uuid, nonce, version, timeout_s) -> None:
    if timeout_s is not None and timeout_s < 1e-4:
        timeout_s = 0.0  # written with an exponent, which no client sends
    claim = Claim(KEY, KEY, uuid, nonce, CLAIM.signature, version, timeout_s)
    head = read_head(head_for_sdk(claim, b"{}"))
    assert read_claim(head, KEY) == claim
    check_length(head, 2)


@given(st.dictionaries(st.sampled_from([name.decode() for name, _ in head_for_sdk(CLAIM, b"")]),
                       st.text(max_size=70) | st.from_regex(r"[0-9]{1,30}(\.[0-9]+)?", fullmatch=True)))  # fmt: skip
def test_no_value_makes_anything_but_a_claim_or_a_refusal(changed) -> None:
    head = {name.decode(): value.decode() for name, value in head_for_sdk(CLAIM, b"")} | changed
    raw = [(name.encode(), value.encode("utf-8", "replace")) for name, value in head.items()]
    try:
        claim = read_claim(read_head(raw), KEY)
        check_length(read_head(raw), 100)
    except RefusedRequest as refused:
        found: RefusedRequest | Claim = refused
    else:
        found = claim
    if isinstance(found, RefusedRequest):
        assert STATUS[found.why] in (400, 401, 413)
        return
    assert claim.hotkey.isascii()
    assert claim.receiver == KEY
    assert 0 <= claim.nonce < 10**19
    assert claim.timeout_s is None or 0 <= claim.timeout_s <= 3600


def test_the_hash_of_no_fields_is_the_sdks(sdk) -> None:
    class Plain(sdk.Synapse):  # type: ignore[misc, name-defined]
        image: str = ""

    with pytest.warns(DeprecationWarning, match="model_fields"):  # the SDK's, of Pydantic
        assert Plain(image="x").body_hash == BODY_HASH


@pytest.mark.parametrize(
    ("timeout_s", "age_s"), [(None, 4.0), (0.0, 4.0), (9.0, 13.0), (12.0, 16.0), (3600.0, 16.0)]
)
def test_age_is_limited(timeout_s, age_s) -> None:
    claim = Claim(KEY, KEY, "u", 10**18, CLAIM.signature, 10_005_000, timeout_s)
    assert check_fresh(claim, 10**18 + int(age_s * SECOND) - 1) == pytest.approx(age_s)
    with pytest.raises(RefusedRequest, match="s ago") as stale:
        check_fresh(claim, 10**18 + int(age_s * SECOND))
    assert stale.value.why is Refusal.STALE_NONCE
    assert check_fresh(claim, 10**18 - 60 * SECOND) == -60
    with pytest.raises(RefusedRequest, match="in the future") as early:
        check_fresh(claim, 10**18 - 60 * SECOND - 1000)
    assert early.value.why is Refusal.FUTURE_NONCE
