"""Bounded reading of a picture's file."""

from __future__ import annotations

import pytest

from workzone.core.errors import DataError
from workzone.imaging.files import quoted, read_file


def test_reads_up_to_the_limit_and_no_more(tmp_path) -> None:
    path = tmp_path / "p"
    path.write_bytes(bytes(range(256)) * 10)
    assert read_file(path, 2560) == bytes(range(256)) * 10
    with pytest.raises(DataError, match="larger than 2559 bytes"):
        read_file(path, 2559)
    (tmp_path / "link").symlink_to(path)
    assert len(read_file(tmp_path / "link", 2560)) == 2560


def test_an_endless_file_is_not_read() -> None:
    with pytest.raises(DataError, match="not a regular file"):
        read_file("/dev/zero", 100)


def test_names_are_one_short_line() -> None:
    assert quoted("a\nb") == "'a\\nb'"
    assert len(quoted("x" * 10_000)) < 320
