"""No god files, no god functions, no shelf words."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py")) + sorted((ROOT / "benchmarks").rglob("*.py"))


def test_files_stay_below_600_lines_and_half_of_them_below_250() -> None:
    lengths = sorted(len(p.read_text(encoding="utf-8").splitlines()) for p in SOURCES)
    assert lengths[-1] < 600
    assert lengths[len(lengths) // 2] <= 250


def test_functions_stay_below_80_lines() -> None:
    long = [
        f"{path.name}:{node.name} ({(node.end_lineno or 0) - node.lineno + 1})"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno + 1 > 80
    ]
    assert long == []


def test_modules_are_named_for_what_they_do() -> None:
    shelf = {"utils", "util", "helpers", "helper", "common", "misc", "base", "v2", "new", "phase1"}
    assert [p for p in SOURCES if shelf & {p.stem, *p.parent.parts[-1:]}] == []


def test_no_file_of_the_repository_is_larger_than_1_mb() -> None:
    skipped = {".git", ".venv", "runs", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
    large = [
        p
        for p in ROOT.rglob("*")
        if p.is_file() and not skipped & set(p.relative_to(ROOT).parts) and p.stat().st_size > 1_000_000
    ]
    assert large == []
