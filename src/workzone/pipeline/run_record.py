"""When a run was started first, so that one resumed days later seals the same manifests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from workzone.core.errors import ArtifactError
from workzone.core.observer import Observer
from workzone.storage.atomic import write_json
from workzone.storage.jsonfile import read_json

FILE_NAME = "run.json"
_MAX_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The start of a run."""

    created: datetime
    package_version: str


def read_run_record(root: Path) -> RunRecord | None:
    """Return the record of the run in `root`, or None where none was started.

    Raises:
        ArtifactError: The record cannot be read.
    """
    file = root / FILE_NAME
    if not file.exists():
        return None
    value = read_json(file, _MAX_BYTES)
    try:
        return RunRecord(datetime.fromisoformat(value["created"]), str(value["package_version"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"'{file}' does not say when the run was created ({error}). Remove it to start the run's "
            "clock anew; finished phases are kept."
        ) from error


def start_or_resume(
    root: Path, clock: Callable[[], datetime], package_version: str, observer: Observer
) -> RunRecord:
    """Return the run's record, writing it if this is the first start."""
    record = read_run_record(root)
    if record is None:
        record = RunRecord(clock(), package_version)
        value = {"created": record.created.isoformat(), "package_version": package_version}
        write_json(root / FILE_NAME, value)
    elif record.package_version != package_version:
        observer.note(
            f"This run was started with Workzone {record.package_version} and goes on with "
            f"{package_version}; finished phases are kept unless their version changed."
        )
    return record
