from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workzone.core.errors import ConfigError
from workzone.pipeline.graph import ordered
from workzone.pipeline.phase import Phase


def node(name: str, *inputs: str, output: str | None = None) -> Phase:
    return Phase(name, 1, inputs, output or f"{name}-out", frozenset(), {}, lambda context: None)


def names(phases: list[Phase]) -> list[str]:
    return [phase.name for phase in phases]


@st.composite
def graphs(draw: st.DrawFn) -> list[Phase]:
    """Phases p0..pn where each reads some earlier ones, in any order."""
    n = draw(st.integers(1, 8))
    earlier = [draw(st.lists(st.integers(0, i - 1), unique=True)) if i else [] for i in range(n)]
    return draw(st.permutations([node(f"p{i}", *(f"p{j}-out" for j in earlier[i])) for i in range(n)]))


def ancestors(phases: list[Phase], name: str) -> set[str]:
    """Return `name` and all it needs, by growing the set until it stands."""
    inputs = {p.name: {i.removesuffix("-out") for i in p.inputs} for p in phases}
    found = {name}
    while True:
        grown = found.union(*(inputs[n] for n in found))
        if grown == found:
            return found
        found = grown


@settings(deadline=None, max_examples=80)
@given(graphs())
def test_each_phase_follows_its_inputs(phases: list[Phase]) -> None:
    order = ordered(phases)
    assert sorted(names(order)) == sorted(names(phases))
    for place, phase in enumerate(order):
        assert set(phase.inputs) <= {p.output for p in order[:place]}


@settings(deadline=None, max_examples=80)
@given(graphs())
def test_a_target_takes_itself_and_all_it_needs(phases: list[Phase]) -> None:
    for phase in phases:
        order = ordered(phases, phase.name)
        assert set(names(order)) == ancestors(phases, phase.name)
        assert order[-1] is phase


def test_ties_keep_the_given_order() -> None:
    assert names(ordered([node("b"), node("a"), node("c")])) == ["b", "a", "c"]


def test_a_circle_is_named_from_end_to_end() -> None:
    phases = [node("a", "c-out"), node("b", "a-out"), node("c", "b-out"), node("d", "a-out")]
    with pytest.raises(ConfigError, match=r"a → b → c → a"):
        ordered(phases)
    with pytest.raises(ConfigError, match="wait for each other: a → a"):
        ordered([node("a", "a-out")])


def test_what_nobody_makes_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'b' needs 'modle', which no phase makes. Did you mean 'model'\?"):
        ordered([node("a", output="model"), node("b", "modle")])


def test_two_producers_are_refused() -> None:
    with pytest.raises(ConfigError, match="'a' and 'b' both make 'model'"):
        ordered([node("a", output="model"), node("b", output="model")])
    with pytest.raises(ConfigError, match="two phases 'a'"):
        ordered([node("a", output="x"), node("a", output="y")])


def test_an_unknown_target_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no phase 'trian'. Did you mean 'train'\?"):
        ordered([node("train"), node("pack")], "trian")
