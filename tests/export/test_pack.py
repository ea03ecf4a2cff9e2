"""Packing: a bundle that opens, golden pictures away from the thresholds, a card that tells the whole."""

from __future__ import annotations

import numpy as np
import pytest

from workzone.bundle.manifest import BackboneInfo, model_spec
from workzone.bundle.model import ModelRecord, ParityReport, write_record
from workzone.core.errors import ArtifactError, ConfigError
from workzone.core.types import Opening, Role, Verdict
from workzone.engine.scorer import open_model
from workzone.export.card import DataFacts, MeasureLine
from workzone.export.golden import MARGIN, select_golden
from workzone.export.pack import pack
from workzone.policy.calibrators import PlattCalibrator

DATA = DataFacts("streets", "1", "CC-BY-4.0", "b" * 64, 4200, 2100, synthetic=True)
CALIBRATOR = PlattCalibrator(slope=1.5, intercept=0.1)
PARITY = ParityReport(
    n_pictures=64,
    tolerance=1e-3,
    max_abs_logit=2e-6,
    mean_abs_logit=1e-6,
    max_abs_feature=1e-6,
    logit_std=1.5,
    n_sign_changes=0,
)


@pytest.fixture
def model_dir(tmp_path, factory):
    path = tmp_path / "model"
    path.mkdir()
    factory.mean_colour_network(path / "model.onnx")
    (path / "model.safetensors").write_bytes(b"weights")
    record = ModelRecord(
        preprocessing=factory.PREPROCESSING,
        spec=model_spec(16, 3),
        backbone=BackboneInfo(name="mean-colour", licence="CC0-1.0"),
        parity=PARITY,
    )
    write_record(path, record)
    return path


@pytest.fixture
def candidates(factory):
    """Twenty pictures from blue to orange, whose logits cross both thresholds."""
    ends = np.array(factory.BLUE), np.array(factory.ORANGE)
    return [
        factory.encoded(factory.plain((ends[0] * (1 - t) + ends[1] * t).astype(np.uint8)), "JPEG")
        for t in np.linspace(0, 1, 20)
    ]


def packed(model_dir, candidates, factory, out, **changes):
    arguments = {
        "name": "streets",
        "created": factory.CREATED,
        "calibrator": CALIBRATOR,
        "policy": factory.certified_policy(),
        "golden_candidates": candidates,
        "lineage": frozenset(Opening(factory.SPLIT, r) for r in (Role.TRAIN, Role.SELECT, Role.CALIB)),
        "seen": factory.seen_pictures(),
        "data": DATA,
        "metrics": {"mcc": 0.9},
        "measures": [MeasureLine("MCC", 0.9, 0.85, 0.94), MeasureLine("AUROC", None, note="one class only")],
    }
    return pack(model_dir, out, **(arguments | changes))


def test_what_is_packed_answers(model_dir, candidates, factory, tmp_path):
    predictor = packed(model_dir, candidates, factory, tmp_path / "bundle")
    assert predictor.predict(factory.plain(factory.ORANGE)).verdict is Verdict.ROADWORK
    assert predictor.predict(factory.plain(factory.BLUE)).verdict is Verdict.NONE
    manifest = predictor.bundle.manifest
    assert manifest.backbone.licence == "CC0-1.0"
    assert manifest.files["model.onnx"]
    assert predictor.bundle.metrics == {"mcc": 0.9}
    assert len(predictor.bundle.golden.pictures) == 6
    assert predictor.bundle.seen.overlap(factory.sample_ids("calib", 20)).all()


def test_packing_again_gives_the_same_digest(model_dir, candidates, factory, tmp_path):
    one = packed(model_dir, candidates, factory, tmp_path / "one").bundle
    two = packed(model_dir, candidates, factory, tmp_path / "two").bundle
    assert one.digest == two.digest


def test_golden_pictures_keep_away_from_the_thresholds(model_dir, candidates, factory):
    policy = factory.certified_policy(t_lo=-1.0, t_hi=1.0)
    for tolerance in (0.01, 0.05, 0.1):
        golden = select_golden(
            open_model(model_dir), candidates, CALIBRATOR, policy, n=8, tolerance=tolerance
        )
        near = np.minimum(np.abs(golden.logits - 1.0), np.abs(golden.logits + 1.0))
        assert near.min() > MARGIN * tolerance
        assert golden.logits.min() < -1 < 1 < golden.logits.max()
        assert golden.tolerances == {"fp32": tolerance}
        np.testing.assert_allclose(golden.probs, 1 / (1 + np.exp(-(1.5 * golden.logits + 0.1))))


def test_an_infinite_threshold_is_no_threshold(model_dir, candidates, factory):
    golden = select_golden(open_model(model_dir), candidates, CALIBRATOR, factory.refusing_policy(), n=20)
    assert len(golden.pictures) > 15
    assert np.abs(golden.logits - 1.0).min() > 0.2


def test_no_suitable_picture_is_said(model_dir, candidates, factory):
    with pytest.raises(ArtifactError, match="None of 20"):
        select_golden(
            open_model(model_dir), candidates, CALIBRATOR, factory.certified_policy(), n=2, tolerance=5.0
        )


def test_the_card_tells_promise_price_and_limits(model_dir, candidates, factory, tmp_path):
    policy = factory.certified_policy()
    card = packed(model_dir, candidates, factory, tmp_path / "bundle").bundle.card
    for part in (
        policy.certificate.statement,
        policy.certificate.assumption,
        "| everything road work | 0.0000 | 1.0000 | 1.0000 |",
        "| everything deferred | – | 0.0000 | 0.0000 |",
        "| MCC | 0.9000 | 0.8500 to 0.9400 |",
        "one class only",
        "CC-BY-4.0",
        "CC0-1.0",
        "4200 pictures in 2100 groups",
        "rendered pictures: nothing here says how it does on photographs",
        "recertify",
    ):
        assert part in card


def test_without_a_certificate_the_card_promises_nothing(model_dir, candidates, factory, tmp_path):
    card = packed(
        model_dir, candidates, factory, tmp_path / "bundle", policy=factory.refusing_policy(), measures=()
    ).bundle.card
    assert "**No certificate.** 58 more groups are needed." in card
    assert "With confidence" not in card
    assert "never answers 'none'" in card
    assert "Nothing was measured" in card


def test_a_bundle_that_knows_test_is_not_packed(model_dir, candidates, factory, tmp_path):
    with pytest.raises(ArtifactError, match="test"):
        packed(
            model_dir,
            candidates,
            factory,
            tmp_path / "bundle",
            lineage=frozenset({Opening(factory.SPLIT, Role.TEST)}),
        )
    assert not (tmp_path / "bundle").exists()


def test_files_are_not_overwritten(model_dir, candidates, factory, tmp_path):
    packed(model_dir, candidates, factory, tmp_path / "bundle")
    with pytest.raises(ConfigError, match="not empty"):
        packed(model_dir, candidates, factory, tmp_path / "bundle")
