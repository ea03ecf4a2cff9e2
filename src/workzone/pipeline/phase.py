"""What a phase is, and what it is handed when it runs.

Knows nothing of pictures: what a grant opens is the business of whoever gives it. The pipeline only asks a
grant what was opened, because that becomes the lineage of the output.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from workzone.core.errors import ConfigError
from workzone.core.observer import Observer
from workzone.core.types import Lineage, Opening, Role
from workzone.storage.hashing import sha256_json

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*(@[a-z0-9]+(-[a-z0-9]+)*)?")
"""Names become file names inside the run's directory; behind `@` stands a variant of the same kind."""


class Grant(Protocol):
    """The right of one phase to open the roles it declared."""

    @property
    def opened(self) -> Sequence[Opening]:
        """What was opened so far."""

    def open(self, split: Any, role: Role, /) -> Any:
        """Open part `role` of a split; refuses a role that was not declared."""


class Grantor(Protocol):
    """Hands out grants; the composition root has one for the run's data set."""

    def grant(self, phase: str, roles: frozenset[Role], /) -> Grant:
        """Return a fresh grant of `roles` to `phase`."""


@dataclass(frozen=True, slots=True)
class PhaseContext:
    """All that a running phase may touch.

    Attributes:
        inputs: Artifact name → its directory, verified just before; to be read only.
        input_sha256: Artifact name → its content hash.
        lineage: Every (split, role) that the inputs derive from, those that are only cited left out.
        output: An empty directory that becomes the artifact when `run` returns. A kill loses it.
        work: A directory that survives a kill, for checkpoints and caches: a run with the same key (see
            `Phase.key`) finds it as it was left. Removed once the artifact is sealed.
        grant: The only way to samples.
        observer: Who is told of the progress.
        created: When the run began first; the same after a resume. Phases ask this, not the clock.
    """

    inputs: Mapping[str, Path]
    input_sha256: Mapping[str, str]
    lineage: Lineage
    output: Path
    work: Path
    grant: Grant
    observer: Observer
    created: datetime


@dataclass(frozen=True, slots=True)
class Phase:
    """A node of the pipeline: opens its inputs, calls one library function, writes its output.

    Attributes:
        name: Lower-case words joined by hyphens; of a variant `NAME@VARIANT`.
        version: Raised whenever the same inputs and configuration would give another output.
        inputs: Names of the artifacts it reads.
        output: Name, and kind, of the one artifact it makes.
        roles: The parts of a split that it may open.
        config: All settings that change the output, as a JSON value.
        cites: Those of the inputs that the output quotes, for a reader, and does not derive from: they count
            for the key, not for the lineage. What is cited must not change any answer.
        run: Fills `PhaseContext.output`; equal inputs and configuration must give equal bytes.
    """

    name: str
    version: int
    inputs: tuple[str, ...]
    output: str
    roles: frozenset[Role]
    config: Any
    run: Callable[[PhaseContext], None]
    cites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for word in (self.name, self.output, *self.inputs):
            if not _NAME.fullmatch(word):
                raise ConfigError(
                    f"Phase '{self.name}': '{word}' is no name for a phase or an artifact. "
                    "Use lower-case words joined by hyphens, such as 'predictions-test'."
                )
        if len(set(self.inputs)) != len(self.inputs):
            raise ConfigError(f"Phase '{self.name}' names an input twice: {', '.join(self.inputs)}.")
        if not set(self.cites) <= set(self.inputs):
            raise ConfigError(f"Phase '{self.name}' cites what it does not read: {', '.join(self.cites)}.")

    def config_sha256(self) -> str:
        """Return the hash of the configuration.

        Raises:
            ConfigError: The configuration is no JSON value.
        """
        try:
            return sha256_json(self.config)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"The configuration of phase '{self.name}' is no JSON value ({error}); give it "
                "plain numbers, strings, lists and objects."
            ) from error

    def key(self, input_sha256: Mapping[str, str]) -> str:
        """Return the hash of all that determines the output; it names the work directory."""
        return sha256_json(
            [
                self.name,
                self.version,
                self.output,
                self.config_sha256(),
                {n: input_sha256[n] for n in self.inputs},
            ]
        )
