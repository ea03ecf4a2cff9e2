"""Runs phases in order: skips what is up to date, resumes after a kill, seals with lineage.

What makes a resume safe is the order of writes, not bookkeeping: a phase fills a temporary directory, which
is renamed into place and only then gets its manifest. Whatever has no manifest is made again.

A skip vouches for an artifact as much as a fresh run does, so a skipped artifact's content is hashed too: one
that was changed since is an error, never silently kept or replaced.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from workzone.core.errors import ArtifactError
from workzone.core.observer import Observer
from workzone.core.types import Lineage
from workzone.pipeline.graph import ordered
from workzone.pipeline.phase import Grant, Grantor, Phase, PhaseContext
from workzone.pipeline.plan import UP_TO_DATE, PlannedPhase, plan_phases, reason_to_run
from workzone.pipeline.run_record import RunRecord, start_or_resume
from workzone.storage.artifacts import ArtifactStore, Manifest
from workzone.storage.atomic import TEMPORARY_PREFIX, remove_temporaries
from workzone.storage.hashing import sha256_tree
from workzone.storage.lineage import check_lineage, merge_lineages
from workzone.storage.lock import writer_lock

WORK_DIRECTORY = ".work"
TASK = "phases"
"""Name of the task whose progress counts phases."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs phases over the artifacts of one run.

    Attributes:
        store: Where artifacts are; its root is the run's directory.
        grantor: Who gives phases the right to open samples.
        observer: Who is told of the progress; phases get the same.
        clock: Asked once, when the run is started first.
        package_version: Goes into manifests.
    """

    store: ArtifactStore
    grantor: Grantor
    observer: Observer
    clock: Callable[[], datetime]
    package_version: str

    def plan(self, phases: Iterable[Phase], target: str | None = None) -> list[PlannedPhase]:
        """Return what `run` would do and why, writing nothing (see `plan_phases`).

        Raises:
            ConfigError: The phases make no graph, or there is no phase `target`.
            ArtifactError: A manifest cannot be read.
        """
        return plan_phases(self.store, ordered(phases, target))

    def run(self, phases: Iterable[Phase], target: str | None = None) -> list[PlannedPhase]:
        """Make the artifact of `target` (None: of all phases), and return what was done for it.

        Raises:
            ConfigError: The phases make no graph, or there is no phase `target`.
            ArtifactError: Another process writes this run, an artifact was changed, or a phase's output would
                derive from what it must not; that output is then gone.
        """
        order = ordered(phases, target)
        with writer_lock(self.store.root):
            remove_temporaries(self.store.root)
            record = start_or_resume(self.store.root, self.clock, self.package_version, self.observer)
            done: list[PlannedPhase] = []
            self.observer.progress(TASK, 0, len(order))
            for phase in order:
                done.append(self._bring_up_to_date(phase, record))
                self.observer.progress(TASK, len(done), len(order))
            return done

    def _bring_up_to_date(self, phase: Phase, record: RunRecord) -> PlannedPhase:
        reason = reason_to_run(self.store, phase)
        if reason is None:
            self.store.open(phase.output)
            self._clear_work(phase, keep=None)  # a kill may have come between sealing and clearing
            return PlannedPhase(phase.name, False, UP_TO_DATE)
        try:
            self._make(phase, record)
        except Exception:
            _LOG.exception("phase failed: %s", phase.name)
            raise
        return PlannedPhase(phase.name, True, reason)

    def _make(self, phase: Phase, record: RunRecord) -> None:
        opened = {name: self.store.open(name) for name in phase.inputs}
        input_sha256 = {name: manifest.sha256 for name, (_, manifest) in opened.items()}
        inherited = merge_lineages(
            manifest.lineage for name, (_, manifest) in opened.items() if name not in phase.cites
        )
        check_lineage(phase.output, inherited)  # hours earlier than at the end
        work = self._work(phase, phase.key(input_sha256))
        self._clear_work(phase, keep=work)
        work.mkdir(parents=True, exist_ok=True)
        grant = self.grantor.grant(phase.name, phase.roles)
        with self.store.writing(phase.output) as output:
            phase.run(
                PhaseContext(
                    inputs={name: path for name, (path, _) in opened.items()},
                    input_sha256=input_sha256,
                    lineage=inherited,
                    output=output,
                    work=work,
                    grant=grant,
                    observer=self.observer,
                    created=record.created,
                )
            )
            if not any(output.iterdir()):
                raise ArtifactError(
                    f"Phase '{phase.name}' wrote nothing; expected the content of '{phase.output}'."
                )
            lineage = inherited | _opened_lineage(phase, grant)
            check_lineage(phase.output, lineage)
            sha256 = sha256_tree(output)
        self.store.seal(phase.output, self._manifest(phase, sha256, input_sha256, lineage, record))
        self._clear_work(phase, keep=None)

    def _manifest(
        self, phase: Phase, sha256: str, inputs: Mapping[str, str], lineage: Lineage, record: RunRecord
    ) -> Manifest:
        return Manifest(
            kind=phase.output,
            sha256=sha256,
            phase=phase.name,
            phase_version=phase.version,
            package_version=self.package_version,
            config_sha256=phase.config_sha256(),
            inputs=inputs,
            lineage=lineage,
            created=record.created,
        )

    def _work(self, phase: Phase, key: str) -> Path:
        return self.store.root / WORK_DIRECTORY / f"{phase.name}-{key[:12]}"

    def _clear_work(self, phase: Phase, keep: Path | None) -> None:
        """Remove the work directories of `phase` but `keep`, then `.work` itself if nothing is left in it."""
        root = self.store.root / WORK_DIRECTORY
        if not root.is_dir():
            return
        for path in list(root.iterdir()):
            if path.name.rpartition("-")[0] == phase.name and path != keep:
                # Renamed first: a kill must not leave half of it for a later phase of this key to trust.
                doomed = self.store.root / f"{TEMPORARY_PREFIX}{path.name}"
                path.rename(doomed)
                shutil.rmtree(doomed)
        if not any(root.iterdir()):
            root.rmdir()


def _opened_lineage(phase: Phase, grant: Grant) -> Lineage:
    """Return what the grant opened, which must be what the phase declared, whoever wrote the grant."""
    opened = frozenset(grant.opened)
    beyond = sorted({opening.role for opening in opened} - phase.roles)
    if beyond:
        raise ArtifactError(
            f"Phase '{phase.name}' opened {', '.join(beyond)}, which it did not declare; it declares "
            f"{', '.join(sorted(phase.roles)) or 'nothing'}. Its output is discarded."
        )
    return opened
