"""A pipeline without pictures or torch, run as a script so that it can be killed for good.

    python toy.py run RUN LOG [KILL]     KILL: phase:start|middle|end
    python toy.py count BASE FROM        how many calls change the file system in an undisturbed run
    python toy.py matrix BASE FROM KILL[,KILL...]
        kill there (a number: after that many such calls), resume, compare with a run that was not; as JSON

`FROM` is `nothing`, or `older` for a run over the artifacts of an older configuration.

`LOG` gets a line for every phase and every epoch that is really run. Nothing in the product knows of kills:
here `os.fsync`, `os.replace` and their like are wrapped and counted.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from workzone.core.observer import NullObserver
from workzone.core.types import Opening, Role
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.pipeline.runner import Runner
from workzone.storage.artifacts import ArtifactStore
from workzone.storage.atomic import write_bytes, write_json, write_npz

SPLIT_SHA256 = "5" * 64
EPOCHS = 3
PHASES = ("split", "train", "freeze", "predict-calib", "policy", "evaluate")


@dataclass
class ToyGrant:
    """Records, and refuses nothing: the runner must not depend on the grant's honesty."""

    opened: list[Opening] = field(default_factory=list)

    def open(self, split: Any, role: Role, /) -> None:
        self.opened.append(Opening(str(split), role))


class ToyGrantor:
    def grant(self, phase: str, roles: frozenset[Role], /) -> ToyGrant:
        return ToyGrant()


@dataclass
class Toy:
    """The phases, with what to do at their start, middle and end."""

    log: Path
    at: Callable[[str], None] = lambda point: None
    epochs: int = EPOCHS

    def note(self, line: str) -> None:
        with self.log.open("a") as handle:
            handle.write(line + "\n")

    def phase(
        self,
        name: str,
        inputs: tuple[str, ...],
        output: str,
        roles: set[Role],
        body: Callable[[PhaseContext], None],
    ) -> Phase:
        def run(context: PhaseContext) -> None:
            self.note(name)
            self.at(f"{name}:start")
            for role in sorted(roles):
                context.grant.open(SPLIT_SHA256, role)
            body(context)
            self.at(f"{name}:end")

        return Phase(name, 1, inputs, output, frozenset(roles), {"epochs": self.epochs}, run)

    def split(self, context: PhaseContext) -> None:
        write_json(context.output / "split.json", {"groups": list(range(10))})
        self.at("split:middle")
        (context.output / "parts").mkdir()
        write_bytes(context.output / "parts" / "train", b"0123")

    def train(self, context: PhaseContext) -> None:
        """Continue from the last epoch in `work`; what comes out must not tell whether it was interrupted."""
        done = sorted(context.work.glob("epoch-*.npz"))
        weights = np.load(done[-1])["weights"] if done else np.zeros(4)
        for epoch in range(len(done), self.epochs):
            self.note(f"epoch {epoch}")
            weights = weights + np.random.default_rng(epoch).normal(size=4)
            write_npz(context.work / f"epoch-{epoch}.npz", {"weights": weights})
            if epoch == 1:
                self.at("train:middle")
        write_npz(context.output / "weights.npz", {"weights": weights})

    def derive(self, name: str) -> Callable[[PhaseContext], None]:
        def body(context: PhaseContext) -> None:
            read = {n: sorted(p.name for p in path.iterdir()) for n, path in context.inputs.items()}
            (context.output / "half.txt").write_text("half")
            self.at(f"{name}:middle")
            write_json(context.output / "made.json", {"from": dict(context.input_sha256), "read": read})

        return body

    def phases(self) -> list[Phase]:
        train, select, calib, test = Role.TRAIN, Role.SELECT, Role.CALIB, Role.TEST
        d = self.derive
        return [
            self.phase("evaluate", ("model", "policy"), "report", {test}, d("evaluate")),
            self.phase("train", ("split",), "checkpoint", {train, select}, self.train),
            self.phase("freeze", ("checkpoint",), "model", {select}, d("freeze")),
            self.phase("predict-calib", ("split", "model"), "predictions-calib", {calib}, d("predict-calib")),
            self.phase("policy", ("predictions-calib",), "policy", set(), d("policy")),
            self.phase("split", (), "split", set(), self.split),
        ]


def run(
    root: Path,
    log: Path,
    at: Callable[[str], None] = lambda point: None,
    epochs: int = EPOCHS,
    year: int = 2030,
) -> None:
    """Run all, at a time of the clock that a resumed run must not take over."""
    runner = Runner(
        ArtifactStore(root), ToyGrantor(), NullObserver(), lambda: datetime(year, 1, 1, tzinfo=UTC), "1.0"
    )
    runner.run(Toy(log, at, epochs).phases())


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def after_calls(act: Callable[[int], None]) -> None:
    """Call `act(n)` after the n-th call that changes the file system."""
    count = 0

    def counted(call: Callable[..., Any], counts: Callable[..., bool]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            result = call(*args, **kwargs)
            if counts(*args, **kwargs):
                count += 1
                act(count)
            return result

        return wrapper

    for name in ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync"):
        setattr(os, name, counted(getattr(os, name), lambda *a, **k: True))

    def writes(file: Any, mode: str = "r", *rest: Any, **kwargs: Any) -> bool:
        return any(letter in mode for letter in "wax+")

    io.open = builtins.open = counted(io.open, writes)


def snapshot(root: Path) -> dict[str, str]:
    """Everything under `root`; manifests as they are, so their creation time counts too."""
    paths = (p for p in root.rglob("*") if p.name != ".lock")
    return {p.relative_to(root).as_posix(): p.read_bytes().hex() if p.is_file() else "" for p in paths}


def in_child(work: Callable[[], None]) -> int:
    """Return the wait status of a forked child that does `work`."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def run_killed(root: Path, log: Path, point: str) -> None:
    if point == "0":
        die()
    if point.isdigit():
        after_calls(lambda n: die() if n == int(point) else None)
    run(root, log, lambda reached: die() if reached == point else None)


def begin(base: Path, name: str, start: str) -> tuple[Path, Path]:
    """Return run and log, the run holding what an older configuration left if `start` says so."""
    root, log, older = base / f"run-{name}", base / f"log-{name}", base / "older"
    if start == "older":
        if not older.exists() and in_child(lambda: run(older, base / "log-older", epochs=EPOCHS - 1)) != 0:
            raise SystemExit("the older run failed")
        shutil.copytree(older, root)
    return root, log


def killed_and_resumed(base: Path, start: str, point: str, expected: dict[str, str]) -> str | None:
    """Kill a run at `point`, resume it, and return what is wrong then."""
    root, log = begin(base, point, start)
    status = in_child(lambda: run_killed(root, log, point))
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        return f"was not killed: status {status}"
    started = (root / "run.json").exists()
    left = snapshot(root)
    sealed = {p.name for p in Toy(log).phases() if is_same(left, expected, f"{p.output}.manifest.json")}
    log.touch()
    before = len(log.read_text().splitlines())
    # Killed before its start was on disk, a run starts when resumed; else the later clock must not show.
    if in_child(lambda: run(root, log, year=2031 if started else 2030)) != 0:
        return "the resumed run failed"
    again = sealed.intersection(log.read_text().splitlines()[before:])
    if again:
        return f"ran {sorted(again)} again, though they were sealed"
    found = snapshot(root)
    wrong = sorted(name for name in expected.keys() | found.keys() if not is_same(found, expected, name))
    shutil.rmtree(root)
    return f"differs: {wrong}" if wrong else None


def is_same(found: dict[str, str], expected: dict[str, str], name: str) -> bool:
    return name in found and found[name] == expected.get(name)


def matrix(base: Path, start: str, points: list[str]) -> None:
    in_child(lambda: run(base / "calm", base / "calm-log"))
    expected = snapshot(base / "calm")
    wrong = {point: killed_and_resumed(base, start, point, expected) for point in points}
    sys.stdout.write(
        json.dumps({"tried": len(wrong), "wrong": {p: w for p, w in wrong.items() if w is not None}})
    )


def count_calls(base: Path, start: str) -> None:
    root, log = begin(base, "counted", start)
    calls: list[int] = []
    after_calls(calls.append)
    run(root, log)
    sys.stdout.write(str(len(calls)))


def main(command: str, base: Path, argument: str, kill: str | None = None) -> None:
    if command == "matrix":
        assert kill is not None
        matrix(base, argument, kill.split(","))
    elif command == "count":
        count_calls(base, argument)
    else:
        run(base, Path(argument), lambda point: die() if point == kill else None)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
