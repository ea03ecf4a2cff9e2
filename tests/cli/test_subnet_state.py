"""`workzone subnet state`: what the chain says, for people and machines, and where it cannot be asked."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("bittensor_wallet")


@pytest.fixture
def say(monkeypatch, invoke):
    """Ask about a subnet of which the chain says what is given."""
    from workzone.serving.axon.chain.survey import Survey

    def call(*options, **found):
        known = {"block": 9, "neurons": 256, "validators": 12, "burnt_share": 0.25, "price_tao": 0.5, **found}
        monkeypatch.setattr("workzone.serving.axon.chain.survey.survey", lambda chain: Survey(**known))
        return invoke("subnet", "state", *options)

    return call


def test_a_subnet_that_pays(say):
    said = say()
    assert said.code == 0
    assert "256, of which 12 may validate" in said.out
    assert "75.0% of the miners' share goes to miners" in said.out
    assert "0.5 TAO" in said.out


@pytest.mark.parametrize("share", [1.0, 0.9995, None])
def test_one_that_burns_all_or_does_not_say_is_a_gate_that_is_not_met(say, share):
    said = say("--json", burnt_share=share)
    assert said.code == 3
    document = json.loads(said.out)
    assert document["burnt_share"] == share
    assert document["pays"] is (None if share is None else False)
    assert (document["network"], document["netuid"]) == ("finney", 72)


def test_a_chain_that_is_away_is_one_clear_sentence(invoke):
    said = invoke("subnet", "state", "--network", "ws://127.0.0.1:9", "--netuid", 72)
    assert said.code == 1
    said.sentence("ws://127.0.0.1:9", "failed")


def test_a_network_it_has_no_number_for(invoke):
    said = invoke("subnet", "state", "--network", "ws://127.0.0.1:9")
    assert said.code == 2
    said.sentence("--netuid")
