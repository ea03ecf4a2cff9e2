"""`workzone subnet ask`: one line a picture, exit 3 where one got no answer."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("bittensor_wallet")


@pytest.fixture
def asked(invoke, monkeypatch, tmp_path):
    """Ask about `names` a miner that tells `told` of each in turn."""
    from workzone.serving.axon.client import Told

    assert invoke("subnet", "rehearsal", tmp_path / "r").code == 0

    def call(told, *options):
        replies = iter(told)
        monkeypatch.setattr(
            "workzone.serving.axon.client.ask_axon",
            lambda *_, **__: Told(200, next(replies), "", 0.012),
        )
        paths = [tmp_path / f"{at}.jpg" for at in range(len(told))]
        for path in paths:
            path.write_bytes(b"\xff\xd8")
        keys = ("--hotkey-file", tmp_path / "r" / "validator.json")
        return invoke("subnet", "ask", "127.0.0.1:8091", *paths, "--receiver", "5F", *keys, *options)

    return call


def test_every_picture_has_its_line(asked):
    said = asked([0.75, 0.25])
    assert said.code == 0
    assert [line.split()[1:] for line in said.out.splitlines()] == [
        ["0.750", "12", "ms"],
        ["0.250", "12", "ms"],
    ]


def test_one_without_an_answer_is_a_gate_that_is_not_met(asked):
    said = asked([0.75, None], "--json")
    assert said.code == 3
    assert [one["prediction"] for one in json.loads(said.out)] == [0.75, None]
    assert "no answer" in asked([None]).out


def test_what_it_refuses(invoke, tmp_path):
    assert invoke("subnet", "rehearsal", tmp_path / "r").code == 0
    keys = ("--receiver", "5F", "--hotkey-file", tmp_path / "r" / "validator.json")
    invoke("subnet", "ask", "nowhere", tmp_path / "p.jpg", *keys).sentence("IP:PORT")
    invoke("subnet", "ask", "127.0.0.1:8091", tmp_path / "p.jpg", *keys).sentence("p.jpg", "cannot be read")
    invoke("subnet", "ask", "127.0.0.1:8091", tmp_path / "p.jpg", "--receiver", "5F").sentence("0 sources")
