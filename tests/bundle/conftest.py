"""A small bundle that is whole: a hand-made ONNX network (mean colour, then one linear layer), no torch.

Also loaded by the tests of engine and export.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from workzone.bundle.cascade import CascadeParts, write_cascade
from workzone.bundle.cascade_manifest import CascadeStage
from workzone.bundle.golden import GoldenSet
from workzone.bundle.manifest import BackboneInfo, model_spec
from workzone.bundle.reader import open_bundle
from workzone.bundle.seen import SeenPictures
from workzone.bundle.writer import BundleParts, write_bundle
from workzone.calibration.cascade import CascadeSettings, certify_cascade
from workzone.core.scores import Scores
from workzone.core.types import Opening, Role
from workzone.imaging.preprocessing import Preprocessing
from workzone.policy.binomial import binomial_cdf, clopper_pearson_upper
from workzone.policy.calibrators import PlattCalibrator
from workzone.policy.cascade import count_reach
from workzone.policy.certificate import (
    ASSUMPTION,
    COUNT_UNITS,
    EVERYTHING_DEFERRED,
    EVERYTHING_ROADWORK,
    Certificate,
    Claim,
    Coverage,
    FalseAlarms,
    Walk,
)
from workzone.policy.risks import RISKS, Risk
from workzone.policy.settings import Counting, RiskLimit, ThresholdSettings
from workzone.policy.threshold import ThresholdPolicy
from workzone.policy.verification import NOISE_ROWS, noise_row

SPLIT, DATASET = "a" * 64, "b" * 64
SIZE = 16
WEIGHTS, BIAS = (2.0, 0.5, -2.0), -0.25
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def mean_colour_network(path: Path, *, size=SIZE, weights=WEIGHTS, bias=BIAS, batch="batch", scale=1.0):
    """features = mean of each channel, logits = weights · features + bias (divided by `scale`)."""
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 1, 3, size, size])]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch]),
        helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, 3]),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 3, 4], dtype=np.int64), "axes"),
        numpy_helper.from_array(np.array([-1], dtype=np.int64), "last"),
        numpy_helper.from_array(np.array(weights, dtype=np.float32)[:, None], "weights"),
        numpy_helper.from_array(np.array([bias], dtype=np.float32), "bias"),
        numpy_helper.from_array(np.array(scale, dtype=np.float32), "scale"),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["features"], keepdims=0),
        helper.make_node("Gemm", ["features", "weights", "bias"], ["column"]),
        helper.make_node("Div", ["column", "scale"], ["scaled"]),
        helper.make_node("Squeeze", ["scaled", "last"], ["logits"]),
    ]
    graph = helper.make_graph(nodes, "mean_colour", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def expected_logit(image_rgb_u8, preprocessing, weights=WEIGHTS, bias=BIAS):
    """The network by hand, for a picture that is already square and of the right size."""
    x = (image_rgb_u8.reshape(-1, 3).astype(np.float64) - preprocessing.mean) * preprocessing.scale
    return float(x.mean(axis=0) @ np.array(weights) + bias)


def encoded(image_rgb_u8, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(image_rgb_u8).save(buffer, kind)
    return buffer.getvalue()


def plain(colour, size=SIZE):
    return np.broadcast_to(np.array(colour, dtype=np.uint8), (size, size, 3)).copy()


ORANGE, GREY, BLUE = (240, 130, 10), (120, 120, 120), (20, 60, 200)
PREPROCESSING = Preprocessing(size_px=SIZE, mean=(128, 128, 128), scale=(1 / 64,) * 3, max_batch=4)


def sample_ids(name, count):
    """Ids of pictures that do not exist: `count` of them, others for another name."""
    return [hashlib.sha256(f"{name} {number}".encode()).hexdigest() for number in range(count)]


def seen_pictures():
    return SeenPictures.from_ids(
        train=sample_ids("train", 40), select=sample_ids("select", 10), calib=sample_ids("calib", 20)
    )


def claim(*, n=200, misses=1, alpha=0.05, delta=0.05):
    """At most `alpha` of the answered road work is missed, by `misses` of `n` groups."""
    made = Claim(
        risk=Risk.SELECTIVE_FNR,
        alpha=alpha,
        n=n,
        events=misses,
        rate=misses / n,
        bound=clopper_pearson_upper(misses, n, delta),
        p_value=binomial_cdf(misses, n, alpha),
        exceedance=None,
        stake=None,
        outcomes=(),
        n_groups=n + 5,
        estimand=RISKS[Risk.SELECTIVE_FNR].estimand,
        label_noise=(),
        ambiguous_as_positives=None,
    )
    noise = tuple(noise_row(made, "pac", delta, wrong) for wrong in NOISE_ROWS)
    return dataclasses.replace(made, label_noise=noise)


def certificate(*, n=200, misses=1, alpha=0.05, delta=0.05, t_lo=-1.0, seen=None):
    return Certificate(
        kind="pac",
        delta=delta,
        counting=Counting.ONE_PER_GROUP,
        count_unit=COUNT_UNITS[Counting.ONE_PER_GROUP],
        claims=(claim(n=n, misses=misses, alpha=alpha, delta=delta),),
        walk=Walk(parameter="t_lo", sequence=(-2.0, t_lo, 0.5), start=0, passed=1, chosen=1),
        n_unknown_left_out=0,
        n_ambiguous_left_out=0,
        assumption=ASSUMPTION,
        split_sha256=SPLIT,
        dataset_sha256=DATASET,
        calibration_sha256=(seen or seen_pictures()).sha256("calib"),
        false_alarms=FalseAlarms(10, 200, 0.05, clopper_pearson_upper(10, 200, delta)),
        coverage=Coverage(positives=410, positives_answered=400, negatives=400, negatives_answered=390),
        everything_roadwork=EVERYTHING_ROADWORK,
        everything_deferred=EVERYTHING_DEFERRED,
    )


SETTINGS = ThresholdSettings(limits=(RiskLimit(Risk.SELECTIVE_FNR, 0.05),))


def certified_policy(t_lo=-1.0, t_hi=1.0, seen=None):
    """Certified on the calibration pictures of `seen`, else of `seen_pictures`."""
    promise = certificate(t_lo=t_lo, seen=seen)
    return ThresholdPolicy(t_lo=t_lo, t_hi=t_hi, settings=SETTINGS, certificate=promise, refusal=None)


def refusing_policy(t_hi=1.0):
    return ThresholdPolicy(
        t_lo=-math.inf, t_hi=t_hi, settings=SETTINGS, certificate=None, refusal="58 more groups are needed."
    )


def make_parts(folder: Path, **changes) -> BundleParts:
    """Parts of a whole bundle; `changes` replaces some of them."""
    folder.mkdir(parents=True, exist_ok=True)
    calibrator = changes.pop("calibrator", PlattCalibrator(slope=1.5, intercept=0.1))
    seen = changes.pop("seen", seen_pictures())
    pictures = [plain(ORANGE), plain(BLUE)]
    logits = np.array([expected_logit(p, PREPROCESSING) for p in pictures])
    (folder / "weights.safetensors").write_bytes(b"weights of the torch model" * 10)
    parts = BundleParts(
        name="mean-colour",
        created=CREATED,
        package_version="0.1.0",
        model=mean_colour_network(folder / "network.onnx"),
        weights=folder / "weights.safetensors",
        spec=model_spec(SIZE, 3),
        preprocessing=PREPROCESSING,
        calibrator=calibrator,
        policy=certified_policy(seen=seen),
        backbone=BackboneInfo(name="mean-colour", licence="CC0-1.0"),
        golden=GoldenSet(
            pictures=tuple(encoded(p) for p in pictures),
            logits=logits,
            probs=calibrator.apply(logits),
            tolerances={"fp32": 0.01},
        ),
        seen=seen,
        metrics={"mcc": {"estimate": 0.9, "low": 0.8, "high": 0.95}},
        card="# Mean colour\n\nOrange is road work.\n",
        lineage=frozenset(Opening(SPLIT, role) for role in (Role.TRAIN, Role.SELECT, Role.CALIB)),
    )
    return dataclasses.replace(parts, **changes)


LIGHT, MIDDLE = (244, 244, 244), (147, 147, 147)
"""Greys: the second stage of `make_cascade` calls the first road work, and defers the second."""


def make_cascade(directory: Path, *, first_alone=False, deadline_ms=60_000.0) -> Path:
    """Write a certified cascade; `first_alone`: so is the path of the first stage, without the second.

    Stage 'small' takes orange for road work and blue for none, and defers greys; 'big', of the same network, says of
    GREY none, of LIGHT road work, and defers MIDDLE.
    """
    bundles = (directory / "small", directory / "big")
    policies = (certified_policy(), certified_policy(t_lo=-0.2, t_hi=0.6))
    for path, policy in zip(bundles, policies, strict=True):
        write_bundle(path, make_parts(directory / "parts" / path.name, name=path.name, policy=policy))
    n, answered = 300, 250 if first_alone else 100
    ids = sample_ids("pictures of the cascade", n)
    codes = [np.where(np.arange(n) < answered, 1, -1), np.ones(n, dtype=np.int8)]
    labels, plain_ones = np.ones(n, dtype=np.int8), np.zeros(n, dtype=bool)
    calib = Scores(
        np.array(ids), labels, plain_ones, np.array(ids), np.zeros(n), np.zeros((n, 0), np.float32)
    )
    paths = certify_cascade(CascadeSettings(), calib, codes, split_sha256="c" * 64, dataset_sha256="d" * 64)
    stages = tuple(
        CascadeStage(name=path.name, digest=open_bundle(path).digest, cost=cost, deadline_ms=deadline_ms)
        for path, cost in zip(bundles, (1.0, 20.0), strict=True)
    )
    made = CascadeParts(
        name="colours",
        created=CREATED,
        package_version="0.1.0",
        stages=stages,
        bundles=bundles,
        reach=count_reach(codes, labels, plain_ones),
        paths=paths,
        calibration_ids=tuple(ids),
    )
    return write_cascade(directory / "cascade", made).path


@pytest.fixture
def parts(tmp_path):
    return make_parts(tmp_path / "parts")


@pytest.fixture
def bundle_path(tmp_path, parts):
    write_bundle(tmp_path / "bundle", parts)
    return tmp_path / "bundle"


@pytest.fixture
def factory():
    """This module: the builders above, for tests in any directory."""
    import types

    return types.SimpleNamespace(**{k: v for k, v in globals().items() if not k.startswith("_")})
