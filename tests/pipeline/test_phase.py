from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from workzone.core.errors import ConfigError
from workzone.pipeline.phase import Phase

PHASE = Phase("train", 1, ("split",), "checkpoint", frozenset(), {"epochs": 3}, lambda context: None)
INPUTS = {"split": "a" * 64}


@pytest.mark.parametrize(
    "name", ["", "Train", "../train", "a/b", ".train", "a--b", "-a", "train ", "tr\nain"]
)
def test_names_become_file_names_and_are_refused_otherwise(name: str) -> None:
    for changed in ({"name": name}, {"output": name}, {"inputs": (name,)}):
        with pytest.raises(ConfigError, match="no name for a phase"):
            replace(PHASE, **changed)


def test_an_input_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="twice"):
        replace(PHASE, inputs=("split", "split"))


@pytest.mark.parametrize(
    "changed",
    [{"name": "fit"}, {"version": 2}, {"output": "model"}, {"config": {"epochs": 4}}, {"inputs": ()}],
)
def test_the_key_knows_all_that_determines_the_output(changed: dict[str, Any]) -> None:
    assert replace(PHASE, **changed).key(INPUTS) != PHASE.key(INPUTS)


def test_the_key_knows_the_content_of_inputs_and_nothing_else() -> None:
    assert PHASE.key({"split": "b" * 64}) != PHASE.key(INPUTS)
    assert PHASE.key({**INPUTS, "other": "c" * 64}) == PHASE.key(INPUTS)
    assert replace(PHASE, config={"epochs": 3}, run=print).key(INPUTS) == PHASE.key(INPUTS)


@pytest.mark.parametrize("config", [{1, 2}, float("nan"), object(), {"x": b"bytes"}])
def test_a_configuration_that_is_no_json_is_refused(config: Any) -> None:
    with pytest.raises(ConfigError, match="'train' is no JSON value"):
        replace(PHASE, config=config).config_sha256()
