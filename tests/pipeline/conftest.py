from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workzone.core.types import Opening, Role
from workzone.pipeline.phase import Phase, PhaseContext
from workzone.pipeline.runner import Runner
from workzone.storage.artifacts import ArtifactStore

SPLIT = "5" * 64


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int, int | None]] = []
        self.notes: list[str] = []

    def progress(self, task: str, done: int, total: int | None) -> None:
        self.heard.append((task, done, total))

    def note(self, message: str) -> None:
        self.notes.append(message)


@dataclass
class LaxGrant:
    """Records and refuses nothing: the rules must hold however the grant was written."""

    opened: list[Opening] = field(default_factory=list)

    def open(self, split: Any, role: Role, /) -> None:
        self.opened.append(Opening(split, role))


@dataclass
class LaxGrantor:
    asked: list[tuple[str, frozenset[Role]]] = field(default_factory=list)

    def grant(self, phase: str, roles: frozenset[Role], /) -> LaxGrant:
        self.asked.append((phase, roles))
        return LaxGrant()


@dataclass
class Bench:
    """A run in a directory of its own, and how to make phases that say when they ran."""

    root: Path
    ran: list[str] = field(default_factory=list)
    grantor: LaxGrantor = field(default_factory=LaxGrantor)
    listener: Listener = field(default_factory=Listener)

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.root)

    def runner(self, version: str = "1.0", year: int = 2030) -> Runner:
        return Runner(
            self.store, self.grantor, self.listener, lambda: datetime(year, 1, 1, tzinfo=UTC), version
        )

    def phase(
        self,
        name: str,
        output: str,
        *inputs: str,
        opens: tuple[Role, ...] = (),
        declares: tuple[Role, ...] | None = None,
        split: str = SPLIT,
        config: Any = None,
        version: int = 1,
        text: str | None = None,
        body: Callable[[PhaseContext], None] | None = None,
    ) -> Phase:
        """Return a phase whose output holds `text`, or else all that determines it."""

        def run(context: PhaseContext) -> None:
            self.ran.append(name)
            for role in opens:
                context.grant.open(split, role)
            made = text or f"{name} {version} {config} {sorted(context.input_sha256.items())}"
            (context.output / "made.txt").write_text(made)
            if body is not None:
                body(context)

        roles = frozenset(opens if declares is None else declares)
        return Phase(name, version, inputs, output, roles, config, run)

    def chain(self, **train: Any) -> list[Phase]:
        """split → train → freeze → evaluate, the second as told."""
        return [
            self.phase("split", "split"),
            self.phase("train", "checkpoint", "split", opens=(Role.TRAIN, Role.SELECT), **train),
            self.phase("freeze", "model", "checkpoint", opens=(Role.SELECT,)),
            self.phase("evaluate", "report", "split", "model", opens=(Role.TEST,)),
        ]

    def run(self, phases: list[Phase], target: str | None = None) -> list[str]:
        """Run, and return the names of the phases that ran."""
        self.ran.clear()
        self.runner().run(phases, target)
        return list(self.ran)

    def reasons(self, phases: list[Phase], target: str | None = None) -> dict[str, str]:
        return {planned.name: planned.reason for planned in self.runner().plan(phases, target)}

    def files(self) -> dict[str, tuple[int, bytes]]:
        """Return everything in the run, with times of change."""
        paths = self.root.rglob("*")
        return {str(p): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"") for p in paths}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "run")
