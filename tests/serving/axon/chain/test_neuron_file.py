from __future__ import annotations

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

TABLE = {
    "block": 12,
    "neurons": [
        {"uid": 0, "hotkey": "5Validator", "stake": 1000, "permit": True},
        {"uid": 7, "hotkey": "5Ours", "stake": 0.5, "permit": False},
        {"uid": 8, "hotkey": "5Short"},
    ],
}


class Clock:
    now = datetime(2026, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def written(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_table_is_read(tmp_path: Path) -> None:
    clock = Clock()
    state = NeuronFile(written(tmp_path / "neurons.json", TABLE), "5Ours", clock=clock).fetch()
    assert (state.neurons.block, state.neurons.synced_at, state.own_uid) == (12, clock.now, 7)
    assert state.neurons.find("5Validator") == Neuron(0, "5Validator", 1000.0, True)
    assert state.neurons.find("5Short") == Neuron(8, "5Short", 0.0, False)
    assert (state.lag_s, state.burnt_share, state.announced) == (None, None, None)


def test_a_stranger_is_not_registered(tmp_path: Path) -> None:
    assert NeuronFile(written(tmp_path / "neurons.json", TABLE), "5Nobody").fetch().own_uid is None


def test_an_announcement_is_remembered_so_that_it_is_made_once(tmp_path: Path) -> None:
    chain = NeuronFile(written(tmp_path / "neurons.json", TABLE), "5Ours")
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
    chain = NeuronFile(path, "5Ours", clock=clock)
    chain.fetch()
    clock.now += timedelta(hours=9)
    assert chain.fetch().neurons.synced_at == clock.now  # looked at, and so as fresh as a new one
    assert len(reads) == 1
    written(tmp_path / "new.json", {**TABLE, "block": 13}).replace(path)
    assert chain.fetch().neurons.block == 13
    assert len(reads) == 2


def test_a_file_that_was_spoilt_is_refused_and_read_again_when_mended(tmp_path: Path) -> None:
    path = written(tmp_path / "neurons.json", TABLE)
    chain = NeuronFile(path, "5Ours")
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
        ({"neurons": TABLE["neurons"]}, "block: Field required"),
        ({"block": 1, "neurons": []}, "neurons: List should have at least 1 item"),
        ({"block": -1, "neurons": TABLE["neurons"]}, "block: Input should be greater"),
        ({"block": 1, "neurons": {"5A": 1}}, "neurons: Input should be a valid list"),
        ({"block": 1, "neurons": [{"uid": "0", "hotkey": "5A"}]}, r"neurons\.0\.uid"),
        ({"block": 1, "neurons": [{"uid": True, "hotkey": "5A"}]}, r"neurons\.0\.uid"),
        ({"block": 1, "neurons": [{"uid": 1 << 16, "hotkey": "5A"}]}, r"neurons\.0\.uid"),
        ({"block": 1, "neurons": [{"uid": 0, "hotkey": "5A 5B"}]}, r"neurons\.0\.hotkey"),
        ({"block": 1, "neurons": [{"uid": 0, "hotkey": "5A\n"}]}, r"neurons\.0\.hotkey"),
        ({"block": 1, "neurons": [{"uid": 0, "hotkey": "5A", "stake": -1}]}, r"neurons\.0\.stake"),
        ({"block": 1, "neurons": [{"uid": 0, "hotkey": "5A", "permit": "yes"}]}, r"neurons\.0\.permit"),
        ({"block": 1, "neurons": [{"uid": 0, "hotkey": "5A", "permits": True}]}, r"neurons\.0\.permits"),
        ({"block": 1, "neurons": [{"uid": 0, "hotkey": "5A"}, {"uid": 0, "hotkey": "5B"}]}, "twice"),
        ({"block": 1, "neurons": [{"uid": 0, "hotkey": "5A"}, {"uid": 1, "hotkey": "5A"}]}, "twice"),
        ('{"block": 1, "neurons": [{"uid": 0, "hotkey": "5A", "stake": 1e999}]}', "too large"),
        ("[" * 100_000, "nested too deeply|not JSON"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: Any, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        NeuronFile(written(tmp_path / "neurons.json", content), "5Ours").fetch()


def test_a_file_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neuron_file, "MAX_FILE_BYTES", 50)
    with pytest.raises(DataError, match="larger than 50 bytes"):
        NeuronFile(written(tmp_path / "neurons.json", TABLE), "5Ours").fetch()


def test_what_is_missing_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        NeuronFile(tmp_path / "absent.json", "5Ours").fetch()
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(DataError, match="is no file; expected a table"):
            NeuronFile(path, "5Ours").fetch()


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
        NeuronFile(path, "5Ours").fetch()
