"""A bundle in bfloat16 out of a finished run: nothing of the float32 one is made again, nothing is taken over."""

from __future__ import annotations

import json

import numpy as np
import pytest

from workzone.bundle.reader import open_bundle
from workzone.cli.app import run
from workzone.core.errors import ConfigError
from workzone.engine.predictor import open_predictor

VARIANT = "openvino-bf16"


@pytest.fixture(scope="module")
def with_variant(tiny_run, tmp_path_factory):
    copy = tiny_run.copy(tmp_path_factory.mktemp("variant"))
    arguments = [
        f"data.path={copy.data}",
        *copy.settings,
        f"freeze.variants=[{VARIANT}]",
        "freeze.reduced_tolerance=0.5",  # of a network of two epochs
    ]
    assert run(["run", "--recipe", "tiny", "--out", str(copy.run), *arguments]) == 0
    return copy


def scores(run_dir, name):
    with np.load(run_dir / name / "scores.npz", allow_pickle=False) as file:
        return file["ids"].tolist(), file["logits"]


def test_the_float32_run_is_as_it_was(tiny_run, with_variant) -> None:
    for path in tiny_run.run.glob("*.manifest.json"):
        assert (with_variant.run / path.name).read_bytes() == path.read_bytes()


def test_its_predictions_are_its_own(with_variant) -> None:
    for role in ("select", "calib", "test"):
        ids, exact = scores(with_variant.run, f"predictions-{role}")
        same, reduced = scores(with_variant.run, f"predictions-{role}@{VARIANT}")
        assert same == ids
        assert (exact != reduced).any()
        parity = with_variant.read(f"model@{VARIANT}/model.json")["parity"]
        assert np.abs(exact - reduced).max() < 4 * parity["tolerance"]


def test_its_calibrator_is_fitted_on_its_own_logits(with_variant) -> None:
    plain, reduced = (with_variant.read(f"calibrator{v}/calibrator.json") for v in ("", f"@{VARIANT}"))
    assert plain["kind"] == reduced["kind"]
    assert plain != reduced


def test_the_bundle_says_what_serves_it_and_answers_with_it(with_variant) -> None:
    path = with_variant.run / f"bundle@{VARIANT}"
    serving = open_bundle(path).manifest.serving
    assert (serving.backend, serving.precision) == (VARIANT, "bf16")
    assert open_bundle(with_variant.bundle).manifest.serving.backend == "onnxruntime"
    assert open_bundle(path).manifest.lineage == open_bundle(with_variant.bundle).manifest.lineage
    ids, logits = scores(with_variant.run, f"predictions-calib@{VARIANT}")
    known = dict(zip(ids, logits, strict=True))
    picture = next(p for p in (with_variant.data / "images").rglob("*.jpg") if p.stem in known)
    # alone here, in a batch there: bfloat16 rounds in another order
    assert open_predictor(path).predict(picture).logit == pytest.approx(known[picture.stem], abs=0.05)
    with pytest.raises(ConfigError, match=r"computes in fp32.*certified in bf16"):
        open_predictor(path, backend="onnxruntime")


def test_the_runtimes_were_measured_on_pictures_of_select(with_variant) -> None:
    measured = with_variant.read("runtimes/runtimes.json")
    assert measured["serves"] == "onnxruntime"
    candidates = {candidate["name"]: candidate for candidate in measured["candidates"]}
    assert candidates["onnxruntime"]["alone_ms"] > 0
    assert candidates[VARIANT]["max_abs_logit"] > candidates["openvino-fp32"]["max_abs_logit"]
    assert {role for _, role in with_variant.manifest("runtimes")["lineage"]} <= {"train", "select"}


def test_a_report_of_the_variant_reads_its_answers(with_variant) -> None:
    report = json.loads((with_variant.run / f"report@{VARIANT}" / "report.json").read_text())
    manifest = with_variant.manifest(f"report@{VARIANT}")
    assert report["provenance"]["model_sha256"] == with_variant.manifest(f"model@{VARIANT}")["sha256"]
    assert set(manifest["inputs"]) >= {f"predictions-test@{VARIANT}", f"policy@{VARIANT}", "checkpoint"}
