"""What was taken is never taken again, however little memory there is: against a store that forgets nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.serving.axon.guard.nonces import Nonces

REQUESTS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("uv"), st.integers(0, 60)), max_size=200
)


def take(nonces: Nonces, hotkey: str, uuid: str, nonce: int) -> bool:
    """Take a request as the SDK does after it verified the signature; return whether it was taken."""
    key = f"{hotkey}:{uuid}"
    if nonces.get(key) is not None and nonce <= nonces[key]:
        return False
    try:
        nonces[key] = nonce
    except ValueError:
        return False
    return True


@given(REQUESTS, st.integers(1, 4), st.integers(1, 8))
def test_nothing_is_taken_twice_and_memory_is_bounded(requests, max_hotkeys, max_nonces) -> None:
    nonces = Nonces(5, max_hotkeys=max_hotkeys, max_nonces=max_nonces)
    taken = set()
    for request in requests:
        known = nonces.taken(*request)
        assert take(nonces, *request) is not known
        if not known:
            assert request not in taken
            assert request[2] > 5
            taken.add(request)
            assert nonces.taken(*request)
        assert len(nonces) <= max_hotkeys * max_nonces


@given(REQUESTS)
def test_with_enough_memory_only_what_was_taken_is_refused(requests) -> None:
    nonces = Nonces(-1)
    taken: set[tuple[str, str, int]] = set()
    for request in requests:
        assert take(nonces, *request) is (request not in taken)
        taken.add(request)


def test_one_hotkeys_floor_is_its_own() -> None:
    nonces = Nonces(0, max_nonces=1)
    assert take(nonces, "busy", "u", 100)
    assert take(nonces, "busy", "u", 200)
    assert not take(nonces, "busy", "v", 50)
    assert take(nonces, "quiet", "u", 50)


def test_where_hotkeys_are_forgotten_the_floor_of_all_rises() -> None:
    nonces = Nonces(0, max_hotkeys=1)
    assert take(nonces, "first", "u", 100)
    assert take(nonces, "second", "u", 150)
    assert nonces.taken("first", "u", 100)
    assert not nonces.taken("third", "u", 101)


def test_one_hotkey_whose_clock_is_ahead_shuts_nobody_out_when_hotkeys_are_forgotten() -> None:
    """It came first and was silent since; were it forgotten, the floor of all would be in the future."""
    nonces = Nonces(0, max_hotkeys=3)
    assert take(nonces, "ahead", "u", 10_000)
    for n in range(1, 50):
        assert take(nonces, f"honest {n}", "u", 100 + n)
    assert nonces.taken("ahead", "u", 10_000)
    assert len(nonces) == 3


def test_the_sdk_always_has_something_to_compare_with() -> None:
    """Its check of a first nonce's age trusts two values that are not signed, and must never be reached."""
    nonces = Nonces(7)
    assert nonces.get("nobody:u") == nonces["nobody:u"] == 7
    with pytest.raises(ValueError, match="taken already"):
        nonces["nobody:u"] = 7
