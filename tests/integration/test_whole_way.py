"""The whole way, once: every number that leaves the pipeline is computed again here by other means."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)

import workzone
from workzone.bundle.reader import open_bundle
from workzone.cli.app import run
from workzone.core.types import Verdict

FITTED = {"train", "select"}
LINEAGE = {  # docs/architecture.md
    "split": set(),
    "checkpoint": FITTED,
    "baseline": FITTED,
    "model": FITTED,
    "predictions-select": FITTED,
    "predictions-calib": FITTED | {"calib"},
    "predictions-test": FITTED | {"test"},
    "calibrator": FITTED | {"calib"},
    "policy": FITTED | {"calib"},
    "alternatives": FITTED | {"calib"},
    "report": FITTED | {"calib", "test"},
    "bundle": FITTED | {"calib"},
    "runtimes": FITTED,
}


@dataclass(frozen=True)
class Scored:
    """`predictions-*` as it lies on disk, read without Workzone."""

    ids: NDArray[np.str_]
    groups: NDArray[np.str_]
    y: NDArray[np.int8]
    logits: NDArray[np.float64]


def scored(run_dir: Path, role: str) -> Scored:
    with np.load(run_dir / f"predictions-{role}" / "scores.npz", allow_pickle=False) as file:
        assert not file["ambiguous"].any()
        assert set(file["labels"]) == {0, 1}
        return Scored(file["ids"], file["groups"], file["labels"], file["logits"])


def probabilities(calibrator: dict[str, Any], logits: NDArray[np.float64]) -> NDArray[np.float64]:
    assert calibrator["kind"] == "platt"
    return 1 / (1 + np.exp(-(calibrator["slope"] * logits + calibrator["intercept"])))


def tree(directory: Path) -> dict[str, tuple[str, int]]:
    """Return path → content hash and time of change."""
    return {
        path.relative_to(directory).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def phases(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, Any]]:
    """Run `workzone run ... --json` and return what it says of each phase."""
    assert run(["run", "--recipe", "tiny", "--json", *arguments]) == 0
    return {phase["phase"]: phase for phase in json.loads(capsys.readouterr().out)["phases"]}


@pytest.fixture(scope="module")
def lenient(tiny_run, tmp_path_factory):
    """The run under a promise so weak that a handful of groups earn it, and what was run for it."""
    copy = tiny_run.copy(tmp_path_factory.mktemp("lenient"))
    before = tree(copy.run)
    arguments = ["policy.alpha=0.6", "policy.delta=0.5", f"data.path={copy.data}", *copy.settings]
    assert run(["run", "--recipe", "tiny", "--out", str(copy.run), *arguments]) == 0
    return copy, before, arguments


def test_a_second_run_does_nothing(tiny_run, capsys) -> None:
    before, ledger = tree(tiny_run.run), (tiny_run.data / "openings.jsonl").read_bytes()
    planned = phases(capsys, "--out", str(tiny_run.run), f"data.path={tiny_run.data}", *tiny_run.settings)
    assert len(planned) == len(LINEAGE)
    assert {(phase["runs"], phase["reason"]) for phase in planned.values()} == {(False, "up to date")}
    assert tree(tiny_run.run) == before
    assert (tiny_run.data / "openings.jsonl").read_bytes() == ledger


def test_a_dry_run_writes_nothing(tiny_run, tmp_path, capsys) -> None:
    before = tree(tiny_run.run), tree(tiny_run.data)
    changed = phases(
        capsys,
        "--dry-run",
        "--out",
        str(tiny_run.run),
        f"data.path={tiny_run.data}",
        *tiny_run.settings,
        "train.epochs=5",
    )
    assert changed["split"]["runs"] is False
    assert changed["train"]["reason"] == "configuration changed"
    assert changed["freeze"]["reason"] == "input 'checkpoint' will be made again"
    fresh = phases(capsys, "--dry-run", "--out", str(tmp_path / "new"), f"data.path={tiny_run.data}")
    assert {phase["reason"] for phase in fresh.values()} == {"no artifact yet"}
    assert list(tmp_path.iterdir()) == []
    assert (tree(tiny_run.run), tree(tiny_run.data)) == before


def test_another_alpha_runs_policy_evaluate_and_pack_again(lenient, capsys) -> None:
    copy, before, arguments = lenient
    after = tree(copy.run)
    changed = {
        Path(name).parts[0].removesuffix(".manifest.json") for name in after if after[name] != before[name]
    }
    assert set(after) == set(before)
    assert changed == {"policy", "alternatives", "report", "bundle"}
    assert not any(p["runs"] for p in phases(capsys, "--out", str(copy.run), *arguments).values())


@pytest.mark.parametrize("artifact", LINEAGE)
def test_every_artifact_derives_from_what_the_documentation_says(tiny_run, artifact: str) -> None:
    lineage = tiny_run.manifest(artifact)["lineage"]
    assert {role for _, role in lineage} == LINEAGE[artifact]
    assert {split for split, _ in lineage} <= {tiny_run.read("split/split.json")["sha256"]}


def test_no_artifact_is_without_a_rule(tiny_run) -> None:
    made = {path.name.removesuffix(".manifest.json") for path in tiny_run.run.glob("*.manifest.json")}
    assert made == set(LINEAGE)


def test_bundle_and_report_state_their_lineage(tiny_run) -> None:
    bundle = tiny_run.read("bundle/bundle.json")["lineage"]
    assert {role for _, role in bundle} == LINEAGE["bundle"]
    report = tiny_run.read("report/report.json")["provenance"]["lineage"]
    assert {role for _, role in report} == LINEAGE["report"]


def test_groups_are_whole_and_pictures_are_all_there(tiny_run) -> None:
    roles = pq.read_table(tiny_run.run / "split" / "split.parquet").to_pylist()
    by_group: dict[str, set[str]] = {}
    for row in roles:
        by_group.setdefault(row["group"], set()).add(row["role"])
    assert {len(found) for found in by_group.values()} == {1}
    for role in ("select", "calib", "test"):
        assert set(scored(tiny_run.run, role).ids) == {row["id"] for row in roles if row["role"] == role}


def test_only_declared_roles_were_opened(tiny_run) -> None:
    lines = (tiny_run.data / "openings.jsonl").read_text(encoding="utf-8").splitlines()
    opened: dict[str, set[str]] = {}
    for entry in map(json.loads, lines):
        opened.setdefault(entry["phase"], set()).add(entry["role"])
    assert opened == {
        "train": FITTED,
        "baseline": FITTED,
        "freeze": {"select"},
        "runtimes": {"select"},
        "predict-select": {"select"},
        "predict-calib": {"calib"},
        "predict-test": {"test"},
        "evaluate": {"test"},
    }
    assert tiny_run.read("report/report.json")["provenance"]["test_openings"] == 1


def test_the_bundle_verifies(tiny_run, capsys) -> None:
    assert run(["bundle", "verify", str(tiny_run.bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digest"] == open_bundle(tiny_run.bundle).digest


def test_the_bundle_answers_as_was_measured(tiny_run) -> None:
    """Logits, calibrator and thresholds of `test`, asked again picture by picture through the bundle."""
    test = scored(tiny_run.run, "test")
    table = pq.read_table(tiny_run.data / "samples.parquet").to_pydict()
    paths = dict(zip(table["id"], table["path"], strict=True))
    policy = tiny_run.read("policy/policy.json")
    probs = probabilities(tiny_run.read("calibrator/calibrator.json"), test.logits)
    predictor = workzone.open(tiny_run.bundle)
    pictures = [tiny_run.data / paths[sample] for sample in test.ids]
    singly = [predictor.predict(picture) for picture in pictures]
    together = list(predictor.predict_many(pictures))
    for answers in (singly, together):
        np.testing.assert_allclose([a.logit for a in answers], test.logits, atol=1e-4)
        np.testing.assert_allclose([a.probability for a in answers], probs, atol=1e-4)
    # Verdicts follow from the thresholds, but for a logit nearer to one than the runtime's last digits.
    clear = np.abs(test.logits - policy["t_hi"]) > 1e-4
    expected = np.where(test.logits >= policy["t_hi"], Verdict.ROADWORK, Verdict.DEFER)
    assert policy["t_lo"] is None
    assert [a.verdict for a, c in zip(singly, clear, strict=True) if c] == expected[clear].tolist()
    assert not any(a.certified for a in singly)


def test_bytes_and_arrays_are_answered_as_files_are(tiny_run) -> None:
    from workzone.imaging.decode import decode_image

    picture = sorted((tiny_run.data / "images").rglob("*.jpg"))[0]
    predictor = workzone.open(tiny_run.bundle)
    logits = [
        predictor.predict(source).logit for source in (picture, picture.read_bytes(), decode_image(picture))
    ]
    np.testing.assert_allclose(logits, logits[0], atol=1e-4)


def test_answering_imports_nothing_of_training(tiny_run) -> None:
    picture = sorted((tiny_run.data / "images").rglob("*.jpg"))[0]
    script = (
        "import sys, json, workzone\n"
        f"answer = workzone.open({str(tiny_run.bundle)!r}).predict({str(picture)!r})\n"
        "print(json.dumps([answer.probability, sorted({m.split('.')[0] for m in sys.modules})]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    probability, modules = json.loads(done.stdout)
    assert 0 <= probability <= 1
    heavy = {
        "torch",
        "transformers",
        "lightning",
        "pyarrow",
        "scipy",
        "sklearn",
        "onnx",
        "hydra",
        "matplotlib",
    }
    assert not heavy & set(modules)


def test_the_measures_of_the_report(tiny_run) -> None:
    report = tiny_run.read("report/report.json")
    evaluation = report["evaluation"]
    found = {measure["name"]: measure for measure in evaluation["measures"]}
    test = scored(tiny_run.run, "test")
    y, probs = test.y, probabilities(report["calibrator"], test.logits)
    expected = {
        "auroc": roc_auc_score(y, test.logits),
        "auprc": average_precision_score(y, test.logits),
        "brier": brier_score_loss(y, probs),
        "nll": log_loss(y, probs),
        "ece_equal_width": equal_width_ece(y, probs),
    }
    for suffix, called in (
        ("", test.logits >= evaluation["decision_threshold"]),
        ("_at_half", probs >= 0.5),
    ):
        expected[f"mcc{suffix}"] = matthews_corrcoef(y, called)
        expected[f"accuracy{suffix}"] = accuracy_score(y, called)
        expected[f"recall{suffix}"] = recall_score(y, called)
        expected[f"specificity{suffix}"] = recall_score(y, called, pos_label=0)
        if called.any():
            expected[f"precision{suffix}"] = precision_score(y, called)
    for name, value in expected.items():
        assert found[name]["estimate"] == pytest.approx(value, abs=1e-9), name
        if found[name]["low"] is not None:
            assert found[name]["low"] <= value <= found[name]["high"], name
    called = test.logits >= evaluation["decision_threshold"]
    (tn, fp), (fn, tp) = confusion_matrix(y, called).tolist()
    assert evaluation["confusion"] == {"tp": tp, "fp": fp, "tn": tn, "fn": fn}
    assert evaluation["n"] == len(y)
    assert evaluation["n_groups"] == len(set(test.groups))


def equal_width_ece(y, probs, bins: int = 15) -> float:
    place = np.minimum((probs * bins).astype(int), bins - 1)
    gaps = [
        abs(y[place == b].mean() - probs[place == b].mean()) * (place == b).sum() for b in set(place.tolist())
    ]
    return float(sum(gaps) / len(y))


def test_the_measures_of_the_policy(lenient) -> None:
    copy, _, _ = lenient
    policy, test = copy.read("policy/policy.json"), scored(copy.run, "test")
    found = {m["name"]: m for m in copy.read("report/report.json")["evaluation"]["measures"]}
    y = test.y == 1
    none, roadwork = test.logits < policy["t_lo"], test.logits >= policy["t_hi"]
    answered = none | roadwork
    rates = {
        "selective_fnr": (none & y, answered & y),
        "committed_miss_rate": (none & y, y),
        "false_omission_rate": (none & y, none),
        "false_alarm_rate": (roadwork & ~y, ~y),
        "coverage": (answered, np.ones_like(y)),
        "answered_accuracy": ((roadwork & y) | (none & ~y), answered),
    }
    for name, (events, among) in rates.items():
        if among.any():
            assert found[name]["estimate"] == pytest.approx(events.sum() / among.sum()), name
        else:
            assert found[name]["estimate"] is None, name


def test_the_decision_threshold_was_chosen_on_select(tiny_run) -> None:
    select = scored(tiny_run.run, "select")
    threshold = tiny_run.read("report/report.json")["evaluation"]["decision_threshold"]
    values = np.unique(select.logits)
    tried = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    best = max(matthews_corrcoef(select.y, select.logits >= t) for t in tried)
    assert matthews_corrcoef(select.y, select.logits >= threshold) == pytest.approx(best)


def test_t_hi_is_the_least_that_keeps_false_alarms_on_select(tiny_run) -> None:
    policy = tiny_run.read("policy/policy.json")
    select = scored(tiny_run.run, "select")
    negatives = select.logits[select.y == 0]
    assert (negatives >= policy["t_hi"]).mean() <= policy["settings"]["beta"] == 0.05
    assert (negatives >= np.nextafter(policy["t_hi"], -math.inf)).mean() > policy["settings"]["beta"]


def test_t_lo_is_the_last_that_exact_tests_certify_on_calib(lenient) -> None:
    """One positive frame a group, by a hash; then scipy's binomial along the grid, until the first failure."""
    copy, _, _ = lenient
    policy, calib = copy.read("policy/policy.json"), scored(copy.run, "calib")
    certificate, split = policy["certificate"], copy.read("split/split.json")["sha256"]
    (claim,), walk = certificate["claims"], certificate["walk"]
    assert (claim["alpha"], certificate["delta"]) == (0.6, 0.5)
    assert certificate["split_sha256"] == split
    chosen: dict[str, tuple[str, float]] = {}
    for sample, group, y, logit in zip(calib.ids, calib.groups, calib.y, calib.logits, strict=True):
        digest = hashlib.sha256(f"{split}|{group}|{sample}".encode()).hexdigest()
        if y == 1 and (group not in chosen or digest < chosen[group][0]):
            chosen[group] = (digest, logit)
    logits = np.array([logit for _, logit in chosen.values()])
    passed = None
    for t in walk["sequence"][walk["start"] :]:
        called, missed = int((logits >= policy["t_hi"]).sum()), int((logits < t).sum())
        if binom.cdf(missed, called + missed, claim["alpha"]) > certificate["delta"]:
            break
        passed = t, missed, called + missed
    assert passed == (policy["t_lo"], claim["events"], claim["n"])
    assert walk["sequence"] == sorted(walk["sequence"])
    assert max(walk["sequence"]) == policy["t_hi"]


def test_the_grid_of_t_lo_is_of_select_alone(lenient) -> None:
    copy, _, _ = lenient
    sequence = np.array(copy.read("policy/policy.json")["certificate"]["walk"]["sequence"])
    select = scored(copy.run, "select")
    below = select.logits[select.logits < sequence[-1]]
    quantiles = np.quantile(below, np.linspace(0, 1, 200 - 5))
    np.testing.assert_allclose(sequence[4:-1], np.setdiff1d(quantiles, sequence[-1]))
    assert (sequence[:4] < select.logits.min()).all()


def test_too_few_groups_are_called_too_few(tiny_run) -> None:
    policy = tiny_run.read("policy/policy.json")
    assert policy["certificate"] is None
    assert "Cannot certify" in policy["refusal"]
    assert "at least 59" in policy["refusal"]  # log 0.05 / log 0.95, rounded up
    assert tiny_run.read("bundle/policy.json") == policy
    assert "Cannot certify" in (tiny_run.report / "report.html").read_text(encoding="utf-8")
