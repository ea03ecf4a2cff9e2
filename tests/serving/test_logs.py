from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from workzone.core.errors import ArtifactError, ConfigError
from workzone.serving.logs import ERRORS, INFERENCE, PERFORMANCE, operational_logs

SECRET = "planted-Z9x8c7v6b5"


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(hour=12)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """What was set up is gone afterwards: handlers and levels of every logger that is touched."""

    def state() -> list[Any]:
        loggers = [logging.getLogger(name) for name in (None, INFERENCE, PERFORMANCE, ERRORS)]
        return [(logger.level, list(logger.handlers)) for logger in loggers]

    before = state()
    yield
    assert state() == before


def lines(path: Path | io.StringIO) -> list[dict[str, Any]]:
    text = path.getvalue() if isinstance(path, io.StringIO) else path.read_text(encoding="ascii")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_each_kind_of_line_has_its_file(tmp_path: Path) -> None:
    console = io.StringIO()
    with operational_logs(tmp_path / "logs", stream=console):
        logging.getLogger(INFERENCE).info("answered", extra={"verdict": "none", "latency_ms": 1.5})
        logging.getLogger(PERFORMANCE).info("performance", extra={"requests": 3})
        logging.getLogger(ERRORS).error("failed")
        logging.getLogger("uvicorn.error").warning("slow client")
        logging.getLogger("any.library").info("chatter")
    read = {p.stem: lines(p) for p in (tmp_path / "logs").iterdir()}
    assert {name: [line["event"] for line in found] for name, found in read.items()} == {
        "inference": ["answered"],
        "performance": ["performance"],
        "errors": ["failed", "slow client"],
    }
    (line,) = read["inference"]
    assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
    assert {k: v for k, v in line.items() if k != "time"} == {
        "level": "INFO", "logger": INFERENCE, "event": "answered", "verdict": "none", "latency_ms": 1.5,
    }  # fmt: skip
    assert [line["event"] for line in lines(console)] == ["failed"]


def test_without_a_directory_all_goes_to_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    with operational_logs(None):
        logging.getLogger(INFERENCE).info("answered")
        logging.getLogger(ERRORS).error("failed")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == [
        "answered",
        "failed",
    ]


def test_planted_secrets_are_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger(INFERENCE)
    console = io.StringIO()
    with operational_logs(tmp_path / "logs", secrets=[SECRET], stream=console):
        for log in (logger.info, logger.error):
            log("value %s", SECRET)
            log(f"x{SECRET}\n{SECRET}")
            log("fields", extra={"header": SECRET, SECRET: {"deep": [SECRET]}, "path": Path(SECRET)})
        try:
            int(SECRET)
        except ValueError:
            logger.exception("failed", stack_info=True)
        logger.error("%d", SECRET)  # the arguments do not fit
        console.close()  # a handler that fails: `logging` prints what it knows of the record
        logger.error("again %s", SECRET)
    captured = capsys.readouterr()
    written = "".join(p.read_text() for p in (tmp_path / "logs").iterdir()) + captured.out + captured.err
    assert SECRET not in written
    assert "again [redacted]" in written
    assert "literal for int() with base 10: '[redacted]'" in written


def test_a_line_cannot_be_forged(tmp_path: Path) -> None:
    forged = 'x"}\n{"event":"forged"}\r\n\u2028\x85{"event":"forged"}'
    with operational_logs(tmp_path / "logs", stream=io.StringIO()):
        extra = {"id": forged, forged: 1, "level": "forged", "time": "forged", "event": "forged"}
        logging.getLogger(INFERENCE).info(forged, extra=extra)
    path = tmp_path / "logs" / "inference.jsonl"
    assert len(path.read_text(encoding="ascii").splitlines()) == 1
    (line,) = lines(path)
    assert line["level"] == "INFO"
    assert line["level_"] == "forged"
    assert line["event"].startswith('x"}\\u000a{')
    assert line["time"] != "forged"


def test_files_are_private_and_an_open_directory_is_refused(tmp_path: Path) -> None:
    with operational_logs(tmp_path / "logs", stream=io.StringIO()):
        assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700
        assert {p.stat().st_mode & 0o777 for p in (tmp_path / "logs").iterdir()} == {0o600}
    (tmp_path / "logs").chmod(0o755)
    with pytest.raises(ArtifactError, match="chmod 700"), operational_logs(tmp_path / "logs"):
        pass


def test_they_are_set_up_once(tmp_path: Path) -> None:
    with operational_logs(tmp_path / "a", stream=io.StringIO()):
        with pytest.raises(ConfigError, match="already"), operational_logs(tmp_path / "b"):
            pass
        logging.getLogger(ERRORS).error("still there")
    assert [line["event"] for line in lines(tmp_path / "a" / "errors.jsonl")] == ["still there"]
    with operational_logs(tmp_path / "b", stream=io.StringIO()):
        pass


@pytest.mark.parametrize("bad", [{"max_bytes": 0}, {"retain_days": 0}])
def test_settings_that_keep_nothing_are_refused(tmp_path: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="positive"), operational_logs(tmp_path / "logs", **bad):
        pass


def test_files_rotate_by_size_and_lose_no_line(tmp_path: Path) -> None:
    clock = Clock()  # it stands: every name must still be another
    with operational_logs(tmp_path / "logs", max_bytes=500, clock=clock, stream=io.StringIO()):
        for n in range(30):
            logging.getLogger(INFERENCE).info("answered", extra={"n": n})
        logging.getLogger(INFERENCE).info("long", extra={"n": 30, "text": "x" * 2000})
    found = sorted((tmp_path / "logs").glob("inference*.jsonl"), key=lambda p: ("." not in p.stem, p.name))
    assert len(found) > 5
    assert found[-1].name == "inference.jsonl"
    assert {p.stat().st_mode & 0o777 for p in found} == {0o600}
    assert [line["n"] for p in found for line in lines(p)] == list(range(31))
    assert all(p.stat().st_size <= 500 for p in found[:-1])


def test_files_rotate_by_day_and_go_after_their_days(tmp_path: Path) -> None:
    clock = Clock()
    logs = tmp_path / "logs"
    with operational_logs(logs, retain_days=2, clock=clock, stream=io.StringIO()):
        for day in range(5):
            logging.getLogger(INFERENCE).info("answered", extra={"day": day})
            clock.now += timedelta(days=1)
        (logs / "inference.notes.jsonl").write_text("")
        (logs / "inference.20260101Tnotes.jsonl").write_text("")
    days = sorted(line["day"] for p in logs.glob("inference*.jsonl") for line in lines(p))
    assert days == [1, 2, 3, 4]  # set aside on days 2, 3 and 4; the newest is still open
    assert (logs / "inference.notes.jsonl").exists()
    assert (logs / "inference.20260101Tnotes.jsonl").exists()


def test_yesterdays_file_is_set_aside_at_the_first_line(tmp_path: Path) -> None:
    clock = Clock()
    for n in range(2):
        with operational_logs(tmp_path / "logs", clock=clock, stream=io.StringIO()):
            logging.getLogger(INFERENCE).info("answered", extra={"n": n})
        clock.now += timedelta(days=1)
    assert [line["n"] for line in lines(tmp_path / "logs" / "inference.jsonl")] == [1]
    assert len(list((tmp_path / "logs").glob("inference.*T*.jsonl"))) == 1


def test_a_full_disk_fails_no_request_and_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with operational_logs(tmp_path / "logs", stream=io.StringIO(), secrets=[SECRET]):
        (handler,) = logging.getLogger(INFERENCE).handlers
        assert isinstance(handler, logging.FileHandler)
        whole, handler.stream = handler.stream, Path("/dev/full").open("w")  # noqa: SIM115 - the handler closes it
        for _ in range(3):
            logging.getLogger(INFERENCE).info("answered %s", SECRET)
        handler.stream, full = whole, handler.stream
        logging.getLogger(INFERENCE).info("room again")
        whole, handler.stream = handler.stream, full
        whole.close()
    said = capsys.readouterr().err
    assert said.count("cannot be written: OSError") == 1
    assert len(said.splitlines()) == 1
    assert [line["event"] for line in lines(tmp_path / "logs" / "inference.jsonl")] == ["room again"]


def test_a_rotation_on_a_full_disk_is_got_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with operational_logs(tmp_path / "logs", stream=io.StringIO(), clock=clock):
        (handler,) = logging.getLogger(INFERENCE).handlers
        assert isinstance(handler, logging.FileHandler)
        handler.stream.close()
        handler.stream = Path("/dev/full").open("w")  # noqa: SIM115 - the handler's
        logging.getLogger(INFERENCE).info("lost")
        clock.now += timedelta(days=1)
        logging.getLogger(INFERENCE).info("kept")
    assert [line["event"] for line in lines(tmp_path / "logs" / "inference.jsonl")] == ["kept"]
    assert "cannot be written" in capsys.readouterr().err


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    def write(name: int) -> None:
        for n in range(50):
            logging.getLogger(INFERENCE).info("answered", extra={"thread_number": name, "n": n})

    with operational_logs(tmp_path / "logs", max_bytes=3000, stream=io.StringIO()):
        threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = [line for p in (tmp_path / "logs").glob("inference*.jsonl") for line in lines(p)]
    assert sorted((line["thread_number"], line["n"]) for line in found) == [
        (i, n) for i in range(4) for n in range(50)
    ]


def test_importing_sets_nothing_up_and_stays_light() -> None:
    code = (
        "import logging, sys; import workzone.serving.logs, workzone.serving.performance;"
        "assert not logging.getLogger().handlers and not logging.getLogger('workzone.inference').handlers;"
        "assert not {'torch', 'fastapi', 'uvicorn', 'prometheus_client'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
