"""A runtime of its own precision gets predictions, calibrator, certificate and bundle of its own."""

from __future__ import annotations

import importlib.util

import pytest

from workzone.core.errors import ConfigError, MissingExtraError
from workzone.phases.build import check_extras
from workzone.phases.calibrate import calibrate_phase
from workzone.phases.freeze import freeze_phase
from workzone.phases.policy import policy_phase
from workzone.phases.predict import PREDICTED, predict_phase
from workzone.phases.recipe import CalibrateSection, FreezeSection, PolicySection, load_recipe
from workzone.phases.runtimes import runtimes_phase
from workzone.phases.variants import variant_phases

BF16 = "openvino-bf16"


def test_nothing_of_a_variant_comes_from_another_precision_but_the_network():
    behind = [*(predict_phase(role) for role in PREDICTED), calibrate_phase(CalibrateSection()),
              policy_phase(PolicySection())]  # fmt: skip
    phases = {phase.name: phase for phase in variant_phases(BF16, FreezeSection(), behind)}
    assert phases[f"freeze@{BF16}"].inputs == ("split", "model")  # float32: the ancestor
    assert phases[f"predict-calib@{BF16}"].inputs == ("split", f"model@{BF16}")
    assert phases[f"calibrate@{BF16}"].inputs == (f"predictions-calib@{BF16}",)
    assert phases[f"policy@{BF16}"].inputs == (
        "split",
        f"predictions-select@{BF16}",
        f"predictions-calib@{BF16}",
    )
    for phase in phases.values():
        assert phase.output.endswith(f"@{BF16}")
        assert all(
            name.endswith(f"@{BF16}") or name == "split" for name in phase.inputs
        ) or phase.name.startswith("freeze")


def test_each_precision_has_its_tolerance():
    section = FreezeSection(tolerance=1e-3, reduced_tolerance=0.2)
    assert [section.tolerance_of(precision) for precision in ("fp32", "bf16", "fp16")] == [1e-3, 0.2, 0.2]
    assert variant_phases(BF16, section, [])[0].config["tolerance"] == 0.2
    assert variant_phases("openvino-fp32", section, [])[0].config["tolerance"] == 1e-3


def test_what_a_variant_is_asked_for_does_not_freeze_the_model_again():
    plain, more = FreezeSection(), FreezeSection(variants=(BF16,), reduced_tolerance=0.3)
    assert freeze_phase(plain).config_sha256() == freeze_phase(more).config_sha256()
    assert (
        freeze_phase(plain).config_sha256()
        != freeze_phase(FreezeSection(backend="openvino-fp32")).config_sha256()
    )


def test_a_measurement_is_of_select_and_nothing_reads_it():
    phase = runtimes_phase()
    assert {str(role) for role in phase.roles} == {"select"}
    assert phase.inputs == ("split", "model")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("freeze.backend=openvino-fp23", "Did you mean 'openvino-fp32'"),
        ("freeze.backend=openvino-bf16", "freeze.variants="),
        ("freeze.variants=[openvino-bf16,openvino-bf16]", "twice"),
        ("freeze.variants=[onnxruntime]", "twice"),
        ("freeze.variants=[onnx]", "no runtime 'onnx'"),
    ],
)
def test_a_runtime_that_is_none_or_of_another_precision_is_refused(setting, said):
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        load_recipe("tiny", [setting])


def test_a_missing_runtime_is_said_before_the_training(monkeypatch):
    found = importlib.util.find_spec

    def without(name, *rest):
        return None if name == "openvino" else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    check_extras(["train", "freeze", "predict-test@openvino-bf16"])
    with pytest.raises(MissingExtraError, match=r"workzone\[openvino\]"):
        check_extras(["train", "freeze", f"freeze@{BF16}"])
