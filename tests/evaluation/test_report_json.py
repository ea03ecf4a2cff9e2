"""`report.json`: a stable schema, no NaN, readable without matplotlib or Jinja."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from workzone.core.errors import ArtifactError, DataError
from workzone.evaluation.measures import TITLES
from workzone.evaluation.records import to_json
from workzone.evaluation.report_json import read_report, report_to_json, write_report_json

KEYS = {
    "": {
        "schema", "schema_version", "answer", "provenance", "policy", "calibrator", "evaluation", "policies",
        "frontier",
    },
    "policies": {"statement", "fnr_limit", "costs", "rows"},
    "frontier": {
        "statement", "costs", "example_prices", "fnr_limit", "n_rules", "n_frontier", "points", "rows", "policy",
        "policy_beaten",
    },
    "answer": {"certified", "headline", "sentences", "warning"},
    "provenance": {
        "dataset_name", "dataset_revision", "dataset_licence", "dataset_sha256", "split_sha256",
        "model_sha256", "bundle_digest", "backbone", "backbone_licence", "package_version", "lineage",
        "test_openings", "notes",
    },
    "policy": {"kind", "t_lo", "t_hi", "settings", "certificate", "refusal"},
    "evaluation": {
        "n", "n_groups", "n_positives", "n_positive_groups", "n_negatives", "n_negative_groups", "n_unknown",
        "n_ambiguous", "decision_threshold", "n_resamples", "confidence", "seed", "measures",
        "measures_with_ambiguous", "confusion", "verdicts", "trivial", "baseline", "slices", "curves",
    },
}  # fmt: skip
MEASURE_KEYS = {"name", "estimate", "low", "high", "n", "n_groups", "interval", "reason"}


def refuse(constant: str) -> float:
    raise AssertionError(f"report.json holds {constant}")


ROW_KEYS = {"title", "chosen", "promise", "claims", "rule", "reason", "measures"}


def test_the_schema_is_what_readers_rely_on(report, certified_report, tmp_path):
    parts = {"policies": certified_report.policies, "frontier": certified_report.frontier}
    write_report_json(tmp_path / "report.json", replace(report, **parts))
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert read_report(tmp_path / "report.json") == document
    assert document["schema_version"] == 2
    for part, keys in KEYS.items():
        assert set(document[part] if part else document) == keys, part
    measures = document["evaluation"]["measures"]
    assert [m["name"] for m in measures] == list(TITLES)
    assert all(set(m) == MEASURE_KEYS for m in measures)
    assert document["provenance"]["test_openings"] == 2
    assert ["5" * 64, "test"] in document["provenance"]["lineage"]
    assert document["evaluation"]["measures_with_ambiguous"]
    assert all(set(row) == ROW_KEYS for row in document["policies"]["rows"])
    alone = report_to_json(report)
    assert (alone["policies"], alone["frontier"]) == (None, None)


def test_undefined_numbers_are_null_with_a_reason(report, draw, measured):
    scores = draw()
    one_class = replace(report, evaluation=measured(scores.take(scores.labels == 0)))
    text = json.dumps(report_to_json(one_class), allow_nan=False)
    for measure in json.loads(text)["evaluation"]["measures"]:
        assert (measure["estimate"] is not None and measure["low"] is not None) or measure["reason"]
    with pytest.raises(DataError, match="null with a reason"):
        to_json((1.0, float("nan")))


def test_the_same_report_has_the_same_bytes(report, tmp_path):
    for name in ("a.json", "b.json"):
        write_report_json(tmp_path / name, report)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "no report"),
        ('{"schema": "workzone-report", "schema_version": 9}', "version 9"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, text, said):
    (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=said):
        read_report(tmp_path / "report.json")
    with pytest.raises(ArtifactError, match="no report at"):
        read_report(tmp_path / "missing.json")


def test_neither_matplotlib_nor_jinja_is_imported():
    code = (
        "import sys, workzone.evaluation.evaluate, workzone.evaluation.report_json\n"
        "import workzone.evaluation.html\n"
        "print([m for m in ('matplotlib', 'jinja2', 'scipy', 'sklearn', 'torch') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
