"""Artifacts: hashed directories with a manifest that is written last.

`RUN/<name>/` holds the content, `RUN/<name>.manifest.json` says what it is. Without its manifest a directory
is not an artifact: a kill between the two costs the phase, never a wrong read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from workzone.core.errors import ArtifactError
from workzone.core.types import Lineage, Opening, Role
from workzone.storage.atomic import atomic_directory, sync_directory, write_json
from workzone.storage.hashing import sha256_tree
from workzone.storage.jsonfile import read_json
from workzone.storage.lineage import check_lineage

_MAX_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact is and what it was made from."""

    kind: str
    sha256: str
    """Of the content (`sha256_tree`)."""
    phase: str
    phase_version: int
    package_version: str
    config_sha256: str
    inputs: Mapping[str, str]
    """Input artifact → its content hash."""
    lineage: Lineage
    created: datetime

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "kind": self.kind,
            "sha256": self.sha256,
            "phase": self.phase,
            "phase_version": self.phase_version,
            "package_version": self.package_version,
            "config_sha256": self.config_sha256,
            "inputs": dict(self.inputs),
            "lineage": [[o.split_sha256, o.role.value] for o in sorted(self.lineage)],
            "created": self.created.isoformat(),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Manifest:
        """Read the JSON form; KeyError, TypeError or ValueError if it is none."""
        return Manifest(
            kind=str(value["kind"]),
            sha256=str(value["sha256"]),
            phase=str(value["phase"]),
            phase_version=int(value["phase_version"]),
            package_version=str(value["package_version"]),
            config_sha256=str(value["config_sha256"]),
            inputs={str(k): str(v) for k, v in value["inputs"].items()},
            lineage=frozenset(Opening(str(s), Role(r)) for s, r in value["lineage"]),
            created=datetime.fromisoformat(value["created"]),
        )


@dataclass(frozen=True, slots=True)
class ArtifactStore:
    """The artifacts of one run, by name. The name of an artifact is also its kind."""

    root: Path

    def path(self, name: str) -> Path:
        """Return where the content of `name` is, or would be."""
        return self.root / name

    def _manifest_path(self, name: str) -> Path:
        return self.root / f"{name}.manifest.json"

    def manifest(self, name: str) -> Manifest | None:
        """Return the manifest of `name`, or None where there is no such artifact.

        Raises:
            ArtifactError: The manifest cannot be read.
        """
        file = self._manifest_path(name)
        if not file.is_file() or not self.path(name).exists():
            return None
        value = read_json(file, _MAX_MANIFEST_BYTES)
        try:
            return Manifest.from_json(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactError(
                f"'{file}' is not a manifest ({error}). Remove it to make '{name}' again."
            ) from error

    def open(self, name: str) -> tuple[Path, Manifest]:
        """Return content and manifest of `name`, after checking hash and lineage.

        Raises:
            ArtifactError: It is missing, was changed, or derives from what it must not.
        """
        manifest = self.manifest(name)
        if manifest is None:
            raise ArtifactError(f"No artifact '{name}' in '{self.root}'. Run the phase that makes it first.")
        if manifest.kind != name:
            raise ArtifactError(f"'{self.path(name)}' calls itself '{manifest.kind}', expected '{name}'.")
        found = sha256_tree(self.path(name))
        if found != manifest.sha256:
            raise ArtifactError(
                f"'{self.path(name)}' was changed after it was made: its hash is {found[:12]}, its "
                f"manifest says {manifest.sha256[:12]}. Remove '{name}.manifest.json' to make it again."
            )
        check_lineage(name, manifest.lineage)
        return self.path(name), manifest

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield an empty directory that becomes the content of `name`; `seal` then makes it an artifact.

        An older artifact of that name stays whole until the new content is complete: a run that fails or is
        killed on the way does not cost what was there.
        """
        with atomic_directory(self.path(name)) as temporary:
            yield temporary
            # The old manifest goes before the old content: between the two there is no artifact, never a
            # manifest beside content that it does not describe.
            self._manifest_path(name).unlink(missing_ok=True)
            sync_directory(self.root)

    def seal(self, name: str, manifest: Manifest) -> None:
        """Write the manifest of content that is already in place.

        Raises:
            ArtifactError: The lineage is one that this kind must not have.
        """
        check_lineage(manifest.kind, manifest.lineage)
        write_json(self._manifest_path(name), manifest.to_json())
