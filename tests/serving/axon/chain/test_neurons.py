from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import DataError
from workzone.serving.axon.chain.chain import ChainState, burnt_share
from workzone.serving.axon.chain.neurons import Neuron, Neurons

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_a_registered_hotkey_is_found_and_no_other() -> None:
    table = Neurons.of(7, NOW, [Neuron(0, "5Alice", 10.0, True), Neuron(1, "5Bob", 0.0, False)])
    assert table.find("5Bob") == Neuron(1, "5Bob", 0.0, False)
    assert table.find("5alice") is None
    assert table.find("") is None


def test_a_table_is_never_changed() -> None:
    table = Neurons.of(7, NOW, [Neuron(0, "5Alice", 10.0, True)])
    with pytest.raises(TypeError):
        table.by_hotkey["5Mallory"] = Neuron(1, "5Mallory", 1.0, True)  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        table.by_hotkey["5Alice"].stake = 1e9  # type: ignore[misc]


@pytest.mark.parametrize(
    ("uid", "hotkey", "stake"),
    [
        (-1, "5A", 0.0),
        (1 << 16, "5A", 0.0),
        (0, "", 0.0),
        (0, "5A" * 40, 0.0),
        (0, "5A\n", 0.0),
        (0, "5Ä", 0.0),
        (0, "5A", -1.0),
        (0, "5A", float("nan")),
        (0, "5A", float("inf")),
    ],
)
def test_what_is_no_neuron_is_refused(uid: int, hotkey: str, stake: float) -> None:
    with pytest.raises(DataError, match="expected"):
        Neuron(uid, hotkey, stake, False)


@pytest.mark.parametrize("twice", [Neuron(1, "5Alice", 0.0, False), Neuron(0, "5Bob", 0.0, False)])
def test_a_number_or_hotkey_named_twice_is_refused(twice: Neuron) -> None:
    with pytest.raises(DataError, match="twice"):
        Neurons.of(7, NOW, [Neuron(0, "5Alice", 10.0, True), twice])


def test_age_is_never_negative() -> None:
    table = Neurons.of(7, NOW, [])
    assert table.age(NOW + timedelta(hours=2)) == timedelta(hours=2)
    assert table.age(NOW - timedelta(hours=2)) == timedelta(0)  # the clock was set back


def test_the_lag_is_our_clock_less_the_chains() -> None:
    table = Neurons.of(7, NOW, [])
    assert ChainState(table).lag_s is None
    assert ChainState(table, block_time=NOW, block_read_at=NOW + timedelta(seconds=9)).lag_s == 9.0
    assert ChainState(table, block_time=NOW, block_read_at=NOW - timedelta(seconds=60)).lag_s == -60.0


def test_burnt_is_what_goes_to_the_owners_keys() -> None:
    hotkeys, coldkeys = ["owner", "miner", "second", "validator"], ["boss", "joe", "boss", "val"]
    owner = ("owner", "boss")
    assert burnt_share([0.5, 0.25, 0.25, 0.0], hotkeys, coldkeys, owner) == 0.75
    assert burnt_share([1.0, 0.0, 0.0, 0.0], hotkeys, coldkeys, owner) == 1.0
    assert burnt_share([0.0, 0.3, 0.0, 0.0], hotkeys, coldkeys, owner) == 0.0
    # The owner's hotkey counts though another coldkey holds it.
    assert burnt_share([1.0, 0.0, 0.0, 0.0], hotkeys, coldkeys, ("owner", "elsewhere")) == 1.0
    assert burnt_share([0.0] * 4, hotkeys, coldkeys, owner) is None  # nobody gets any
    assert burnt_share([], [], [], owner) is None
    assert burnt_share([float("nan"), 0.0, 0.0, 0.0], hotkeys, coldkeys, owner) is None


@given(st.lists(st.tuples(st.floats(0, 1e6), st.booleans()), min_size=1, max_size=50))
def test_burnt_and_unburnt_make_the_whole(rows: list[tuple[float, bool]]) -> None:
    incentive = [share for share, _ in rows]
    hotkeys = [f"h{i}" for i in range(len(rows))]
    burnt = burnt_share(
        incentive, hotkeys, ["boss" if owned else "joe" for _, owned in rows], ("none", "boss")
    )
    kept = burnt_share(
        incentive, hotkeys, ["joe" if owned else "boss" for _, owned in rows], ("none", "boss")
    )
    if sum(incentive) == 0:
        assert burnt is None
        assert kept is None
    else:
        assert burnt is not None
        assert kept is not None
        assert 0 <= burnt <= 1
        assert abs(burnt + kept - 1) < 1e-9
