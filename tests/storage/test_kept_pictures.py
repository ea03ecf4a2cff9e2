from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workzone.core.errors import ArtifactError, ConfigError
from workzone.storage.kept_pictures import KeptPictures

PICTURE = b"\xff\xd8 a picture"
SHA256 = hashlib.sha256(PICTURE).hexdigest()


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def kept(tmp_path: Path, clock: Clock | None = None, retain_days: int = 30) -> KeptPictures:
    return KeptPictures(tmp_path / "pictures", retain_days=retain_days, clock=clock or Clock())


def test_a_picture_is_kept_whole_private_and_by_its_hash(tmp_path: Path) -> None:
    pictures = kept(tmp_path)
    old = os.umask(0)
    try:
        pictures.keep(SHA256, PICTURE)
    finally:
        os.umask(old)
    assert [p.name for p in pictures.directory.iterdir()] == [SHA256]
    path = pictures.directory / SHA256
    assert path.read_bytes() == PICTURE
    assert path.stat().st_mode & 0o777 == 0o600
    assert pictures.directory.stat().st_mode & 0o777 == 0o700


def test_it_is_erased_by_its_hash(tmp_path: Path) -> None:
    pictures = kept(tmp_path)
    assert not pictures.erase(SHA256)
    pictures.keep(SHA256, PICTURE)
    assert pictures.erase(SHA256)
    assert not pictures.erase(SHA256)
    assert list(pictures.directory.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "../" + SHA256, SHA256.upper(), SHA256[:-1], SHA256 + "\n", "/etc/passwd", "٠" * 64, ".lock"]
)
def test_only_a_hash_names_a_picture(tmp_path: Path, name: str) -> None:
    pictures = kept(tmp_path)
    with pytest.raises(ConfigError, match="no SHA-256"):
        pictures.erase(name)
    with pytest.raises(ConfigError, match="no SHA-256"):
        pictures.keep(name, PICTURE)


def test_a_wrong_hash_is_refused_since_nobody_could_erase_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="never be found"):
        kept(tmp_path).keep(SHA256, PICTURE + b"x")
    assert list((tmp_path / "pictures").iterdir()) == []


def test_it_stays_its_days_counted_from_the_last_time(tmp_path: Path) -> None:
    clock = Clock()
    pictures = kept(tmp_path, clock, retain_days=30)
    pictures.keep(SHA256, PICTURE)
    clock.now += timedelta(days=20)
    pictures.keep(SHA256, PICTURE)
    clock.now += timedelta(days=30)
    assert pictures.expire() == 0
    clock.now += timedelta(seconds=1)
    assert pictures.expire() == 1
    assert not pictures.erase(SHA256)


def test_a_cut_copy_is_written_anew(tmp_path: Path) -> None:
    pictures = kept(tmp_path)
    (pictures.directory / SHA256).write_bytes(b"cut")
    pictures.keep(SHA256, PICTURE)
    assert (pictures.directory / SHA256).read_bytes() == PICTURE


def test_only_old_leftovers_go_and_foreign_files_stay(tmp_path: Path) -> None:
    clock = Clock()
    pictures = kept(tmp_path, clock, retain_days=1)
    for name in (".tmp-dead", "notes.txt"):
        (pictures.directory / name).write_bytes(b"x")
        os.utime(pictures.directory / name, (clock.now.timestamp(),) * 2)
    assert pictures.expire() == 0
    clock.now += timedelta(days=2)
    assert pictures.expire() == 1
    assert [p.name for p in pictures.directory.iterdir()] == ["notes.txt"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    pictures = kept(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(ArtifactError, match="No space left"):
            pictures.keep(SHA256, PICTURE)
    assert list(pictures.directory.iterdir()) == []
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkstemp", lambda **_: fail(0))
        with pytest.raises(ArtifactError, match="No space left"):
            pictures.keep(SHA256, PICTURE)


def test_a_directory_that_went_away_is_named(tmp_path: Path) -> None:
    pictures = kept(tmp_path)
    pictures.directory.rmdir()
    with pytest.raises(ArtifactError, match="pictures"):
        pictures.keep(SHA256, PICTURE)
    with pytest.raises(ArtifactError, match="pictures"):
        pictures.expire()
    assert not pictures.erase(SHA256)


def test_what_cannot_be_removed_is_told_and_the_rest_still_goes(tmp_path: Path) -> None:
    clock = Clock()
    pictures = kept(tmp_path, clock, retain_days=1)
    pictures.keep(SHA256, PICTURE)
    stuck = pictures.directory / ("0" * 64)
    stuck.mkdir()  # a file of that name cannot be unlinked
    os.utime(stuck, (clock.now.timestamp(),) * 2)
    clock.now += timedelta(days=2)
    with pytest.raises(ArtifactError, match="cannot be changed"):
        pictures.expire()
    assert list(pictures.directory.iterdir()) == [stuck]
    with pytest.raises(ArtifactError, match="cannot be changed"):
        pictures.erase("0" * 64)


def test_bad_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one day"):
        kept(tmp_path, retain_days=0)
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "open" / "file").write_text("")
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(ArtifactError, match="chmod 700"):
        KeptPictures(tmp_path / "open", retain_days=1)


def test_a_link_in_a_pictures_place_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(PICTURE[::-1])
    pictures = kept(tmp_path)
    (pictures.directory / SHA256).symlink_to(tmp_path / "target")
    pictures.keep(SHA256, PICTURE)
    assert (tmp_path / "target").read_bytes() == PICTURE[::-1]
    assert not (pictures.directory / SHA256).is_symlink()


def test_threads_may_keep_and_erase_one_picture_at_a_time(tmp_path: Path) -> None:
    pictures = kept(tmp_path)
    finished: list[bool] = []

    def work() -> None:
        for _ in range(20):
            pictures.keep(SHA256, PICTURE)
            pictures.erase(SHA256)
            pictures.expire()
        finished.append(True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(finished) == 4
    assert [p for p in pictures.directory.iterdir() if p.name != SHA256] == []


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(0, 6))
def test_what_was_kept_is_there_and_what_was_erased_is_not(
    tmp_path: Path, pictures: list[bytes], erased: int
) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as name:
        store = KeptPictures(Path(name) / "p", retain_days=1)
        expected = {hashlib.sha256(p).hexdigest(): p for p in pictures}
        for sha256, picture in expected.items():
            store.keep(sha256, picture)
        for sha256 in list(expected)[:erased]:
            assert store.erase(sha256)
            del expected[sha256]
        assert {p.name: p.read_bytes() for p in store.directory.iterdir()} == expected
