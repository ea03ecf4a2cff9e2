"""`workzone check` with whole bundles: each gate passes, warns and fails for its own reason."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workzone.bundle.seen import SeenPictures
from workzone.bundle.writer import write_bundle
from workzone.core.types import Label
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.schema import NewSample

GROUPS, FRAMES = 160, 2
QUICK = "name: quick\nload: {seconds: 0.2, callers: 2, pictures: 4}\n"
EASY = """throughput_per_s: {warn: 0.01, fail: 0.001}
latency_p50_ms: {warn: 60000, fail: 60000}
peak_memory_mib: {warn: 100000, fail: 100000}
mcc: {warn: 0.5, fail: 0.3}
coverage: {warn: 0.9, fail: 0.8}
"""


def written(path: Path, *, groups: int = GROUPS, missed: int = 0, wrong_negatives: int = 0) -> DataSet:
    """Orange places with road work and blue ones without; `missed` of the former are blue, so answered none."""
    rng = np.random.default_rng(0)
    samples = []
    for group in range(groups):
        roadwork = group % 2 == 1
        turned = group // 2 < (missed if roadwork else wrong_negatives)
        for _ in range(FRAMES):
            colour = (240, 130, 10) if roadwork != turned else (20, 60, 200)
            pixels = rng.normal(colour, 10, (16, 16, 3)).clip(0, 255)
            buffer = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
            samples.append(NewSample(buffer.getvalue(), Label(roadwork), 16, 16, group=f"place{group:03d}"))
    return write_dataset(path, samples, name="colours")


@pytest.fixture
def limits(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "quick.yaml"
        path.write_text(QUICK + text)
        return path

    return write


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> DataSet:
    return written(tmp_path_factory.mktemp("good") / "data")


def findings(said) -> dict[str, dict]:
    return {finding["name"]: finding for finding in json.loads(said.out)["findings"]}


def test_a_bundle_that_meets_its_numbers(invoke, colour_bundle, good, limits) -> None:
    said = invoke("check", colour_bundle, good.root, "--recipe", limits(EASY), "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert answer["status"] == "PASS"
    found = findings(said)
    assert set(found) == {
        "selective_fnr", "throughput_per_s", "latency_p50_ms", "peak_memory_mib", "mcc", "coverage",
    }  # fmt: skip
    assert all(one["status"] == "PASS" and one["reason"] is None for one in found.values())
    assert (found["selective_fnr"]["n"], found["selective_fnr"]["value"]) == (GROUPS // 2, 0)
    assert found["selective_fnr"]["fail"] == 0.05  # what the bundle was certified with
    assert found["mcc"]["value"] == 1.0
    assert found["throughput_per_s"]["value"] > 1
    assert answer["on"]["n"] == GROUPS * FRAMES
    plain = invoke("check", colour_bundle, good.root, "--recipe", limits(EASY))
    assert plain.code == 0
    assert plain.out.strip().endswith("PASS")
    assert "checked or compared on this data set, this one included: 1." in plain.out


@pytest.mark.parametrize(
    ("missed", "status", "code", "why"),
    [
        (4, "PASS", 0, None),
        (6, "WARN", 0, "may be chance"),
        (20, "FAIL", 3, "above 0.05 with confidence 0.95"),
    ],
)
def test_misses_fail_only_where_they_are_shown_to_be_more_than_promised(
    invoke, colour_bundle, tmp_path, limits, missed, status, code, why
) -> None:
    data = written(tmp_path / "data", missed=missed)
    said = invoke("check", colour_bundle, data.root, "--recipe", limits(""), "--json")
    risk = findings(said)["selective_fnr"]
    assert (risk["status"], said.code) == (status, code)
    assert risk["value"] == missed / (GROUPS // 2)
    assert risk["reason"] is None if why is None else why in risk["reason"]


def test_the_recipe_may_set_another_alpha(invoke, colour_bundle, tmp_path, limits) -> None:
    data = written(tmp_path / "data", missed=20)
    said = invoke("check", colour_bundle, data.root, "--recipe", limits("alpha: 0.4\n"), "--json")
    assert (said.code, findings(said)["selective_fnr"]["fail"]) == (0, 0.4)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mcc: {warn: 0.9, fail: 0.9}", "mcc"),
        ("throughput_per_s: {warn: 1e9, fail: 1e9}", "throughput_per_s"),
        ("latency_p50_ms: {warn: 0, fail: 0}", "latency_p50_ms"),
        ("peak_memory_mib: {warn: 1, fail: 1}", "peak_memory_mib"),
    ],
)
def test_each_gate_fails_by_itself(invoke, colour_bundle, tmp_path, limits, text, name) -> None:
    data = written(tmp_path / "data", wrong_negatives=20)
    said = invoke("check", colour_bundle, data.root, "--recipe", limits(text), "--json")
    assert said.code == 3
    assert {key: one["status"] for key, one in findings(said).items()} == {
        "selective_fnr": "PASS",
        name: "FAIL",
    }
    assert json.loads(said.out)["status"] == "FAIL"
    plain = invoke("check", colour_bundle, data.root, "--recipe", limits(text))
    assert (plain.code, plain.out.strip().endswith("FAIL")) == (3, True)


def test_coverage_is_the_share_that_is_answered(
    invoke, colour_bundle, tmp_path, limits, colour_builders
) -> None:
    samples = []
    for group in range(80):
        rng = np.random.default_rng(group)
        colour = (
            colour_builders.GREY
            if group % 4 >= 2
            else (colour_builders.BLUE, colour_builders.ORANGE)[group % 2]
        )
        pixels = rng.normal(colour, 3, (16, 16, 3)).clip(0, 255).astype(np.uint8)
        samples.append(
            NewSample(colour_builders.encoded(pixels), Label(group % 2), 16, 16, group=f"g{group}")
        )
    data = write_dataset(tmp_path / "data", samples, name="grey")
    text = "coverage: {warn: 0.9, fail: 0.7}"
    said = invoke("check", colour_bundle, data.root, "--recipe", limits(text), "--json")
    coverage = findings(said)["coverage"]
    assert (said.code, coverage["value"], coverage["status"]) == (3, 0.5, "FAIL")
    assert coverage["low"] < 0.5 < coverage["high"] < 0.7


def test_too_few_pictures_warn_and_never_pass(invoke, colour_bundle, tmp_path, limits) -> None:
    data = written(tmp_path / "data", groups=12)
    text = EASY + "latency_p99_ms: {warn: 60000, fail: 60000}\n"
    path = limits(text)
    path.write_text(path.read_text().replace("seconds: 0.2", "seconds: 0.001"))
    said = invoke("check", colour_bundle, data.root, "--recipe", path, "--json")
    assert said.code == 0
    found = findings(said)
    for name in ("selective_fnr", "mcc", "coverage", "latency_p99_ms"):
        assert found[name]["status"] == "WARN"
        assert found[name]["reason"].startswith("too few: ")
    assert json.loads(said.out)["status"] == "WARN"


def test_a_bundle_without_a_certificate_does_not_pass(
    invoke, good, tmp_path, limits, colour_builders
) -> None:
    parts = colour_builders.make_parts(tmp_path / "parts", policy=colour_builders.refusing_policy())
    write_bundle(tmp_path / "bundle", parts)
    said = invoke("check", tmp_path / "bundle", good.root, "--recipe", limits(""), "--json")
    risk = findings(said)["selective_fnr"]
    assert (said.code, risk["status"]) == (0, "WARN")
    assert "no certificate" in risk["reason"]


def test_what_the_bundle_has_learned_from_is_refused_or_left_out(
    invoke, good, tmp_path, limits, colour_builders
) -> None:
    learned = good.samples["id"].to_pylist()[:3]
    groups = {
        row["group"] for row in good.samples.select(["id", "group"]).to_pylist() if row["id"] in learned
    }
    seen = SeenPictures.from_ids(
        train=learned,
        calib=colour_builders.sample_ids("calib", 20),
        select=colour_builders.sample_ids("select", 10),
    )
    write_bundle(tmp_path / "bundle", colour_builders.make_parts(tmp_path / "parts", seen=seen))
    ledger = good.root / "openings.jsonl"
    before = ledger.read_bytes() if ledger.exists() else b""
    said = invoke("check", tmp_path / "bundle", good.root, "--recipe", limits(EASY))
    assert said.code == 1
    said.sentence("has learned from 3 of the", "--unseen", "would reward memory")
    assert (ledger.read_bytes() if ledger.exists() else b"") == before  # nothing was looked at
    said = invoke("check", tmp_path / "bundle", good.root, "--recipe", limits(EASY), "--unseen", "--json")
    assert said.code == 0
    on = json.loads(said.out)["on"]
    assert on["n_in_seen_groups"] == on["n_left_out"] == len(groups) * FRAMES
    assert on["n"] == (GROUPS - len(groups)) * FRAMES


def test_nothing_left_is_a_sentence(invoke, colour_bundle, tmp_path, limits, colour_builders) -> None:
    picture = colour_builders.encoded(colour_builders.plain(colour_builders.BLUE))
    data = write_dataset(tmp_path / "data", [NewSample(picture, Label.UNKNOWN, 16, 16, group="g")], name="d")
    said = invoke("check", colour_bundle, data.root, "--recipe", limits(""))
    assert said.code == 1
    said.sentence("Nothing of data set 'd' is left to check on")


def test_a_wrong_recipe_is_a_usage_error(invoke, colour_bundle, good, limits) -> None:
    said = invoke("check", colour_bundle, good.root, "--recipe", limits("mccc: {warn: 1, fail: 0}"))
    assert said.code == 2
    said.sentence("unknown key 'mccc'", "Did you mean 'mcc'?")
    said = invoke("check", colour_bundle, good.root, "--recipe", "chek")
    assert said.code == 2
    said.sentence("Did you mean 'check'?")
