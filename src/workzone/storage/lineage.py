"""Which parts of a split an artifact may derive from; checked whenever one is written or read.

The table is the leak-proofing of Workzone: a model that knows `calib`, a threshold that knows `test`, or
two artifacts of different splits are refused here, whoever made them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workzone.core.errors import ArtifactError
from workzone.core.types import Lineage, Role

_FITTED = frozenset({Role.TRAIN, Role.SELECT})
_CERTIFIED = frozenset({Role.TRAIN, Role.SELECT, Role.CALIB})

ALLOWED_ROLES: Mapping[str, frozenset[Role]] = {
    "split": frozenset(),
    "checkpoint": _FITTED,
    "baseline": _FITTED,
    "model": _FITTED,
    "predictions-select": _FITTED,
    "predictions-calib": _CERTIFIED,
    "predictions-test": frozenset({Role.TRAIN, Role.SELECT, Role.TEST}),
    "calibrator": _CERTIFIED,
    "policy": _CERTIFIED,
    "alternatives": _CERTIFIED,
    "bundle": _CERTIFIED,
    "runtimes": _FITTED,
    "report": frozenset(Role),
}
"""Artifact kind → the roles it may derive from. Only the report may know both `calib` and `test`."""


def check_lineage(kind: str, lineage: Lineage) -> None:
    """Refuse a lineage that an artifact of this kind must not have.

    Args:
        kind: A key of `ALLOWED_ROLES`, alone or as `KIND@VARIANT`: another runtime's artifact knows no more.
        lineage: What it would derive from.

    Raises:
        ArtifactError: The kind is unknown, the lineage mixes splits, or holds a forbidden role.
    """
    allowed = ALLOWED_ROLES.get(kind.partition("@")[0])
    if allowed is None:
        raise ArtifactError(f"Unknown artifact kind '{kind}': no rule says what it may derive from.")
    splits = {opening.split_sha256 for opening in lineage}
    if len(splits) > 1:
        raise ArtifactError(
            f"'{kind}' would mix {len(splits)} different splits ({', '.join(s[:12] for s in sorted(splits))}"
            "): what is train in one can be test in the other. Make all of it with one split."
        )
    forbidden = {opening.role for opening in lineage} - allowed
    if forbidden:
        raise ArtifactError(
            f"'{kind}' derives from {', '.join(sorted(forbidden))}, which it must not know; allowed: "
            f"{', '.join(sorted(allowed)) or 'nothing'}. Make it again from artifacts that don't."
        )


def merge_lineages(lineages: Iterable[Lineage]) -> Lineage:
    """Return the union."""
    return frozenset().union(*lineages)
