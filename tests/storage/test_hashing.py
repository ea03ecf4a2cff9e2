from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workzone.core.errors import ArtifactError
from workzone.storage.hashing import canonical_json, sha256_file, sha256_json, sha256_tree

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(texts, v, max_size=4))


def strict(value: Any) -> Any:
    """Return a form in which 1, 1.0 and True, and 0.0 and -0.0, are not equal; dicts know no order."""
    if isinstance(value, dict):
        return ("dict", frozenset((k, strict(v)) for k, v in value.items()))
    if isinstance(value, list):
        return ("list", tuple(strict(v) for v in value))
    return (type(value).__name__, value, isinstance(value, float) and math.copysign(1, value))


@settings(deadline=None)
@given(values)
def test_canonical_json_means_the_value(value: Any) -> None:
    assert strict(json.loads(canonical_json(value))) == strict(value)


@settings(deadline=None)
@given(values, values)
def test_canonical_json_is_one_text_for_one_value(left: Any, right: Any) -> None:
    assert (canonical_json(left) == canonical_json(right)) == (strict(left) == strict(right))


@settings(deadline=None)
@given(st.dictionaries(texts, values, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_count(value: dict[str, Any], random: Any) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert sha256_json(dict(items)) == sha256_json(value)


def test_canonical_json_is_pinned() -> None:
    value = {"b": [1, 2.5, -0.0, None, True], "a": {"ä": "\n"}}
    assert canonical_json(value) == '{"a":{"ä":"\\n"},"b":[1,2.5,-0.0,null,true]}'.encode()
    assert sha256_json({}) == hashlib.sha256(b"{}").hexdigest()


@pytest.mark.parametrize("value", [math.nan, math.inf, [1, -math.inf], "\ud800"])
def test_what_is_no_json_has_no_hash(value: Any) -> None:
    with pytest.raises(ValueError):
        sha256_json(value)
    with pytest.raises(TypeError):
        sha256_json({1, 2})


def tree(root: Path) -> Path:
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "sub" / "b.txt").write_text("b")
    return root


def test_a_tree_is_its_names_and_contents(tmp_path: Path) -> None:
    first, second = tree(tmp_path / "first"), tree(tmp_path / "elsewhere" / "second")
    os.utime(second / "a.txt", (0, 0))
    (second / "empty").mkdir()
    a, b = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
    assert sha256_tree(first) == sha256_tree(second) == sha256_json([["a.txt", a], ["sub/b.txt", b]])
    assert sha256_tree(first / "a.txt") == sha256_file(first / "a.txt") == a


@pytest.mark.parametrize("change", ["content", "rename", "move", "swap", "add", "remove"])
def test_every_change_changes_the_hash(tmp_path: Path, change: str) -> None:
    root = tree(tmp_path / "tree")
    before = sha256_tree(root)
    a, b = root / "a.txt", root / "sub" / "b.txt"
    match change:
        case "content":
            a.write_text("A")
        case "rename":
            a.rename(root / "c.txt")
        case "move":
            b.rename(root / "b.txt")
        case "swap":
            a.write_text("b")
            b.write_text("a")
        case "add":
            (root / "empty.txt").write_text("")
        case "remove":
            b.unlink()
    assert sha256_tree(root) != before


@pytest.mark.parametrize("kind", ["missing", "link to a file", "link to a directory", "dangling", "pipe"])
def test_what_could_change_without_the_hash_is_refused(tmp_path: Path, kind: str) -> None:
    root, outside = tree(tmp_path / "tree"), tree(tmp_path / "outside")
    odd = root / "sub" / "odd"
    match kind:
        case "missing":
            root = tmp_path / "none"
        case "link to a file":
            odd.symlink_to(outside / "a.txt")
        case "link to a directory":
            odd.symlink_to(outside)
        case "dangling":
            odd.symlink_to(outside / "none")
        case "pipe":
            os.mkfifo(odd)
    with pytest.raises(ArtifactError, match="none" if kind == "missing" else "odd"):
        sha256_tree(root)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    root = tree(tmp_path / "tree")
    (root / os.fsdecode(b"\xff")).write_text("")
    with pytest.raises(ArtifactError, match="not UTF-8"):
        sha256_tree(root)
