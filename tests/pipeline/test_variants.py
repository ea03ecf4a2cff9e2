"""A variant runs the same phase on artifacts of its own."""

from __future__ import annotations

import pytest

from workzone.core.errors import ConfigError
from workzone.pipeline.graph import ordered
from workzone.pipeline.phase import Phase
from workzone.pipeline.variants import variant_of


def node(name, output, *inputs, run=lambda context: None, cites=()):
    return Phase(name, 1, inputs, output, frozenset(), {}, run, cites)


def test_what_the_variant_makes_is_its_own_and_the_rest_is_shared():
    phase = node("pack", "bundle", "split", "model", "report", cites=("report",))
    twin = variant_of(phase, "fast-16", {"model", "report", "bundle"})
    assert (twin.name, twin.output) == ("pack@fast-16", "bundle@fast-16")
    assert twin.inputs == ("split", "model@fast-16", "report@fast-16")
    assert twin.cites == ("report@fast-16",)
    assert (twin.config, twin.roles, twin.version) == (phase.config, phase.roles, phase.version)


def test_the_phase_finds_its_inputs_under_the_names_it_knows(bench):
    found = {}

    def run(context):
        found.update({name: path.name for name, path in context.inputs.items()})
        assert set(context.input_sha256) == set(context.inputs)
        (context.output / "x").write_text("y")

    def write(context):
        (context.output / "x").write_text("z")

    shared, model = node("split", "split", run=write), node("freeze@b", "model@b", run=write)
    twin = variant_of(node("predict", "predictions-select", "split", "model", run=run), "b",
                      {"model", "predictions-select"})  # fmt: skip
    bench.runner().run([shared, model, twin])
    assert found == {"split": "split", "model": "model@b"}
    assert bench.store.open("predictions-select@b")[1].kind == "predictions-select@b"


def test_variants_make_one_graph_with_what_they_share():
    plain = [node("split", "split"), node("freeze", "model", "split"), node("predict", "scores", "model")]
    twins = [variant_of(phase, "b", {"model", "scores"}) for phase in plain[1:]]
    assert [phase.name for phase in ordered([*plain, *twins], "predict@b")] == [
        "split",
        "freeze@b",
        "predict@b",
    ]


@pytest.mark.parametrize("variant", ["", "B", "a@b", "../x", "a b", "-a"])
def test_a_variant_has_a_plain_name(variant):
    with pytest.raises(ConfigError, match="no name"):
        variant_of(node("freeze", "model"), variant, {"model"})
