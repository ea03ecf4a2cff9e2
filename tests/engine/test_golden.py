"""Golden pictures under a calibrator with steps: the logit may move a little, the calibrator may not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from workzone.bundle.reader import open_bundle
from workzone.core.errors import BundleError
from workzone.engine.backend import open_backend
from workzone.engine.golden import check_golden
from workzone.policy.calibrators import IsotonicCalibrator, VennAbersCalibrator


@pytest.fixture
def bundle(bundle_path):
    return open_bundle(bundle_path)


@pytest.fixture
def backend(bundle):
    return open_backend("onnxruntime", bundle.model_path, bundle.manifest.model, max_batch=4)


def sealed(bundle, backend, calibrator, move):
    """The bundle with this calibrator, its golden logits moved as if sealed on another machine."""
    golden = bundle.golden
    logits = golden.logits + move
    golden = dataclasses.replace(golden, logits=logits, probs=calibrator.apply(logits))
    return dataclasses.replace(bundle, calibrator=calibrator, golden=golden)


def steps(logit):
    """Calibrators that jump at and just above a logit."""
    return [
        VennAbersCalibrator((logit - 1.0, logit + 5e-5), (0.0, 0.8), (0.1, 0.9)),
        IsotonicCalibrator((logit + 4e-5, logit + 5e-5), (0.05, 0.95)),
    ]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("picture", [0, 1])
def test_a_logit_may_cross_a_step_within_its_tolerance(bundle, backend, which, picture):
    calibrator = steps(bundle.golden.logits[picture])[which]
    elsewhere = sealed(bundle, backend, calibrator, 1e-4)
    here = calibrator.apply(bundle.golden.logits[picture])
    assert abs(elsewhere.golden.probs[picture] - here) > 0.1  # the step lies between the machines
    assert check_golden(elsewhere, backend) == pytest.approx(1e-4, rel=0.1)


@pytest.mark.parametrize("which", [0, 1])
def test_another_calibrator_than_the_sealed_one_is_noticed(bundle, backend, which):
    good = sealed(bundle, backend, steps(bundle.golden.logits[0])[which], 1e-4)
    check_golden(good, backend)
    other = steps(bundle.golden.logits[0] + 1e-3)[which]
    with pytest.raises(BundleError, match="its calibrator makes of the sealed logit"):
        check_golden(dataclasses.replace(good, calibrator=other), backend)


@pytest.mark.parametrize(
    ("runtime", "package"), [("onnxruntime-cuda", "ONNX Runtime"), ("openvino-fp32", "OpenVINO")]
)
def test_the_error_names_the_runtime_that_was_used(bundle, backend, runtime, package):
    wrong = sealed(bundle, backend, bundle.calibrator, 0.02)
    with pytest.raises(BundleError, match=f"run with '{runtime}'.*versions of {package}, Pillow"):
        check_golden(wrong, backend, runtime=runtime)


def test_a_moved_logit_is_noticed_and_so_is_a_nan(bundle, backend):
    calibrator = steps(bundle.golden.logits[0])[0]
    with pytest.raises(BundleError, match="golden picture"):
        check_golden(sealed(bundle, backend, calibrator, 0.02), backend)
    broken = dataclasses.replace(bundle, calibrator=_Broken())
    with pytest.raises(BundleError, match="its calibrator makes"):
        check_golden(broken, backend)


class _Broken:
    def apply(self, logits):
        return np.full(np.shape(logits), np.nan)
