from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workzone.core.errors import ArtifactError
from workzone.storage.atomic import write_json
from workzone.storage.hashing import canonical_json
from workzone.storage.jsonfile import parse_json, read_json


def test_it_reads_what_write_json_writes(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, True, "ä\n"], "b": {}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", 1000) == value


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON: Expecting value at line 1, column 1"),
        (b'{\n "a": 1,\n "b" 2}', "at line 3, column 6"),
        (b"{} {}", "Extra data at line 1, column 4"),
        (b'{"a": \xff}', "not UTF-8 text: invalid start byte at byte 6"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"[NaN]", "NaN is no JSON number"),
        (b"[-Infinity]", "-Infinity is no JSON number"),
        (b"[1e999]", "1e999 is too large"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' occurs twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", "not strict JSON"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_place(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(data)
    with pytest.raises(ArtifactError) as caught:
        read_json(path, 1_000_000)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 200


def test_the_size_is_bounded_and_the_bound_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('"12345678"')
    assert read_json(tmp_path / "a.json", 10) == "12345678"
    with pytest.raises(ArtifactError, match="larger than 9 bytes"):
        read_json(tmp_path / "a.json", 9)


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"none\.json' cannot be read: No such file"):
        read_json(tmp_path / "none.json", 10)
    with pytest.raises(ArtifactError, match="cannot be read: Is a directory"):
        read_json(tmp_path, 10)


@settings(deadline=None)
@given(st.binary(max_size=40) | st.text('{}[]",:\\u0e-N1 ', max_size=40).map(str.encode))
def test_any_bytes_are_a_value_or_an_artifact_error(data: bytes) -> None:
    with contextlib.suppress(ArtifactError):
        value = parse_json(data, "here")
        assert parse_json(canonical_json(value), "again") == value
