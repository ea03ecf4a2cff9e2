"""Unfinished work survives what is not its own fault, and is never mistaken for other work."""

from __future__ import annotations

import pytest

from workzone.core.errors import ArtifactError, DataError
from workzone.storage.resumable import resumable_directory


def _fail(target, error):
    def attempt():
        with resumable_directory(target, "a") as staging:
            (staging.content / "file").write_text("x")
            raise error

    with pytest.raises(type(error)):
        attempt()


def _partial(path):
    return path.with_name(f".partial-{path.name}")


def test_finished_work_becomes_the_target_and_nothing_else_is_left(tmp_path):
    target = tmp_path / "new" / "set"
    with resumable_directory(target, "a") as staging:
        assert not staging.resumed
        (staging.content / "file").write_text("x")
        (staging.notes / "log").write_text("y")
    assert [p.name for p in target.iterdir()] == ["file"]
    assert [p.name for p in target.parent.iterdir()] == ["set"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_interrupted_work_goes_on_under_the_same_key_only(tmp_path, interruption):
    target = tmp_path / "set"

    def attempt(key: str, content: str | None) -> tuple[bool, list[str]]:
        with resumable_directory(target, key) as staging:
            there = sorted(p.name for p in staging.content.iterdir())
            if content is not None:
                (staging.content / content).write_text("x")
                (staging.notes / content).write_text("x")
                raise interruption
            return staging.resumed, there

    with pytest.raises(interruption):
        attempt("a", "one")
    with pytest.raises(interruption):
        attempt("a", "two")
    assert not target.exists()
    assert attempt("a", None) == (True, ["one", "two"])
    assert sorted(p.name for p in target.iterdir()) == ["one", "two"]

    with pytest.raises(interruption):
        attempt("a", "one")
    assert attempt("b", None) == (False, [])
    assert list(target.iterdir()) == []


def test_wrong_work_is_removed(tmp_path):
    _fail(tmp_path / "set", DataError("a wrong label"))
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_are_refused_and_the_first_goes_on(tmp_path):
    with resumable_directory(tmp_path / "set", "a") as staging:
        (staging.content / "file").write_text("x")
        with (
            pytest.raises(ArtifactError, match="is being written"),
            resumable_directory(tmp_path / "set", "a"),
        ):
            raise AssertionError
    assert (tmp_path / "set" / "file").exists()


def test_a_kill_while_beginning_anew_does_not_pass_for_the_old_work(tmp_path):
    target = tmp_path / "set"
    _fail(target, OSError("full"))
    (_partial(target) / "key").unlink()  # killed after the old key was taken away
    with resumable_directory(target, "a") as staging:
        assert not staging.resumed
        assert list(staging.content.iterdir()) == []
