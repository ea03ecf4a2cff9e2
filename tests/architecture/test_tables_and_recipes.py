"""Every entry of every table of choices resolves; every recipe loads and says what to expect."""

from __future__ import annotations

from pathlib import Path

import pytest

from workzone.core.lazy import resolve
from workzone.phases.recipe import load_recipe, recipe_names

RECIPES = Path(__file__).parents[2] / "src" / "workzone" / "recipes"
TABLES = [
    "workzone.engine.backend:BACKENDS",
    "workzone.calibration.calibrators:FITTERS",
    "workzone.training.train:METHODS",
]


@pytest.mark.parametrize("table", TABLES)
def test_every_entry_resolves(table: str) -> None:
    entries = resolve(table)
    assert entries
    for dotted in entries.values():
        assert callable(resolve(dotted))


def test_recipes_are_found() -> None:
    assert recipe_names() == sorted(p.stem for p in RECIPES.glob("*.yaml"))
    assert "demo" in recipe_names()


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_loads_and_its_header_tells_what_to_expect(name: str) -> None:
    assert load_recipe(name).name == name
    header = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8").partition("defaults:")[0]
    for word in ("Purpose:", "Command:", "Expected time:", "Expected result:"):
        assert word in header
