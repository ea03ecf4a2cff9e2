"""Every import of the package, those inside functions too, runs along an edge that the design allows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "workzone"

# package → what it may import beside `core` and itself (docs/architecture.md holds the reasons)
EDGES: dict[str, set[str]] = {
    "core": set(),
    "storage": set(),
    "imaging": set(),
    "metrics": set(),
    "policy": set(),
    "data": {"storage", "imaging"},
    "models": set(),
    "calibration": {"metrics", "policy"},
    "bundle": {"storage", "imaging", "policy"},
    "pipeline": {"storage"},
    "subnet": {"imaging", "metrics"},
    "training": {"data", "models", "metrics", "imaging", "storage"},
    "evaluation": {"metrics", "policy", "storage"},
    "engine": {"bundle", "imaging", "policy", "storage"},
    "export": {"models", "bundle", "imaging", "storage", "engine", "policy"},
    "serving": {"engine", "bundle", "imaging", "policy", "storage", "subnet"},
    "phases": {
        "storage", "imaging", "metrics", "policy", "data", "models", "calibration", "bundle", "pipeline",
        "training", "evaluation", "engine", "export", "subnet",
    },
}  # fmt: skip

HEAVY = {"torch", "transformers", "lightning", "sklearn", "safetensors", "onnx", "onnxscript"}
MAY_BE_HEAVY = {"models", "training", "export"}
"""Packages whose modules may import torch and its kin at their head; elsewhere only where it is used."""


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        package = path.relative_to(SOURCE).parts[0]
        yield package, path, ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer they reach into"
            yield node.module or "", node.lineno
            if node.module == "workzone":
                for alias in node.names:
                    yield f"workzone.{alias.name}", node.lineno


def violations(package: str, tree: ast.Module) -> list[str]:
    found = []
    for name, line in imported(tree):
        parts = name.split(".")
        if parts[0] != "workzone" or len(parts) < 2:
            continue
        target = parts[1]
        if target in EDGES or target == "cli":
            allowed = EDGES.get(package, set(EDGES)) | {"core", package}
            if target not in allowed:
                found.append(f"line {line}: {package} imports {target}")
    return found


@pytest.mark.parametrize(("package", "path", "tree"), [
    pytest.param(package, path, tree, id=path.relative_to(SOURCE).as_posix())
    for package, path, tree in modules()
])  # fmt: skip
def test_imports_run_along_the_edges(package: str, path: Path, tree: ast.Module) -> None:
    if package in {"__init__.py", "__main__.py", "cli"}:
        return  # the composition root
    assert package in EDGES, f"{path}: a package that docs/architecture.md and this table don't know"
    assert violations(package, tree) == []


def test_a_forbidden_import_inside_a_function_is_seen() -> None:
    tree = ast.parse("def f():\n    from workzone.training import fit\n")
    assert violations("engine", tree) == ["line 2: engine imports training"]


def test_nobody_imports_the_command_line() -> None:
    for package, path, tree in modules():
        if package != "cli" and path.name != "__main__.py":
            assert not [n for n, _ in imported(tree) if n.startswith("workzone.cli")], path


def test_heavy_libraries_stay_in_their_packages() -> None:
    for package, path, tree in modules():
        if package in MAY_BE_HEAVY:
            continue
        for name, line in imported(tree):
            assert name.split(".")[0] not in HEAVY or package in {"phases", "data"}, f"{path}:{line} {name}"
        heads = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
        for name, line in imported(ast.Module(body=list(heads), type_ignores=[])):
            assert name.split(".")[0] not in HEAVY, f"{path}:{line} imports {name} at its head"


def test_onnxruntime_is_imported_in_one_place() -> None:
    """Whoever imports it first decides about its telemetry; what is resolved by name is a string."""
    users = {
        path.relative_to(SOURCE).as_posix()
        for _, path, tree in modules()
        for name in (*(name for name, _ in imported(tree)), *called_for(tree))
        if name.split(".")[0] == "onnxruntime"
    }
    assert users == {"core/onnx_runtime.py"}


def called_for(tree: ast.Module) -> Iterator[str]:
    """The modules that `require`, `import_module` and `resolve` are given."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in {"require", "import_module", "resolve"}:
                yield str(node.args[0].value)


def test_only_pack_cites_the_report() -> None:
    """`cites` passes an input on as documentation, outside the lineage: one phase may, for the card."""
    users = [
        path.name
        for package, path, tree in modules()
        if package == "phases"
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "cites"
    ]
    assert users == ["pack.py"]


def test_phases_get_samples_only_through_grants() -> None:
    """The table of a data set holds all roles at once; only `data` and the split phase read it."""
    for package, path, tree in modules():
        if package not in {"phases", "training"} or path.name in {"split.py"}:
            continue
        reads = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr == "samples"]
        assert reads == [], f"{path} reads .samples at {reads}: ask the grant instead"
