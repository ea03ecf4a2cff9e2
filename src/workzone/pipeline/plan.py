"""Which phases would run, and why: a comparison of phases with the manifests of what they made.

Only manifests are compared, no content is hashed and nothing is written, so a plan costs nothing. Whether an
artifact still is what its manifest says is checked when it is read or skipped (`runner`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workzone.pipeline.phase import Phase
from workzone.storage.artifacts import ArtifactStore, Manifest

UP_TO_DATE = "up to date"


@dataclass(frozen=True, slots=True)
class PlannedPhase:
    """What becomes of one phase."""

    name: str
    runs: bool
    reason: str
    """Why it runs, or `UP_TO_DATE`."""


def plan_phases(store: ArtifactStore, order: Iterable[Phase]) -> list[PlannedPhase]:
    """Return what a run would do.

    It may do less: where a phase that is run again gives the same content as before, what depends on it alone
    is skipped.

    Args:
        store: The artifacts there are.
        order: Phases, each after those that make its inputs.

    Raises:
        ArtifactError: A manifest cannot be read.
        ConfigError: A configuration is no JSON value.
    """
    planned: list[PlannedPhase] = []
    made_again: set[str] = set()
    for phase in order:
        waiting = [name for name in phase.inputs if name in made_again]
        reason = reason_to_run(store, phase)
        if reason is None and waiting:
            reason = f"input '{waiting[0]}' will be made again"
        if reason is not None:
            made_again.add(phase.output)
        planned.append(PlannedPhase(phase.name, reason is not None, reason or UP_TO_DATE))
    return planned


def reason_to_run(store: ArtifactStore, phase: Phase) -> str | None:
    """Return why the artifact of `phase` must be made, or None where it is up to date."""
    manifest = store.manifest(phase.output)
    if manifest is None:
        return "no artifact yet"
    if manifest.phase != phase.name:
        return f"made by phase '{manifest.phase}' before"
    if manifest.phase_version != phase.version:
        return f"phase version {manifest.phase_version} → {phase.version}"
    if manifest.config_sha256 != phase.config_sha256():
        return "configuration changed"
    return _changed_input(store, phase, manifest)


def _changed_input(store: ArtifactStore, phase: Phase, manifest: Manifest) -> str | None:
    for name in phase.inputs:
        if name not in manifest.inputs:
            return f"input '{name}' is new"
        now = store.manifest(name)
        if now is not None and now.sha256 != manifest.inputs[name]:
            return f"input '{name}' changed"
    gone = _first_gone(manifest.inputs, phase)
    return f"input '{gone}' is no longer used" if gone else None


def _first_gone(inputs: Mapping[str, str], phase: Phase) -> str | None:
    return next((name for name in sorted(inputs) if name not in phase.inputs), None)
