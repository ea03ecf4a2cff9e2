"""`report.json`: every number of the report, for machines. Needs neither matplotlib nor Jinja."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workzone.core.errors import ArtifactError
from workzone.evaluation.answer import answer
from workzone.evaluation.records import to_json
from workzone.evaluation.report import Report
from workzone.policy.calibrators import calibrator_to_json
from workzone.policy.policies import policy_to_json
from workzone.storage.atomic import write_json

SCHEMA = "workzone-report"
SCHEMA_VERSION = 2
"""Raised whenever a key changes its name or meaning."""
FILE_NAME = "report.json"
MAX_BYTES = 64 << 20


def report_to_json(report: Report) -> dict[str, Any]:
    """Return the document. It holds no NaN: an undefined number is null, with its reason beside it."""
    provenance = report.provenance
    lineage = [[opening.split_sha256, opening.role.value] for opening in sorted(provenance.lineage)]
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "answer": to_json(answer(report)),
        "provenance": {
            "dataset_name": provenance.dataset_name,
            "dataset_revision": provenance.dataset_revision,
            "dataset_licence": provenance.dataset_licence,
            "dataset_sha256": provenance.dataset_sha256,
            "split_sha256": provenance.split_sha256,
            "model_sha256": provenance.model_sha256,
            "bundle_digest": provenance.bundle_digest,
            "backbone": provenance.backbone,
            "backbone_licence": provenance.backbone_licence,
            "package_version": provenance.package_version,
            "lineage": lineage,
            "test_openings": provenance.test_openings,
            "notes": list(provenance.notes),
        },
        "policy": policy_to_json(report.policy),
        "calibrator": calibrator_to_json(report.calibrator),
        "evaluation": report.evaluation.to_json(),
        "policies": to_json(report.policies),
        "frontier": to_json(report.frontier),
    }


def write_report_json(path: Path, report: Report) -> None:
    """Write `report.json` atomically."""
    write_json(path, report_to_json(report))


def read_report(path: Path) -> dict[str, Any]:
    """Return the document that `write_report_json` wrote.

    Raises:
        ArtifactError: It is missing, too large, no report, or of another schema version.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ArtifactError(f"'{path}' is larger than {MAX_BYTES >> 20} MiB; that is no report.")
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"There is no report at '{path}'. Run the phase 'evaluate' first.") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"'{path}' cannot be read as a report: {error}.") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ArtifactError(f"'{path}' is JSON, but no report of Workzone.")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise ArtifactError(
            f"'{path}' has schema version {document.get('schema_version')}; this version reads "
            f"{SCHEMA_VERSION}. Make the report again."
        )
    return document
