from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workzone.core.errors import ArtifactError
from workzone.storage.lock import writer_lock

HOLD = """
import sys
from pathlib import Path
from workzone.storage.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
HOLD_WITH_A_CHILD = """
import os, signal, sys, time
from pathlib import Path
from workzone.storage.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.write(write, b".")
        signal.pause()
    os.read(read, 1)
    print(child, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def start(script: str, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_second_process_is_refused_with_the_id_of_the_first(tmp_path: Path) -> None:
    with start(HOLD, tmp_path / "run") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refusal = f"run' is being written by process {holder.pid}\\. Wait"
        with pytest.raises(ArtifactError, match=refusal), writer_lock(tmp_path / "run"):
            pytest.fail("two writers")
        holder.communicate("")
    with writer_lock(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock").read_text() == str(os.getpid())


def test_a_killed_writer_holds_nothing(tmp_path: Path) -> None:
    with start(HOLD, tmp_path) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
        holder.wait()
    with writer_lock(tmp_path):
        pass


def test_a_killed_writer_holds_nothing_through_its_children(tmp_path: Path) -> None:
    with start(HOLD_WITH_A_CHILD, tmp_path) as holder:
        assert holder.stdout is not None
        orphan = int(holder.stdout.readline())
        try:
            assert holder.wait() == -signal.SIGKILL
            os.kill(orphan, 0)  # it lives
            with writer_lock(tmp_path):
                pass
        finally:
            os.kill(orphan, signal.SIGKILL)


def test_a_process_refuses_itself_and_is_free_after_an_error(tmp_path: Path) -> None:
    def twice() -> None:
        with writer_lock(tmp_path), writer_lock(tmp_path):
            pytest.fail("two writers")

    with pytest.raises(ArtifactError, match=f"process {os.getpid()}"):
        twice()
    with writer_lock(tmp_path):
        pass


def test_other_directories_are_free(tmp_path: Path) -> None:
    with writer_lock(tmp_path / "a"), writer_lock(tmp_path / "b"):
        pass


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ArtifactError, match=r"file.* cannot be written: "), writer_lock(path):
            pytest.fail("no lock")
