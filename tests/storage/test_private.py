from __future__ import annotations

import os
from pathlib import Path

import pytest

from workzone.core.errors import ArtifactError
from workzone.storage.private import open_private, private_directory


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_directory_is_its_owners_alone(tmp_path: Path) -> None:
    private_directory(tmp_path / "a" / "b")
    assert mode(tmp_path / "a" / "b") == 0o700
    private_directory(tmp_path / "a" / "b")


def test_an_empty_directory_is_tightened_and_one_with_content_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "volume"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    private_directory(open_to_all)
    assert mode(open_to_all) == 0o700
    open_to_all.chmod(0o750)
    (open_to_all / "somebody's").write_text("")
    with pytest.raises(ArtifactError, match=r"mode 750.*chmod 700"):
        private_directory(open_to_all)
    assert mode(open_to_all) == 0o750


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="file"):
        private_directory(tmp_path / "file")


def test_a_file_is_made_private_also_if_it_was_not(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_text("x")
    path.chmod(0o644)
    os.close(open_private(path, os.O_WRONLY))
    assert mode(path) == 0o600
    os.close(open_private(tmp_path / "new", os.O_WRONLY | os.O_CREAT))
    assert mode(tmp_path / "new") == 0o600


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="link"):
        open_private(tmp_path / "link", os.O_WRONLY)
