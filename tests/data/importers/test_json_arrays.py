"""Reading a list element by element gives what the standard parser gives, whatever the pieces it comes in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import DataError
from workzone.data.importers import json_arrays
from workzone.data.importers.json_arrays import read_arrays

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


def rebuilt(path) -> dict:
    found: dict = {}
    for key, index, value in read_arrays(path, 10**6):
        if index is None:
            found[key] = value
        else:
            assert index == len(found.setdefault(key, []))
            found[key].append(value)
    return found


@given(
    value=st.dictionaries(st.text(max_size=8), values, max_size=5),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 0, 3]),
    ascii_only=st.booleans(),
)
def test_it_agrees_with_the_standard_parser(tmp_path_factory, value, chunk, indent, ascii_only):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(
        json.dumps(value, indent=indent, ensure_ascii=ascii_only), encoding="utf-8", errors="surrogatepass"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_arrays, "_CHUNK_CHARS", chunk)
        if not ascii_only and any(0xD800 <= ord(c) < 0xE000 for c in str(value)):
            return
        assert rebuilt(path) == value


@given(st.binary(max_size=60))
def test_anything_else_is_an_error_with_its_place(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_bytes(data)
    try:
        expected = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        expected = None
    if isinstance(expected, dict):
        assert json.dumps(rebuilt(path)) == json.dumps(expected)  # NaN equals NaN as text
    else:
        with pytest.raises(DataError, match=r"not the JSON expected, at character|not UTF-8"):
            list(read_arrays(path, 10**6))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected an object"),
        ('{"a": [1, 2', "found the end"),
        ('{"a": [1 2]}', "character 10: expected ','"),
        ('{"a": [1,]}', "at character 10"),
        ('{"a": 1} x', "expected the end"),
        ('{"a" 1}', "expected ':'"),
        ("{1: 2}", "key in quotes"),
        ('{"a": ' + "[" * 100_000, "at character"),
        ('{"a": [[' + "9" * 5000 + "]]}", "at character"),
        ("", "expected an object"),
    ],
)
def test_broken_text(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        list(read_arrays(path, 10**6))


def test_too_large_absent_or_no_file(tmp_path, observer):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1]}', encoding="utf-8")
    with pytest.raises(DataError, match="10 bytes, more than the 9"):
        list(read_arrays(path, 9))
    with pytest.raises(DataError, match="does not exist or is no file"):
        list(read_arrays(tmp_path / "b.json", 9))
    with pytest.raises(DataError, match="does not exist or is no file"):
        list(read_arrays(tmp_path, 9))
    assert list(read_arrays(path, 10, observer)) == [("a", 0, 1)]
    assert observer.steps[-1] == ("read a.json (MiB)", 0, 1)


def test_one_element_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(json_arrays, "_CHUNK_CHARS", 16)
    monkeypatch.setattr(json_arrays, "MAX_ELEMENT_CHARS", 200)
    path = tmp_path / "a.json"
    path.write_text('{"a": [' + ", ".join('"' + "x" * 100 + '"' for _ in range(50)) + "]}", encoding="utf-8")
    assert len(list(read_arrays(path, 10**6))) == 50
    path.write_text('{"a": ["' + "x" * 5000 + '"]}', encoding="utf-8")
    with pytest.raises(DataError, match="at character 8"):
        list(read_arrays(path, 10**6))
