from __future__ import annotations

import asyncio
import contextlib
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workzone.core.errors import DataError
from workzone.serving.axon.address import Address
from workzone.serving.axon.chain import neuron_file
from workzone.serving.axon.chain.neuron_file import NeuronFile
from workzone.serving.axon.chain.neurons import Neuron
from workzone.serving.axon.chain.watch import ChainWatch
from workzone.serving.axon.health.concerns import Concern, Concerns

pytest.importorskip("bittensor_wallet")

# Substrate's development accounts: Alice, Bob, Charlie, Dave.
VALIDATOR = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
OURS = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
SHORT = "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y"
NOBODY = "5DAAnrj7VHTznn2AWBemMuyBwZWs6FNFjdyVXUeYum3PTXFy"

TABLE: dict[str, Any] = {
    "block": 12,
    "neurons": [
        {"uid": 0, "hotkey": VALIDATOR, "stake": 1000, "permit": True},
        {"uid": 7, "hotkey": OURS, "stake": 0.5, "permit": False},
        {"uid": 8, "hotkey": SHORT},
    ],
}


POLKADOTS = "12xtAYsRUrmbniiWQqJtECiBQrMn8AypQcXhnQAc6RB6XkLW"


def of(*neurons: Any) -> dict[str, Any]:
    return {"block": 1, "neurons": list(neurons)}


class Clock:
    now = datetime(2026, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def written(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_table_is_read(tmp_path: Path) -> None:
    clock = Clock()
    state = NeuronFile(written(tmp_path / "neurons.json", TABLE), OURS, clock=clock).fetch()
    assert (state.neurons.block, state.neurons.synced_at, state.own_uid) == (12, clock.now, 7)
    assert state.neurons.find(VALIDATOR) == Neuron(0, VALIDATOR, 1000.0, True)
    assert state.neurons.find(SHORT) == Neuron(8, SHORT, 0.0, False)
    assert (state.lag_s, state.burnt_share, state.announced) == (None, None, None)


def test_a_stranger_is_not_registered(tmp_path: Path) -> None:
    assert NeuronFile(written(tmp_path / "neurons.json", TABLE), NOBODY).fetch().own_uid is None


def test_an_announcement_is_remembered_so_that_it_is_made_once(tmp_path: Path) -> None:
    chain = NeuronFile(written(tmp_path / "neurons.json", TABLE), OURS)
    chain.announce(Address("198.51.100.7", 8091))
    assert chain.fetch().announced == Address("198.51.100.7", 8091)


def test_it_is_read_again_when_it_changed_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    real = neuron_file.read_json
    monkeypatch.setattr(
        neuron_file, "read_json", lambda path, most: (reads.append(path), real(path, most))[1]
    )
    clock = Clock()
    path = written(tmp_path / "neurons.json", TABLE)
    chain = NeuronFile(path, OURS, clock=clock)
    chain.fetch()
    clock.now += timedelta(hours=9)
    assert chain.fetch().neurons.synced_at == clock.now  # looked at, and so as fresh as a new one
    assert len(reads) == 1
    written(tmp_path / "new.json", {**TABLE, "block": 13}).replace(path)
    assert chain.fetch().neurons.block == 13
    assert len(reads) == 2


def test_a_file_that_was_spoilt_is_refused_and_read_again_when_mended(tmp_path: Path) -> None:
    path = written(tmp_path / "neurons.json", TABLE)
    chain = NeuronFile(path, OURS)
    chain.fetch()
    written(path, "{")
    for _ in range(2):
        with pytest.raises(DataError, match="not JSON"):
            chain.fetch()
    written(path, TABLE)
    assert chain.fetch().own_uid == 7


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "not JSON"),
        ('{"block": 1, "block": 2, "neurons": []}', "occurs twice"),
        ([], "it is no object"),
        ({"neurons": TABLE["neurons"]}, "it lacks 'block'"),
        ({**TABLE, "blok": 1}, "it has the unknown key 'blok'. Did you mean 'block'?"),
        ({**TABLE, "neurons": []}, "'neurons' is no list of 1 to 65536"),
        ({**TABLE, "neurons": {VALIDATOR: 1}}, "'neurons' is no list of 1 to 65536"),
        ({**TABLE, "block": -1}, "'block' is no whole number from 0 on"),
        ({**TABLE, "block": 1.5}, "'block' is no whole number"),
        ({**TABLE, "block": True}, "'block' is no whole number"),
        (of(7), "neuron 1 in the list is no object"),
        (of({"hotkey": OURS}), "neuron 1 in the list lacks 'uid'"),
        (of({"uid": 0}), "neuron 1 in the list lacks 'hotkey'"),
        (
            of({"uid": 0, "hotkey": OURS}, {"uid": 1, "hotky": SHORT}),
            "neuron 2 in the list has the unknown key 'hotky'",
        ),
        (of({"uid": 0, "hotkey": OURS, "permits": True}), "Did you mean 'permit'?"),
        (of({"uid": "0", "hotkey": OURS}), "its 'uid' is no whole number from 0 to 65535"),
        (of({"uid": True, "hotkey": OURS}), "its 'uid' is no whole number"),
        (of({"uid": 1 << 16, "hotkey": OURS}), "its 'uid' is no whole number"),
        (
            of({"uid": 3, "hotkey": "5F"}),
            "'hotkey' of uid 3 is no valid SS58 address (found 2 characters;",
        ),
        (
            of({"uid": 3, "hotkey": OURS[:-1]}),
            "'hotkey' of uid 3 is no valid SS58 address (found 47 characters;",
        ),
        (of({"uid": 3, "hotkey": OURS[:-1] + "z"}), "'hotkey' of uid 3 is no valid SS58 address"),
        (of({"uid": 3, "hotkey": OURS + "\n"}), "'hotkey' of uid 3 is no valid SS58 address"),
        (of({"uid": 3, "hotkey": 5}), "'hotkey' of uid 3 is no valid SS58 address (found no text;"),
        (of({"uid": 3, "hotkey": POLKADOTS}), "'hotkey' of uid 3 is no valid SS58 address"),
        (of({"uid": 3, "hotkey": OURS, "stake": -1}), "the 'stake' of uid 3 is no number from 0 on"),
        (of({"uid": 3, "hotkey": OURS, "stake": True}), "the 'stake' of uid 3"),
        (of({"uid": 3, "hotkey": OURS, "stake": "1"}), "the 'stake' of uid 3"),
        (of({"uid": 3, "hotkey": OURS, "permit": "yes"}), "the 'permit' of uid 3 is neither true nor false"),
        (of({"uid": 0, "hotkey": OURS}, {"uid": 0, "hotkey": SHORT}), "twice"),
        (of({"uid": 0, "hotkey": OURS}, {"uid": 1, "hotkey": OURS}), "twice"),
        (json.dumps(of({"uid": 0, "hotkey": OURS, "stake": "?"})).replace('"?"', "1e999"), "too large"),
        (
            of({"uid": 0, "hotkey": OURS, "stake": 10**400}),
            "'stake' of uid 0",
        ),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: Any, complaint: str) -> None:
    with pytest.raises(DataError) as caught:
        NeuronFile(written(tmp_path / "neurons.json", content), OURS).fetch()
    assert complaint in str(caught.value)
    assert "neurons.json" in str(caught.value)
    assert "Input" not in str(caught.value)  # no words of a library's


def test_what_stands_in_place_of_a_hotkey_is_not_quoted(tmp_path: Path) -> None:
    seed = "0x" + "ab" * 32
    with pytest.raises(DataError) as caught:
        NeuronFile(written(tmp_path / "neurons.json", of({"uid": 3, "hotkey": seed})), OURS).fetch()
    assert seed not in str(caught.value)


def test_what_is_wrong_in_a_rehearsal_is_said_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "neurons.json", TABLE)
    concerns = Concerns()
    watch = ChainWatch(NeuronFile(path, NOBODY), concerns, None)
    asyncio.run(watch.step())
    path.unlink()
    asyncio.run(watch.step())
    unregistered = concerns.current[Concern.NOT_REGISTERED].finding.message
    away = concerns.current[Concern.CHAIN_AWAY].finding.message
    assert f"Our hotkey {NOBODY} is not in the file '{path}'" in unregistered
    assert "add it there" in unregistered
    assert f"The file '{path}' can't be read" in away
    assert f"and the file '{path}' is tried again" in away
    for message in (unregistered, away):
        for word in ("chain", "btcli", "--network", "--netuid"):
            assert word not in message.replace(str(path), "")


def test_a_file_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neuron_file, "MAX_FILE_BYTES", 50)
    with pytest.raises(DataError, match="larger than 50 bytes"):
        NeuronFile(written(tmp_path / "neurons.json", TABLE), OURS).fetch()


def test_what_is_missing_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        NeuronFile(tmp_path / "absent.json", OURS).fetch()
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(DataError, match="is no file; expected a table"):
            NeuronFile(path, OURS).fetch()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["block", "neurons", "uid", "hotkey", "stake", "permit", "x"]), inner, max_size=5
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(json_values)
def test_no_json_raises_anything_but_a_data_error(tmp_path: Path, value: Any) -> None:
    path = written(tmp_path / "any.json", value)
    with contextlib.suppress(DataError):
        NeuronFile(path, OURS).fetch()
