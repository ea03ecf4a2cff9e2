"""Measuring runtimes: on clocks that are known, and on the runtimes that are installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from workzone.bundle.manifest import model_spec
from workzone.core.errors import ConfigError, MissingExtraError
from workzone.engine import backend as backends
from workzone.engine import candidates as module
from workzone.engine.backend import BACKENDS, PRECISIONS, BackendOutput
from workzone.engine.candidates import Candidate, fastest, measure_candidates
from workzone.imaging.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(size_px=16, mean=(0, 0, 0), scale=(1, 1, 1), max_batch=4)
PIXELS = np.random.default_rng(0).normal(size=(6, 3, 16, 16)).astype(np.float32)


class Known:
    """Takes a known time for a call and a picture, and is off by a known amount."""

    def __init__(self, clock, call_s, picture_s, off):
        self.clock, self.call_s, self.picture_s, self.off = clock, call_s, picture_s, off
        self.runs = 0

    def run(self, images):
        self.runs += 1
        self.clock.advance(self.call_s + self.picture_s * len(images) + (5.0 if self.runs == 1 else 0.0))
        return BackendOutput(
            images[:, 0, 0, 0, 0] + np.float32(self.off), np.zeros((len(images), 3), np.float32)
        )


@pytest.fixture
def opened(monkeypatch, clock):
    """Runtimes by name, instead of the real ones."""
    table = {
        "onnxruntime": Known(clock, 0.0, 0.010, 0.0),
        "openvino-fp32": Known(clock, 0.004, 0.004, -1e-6),
        "openvino-bf16": Known(clock, 0.0, 0.002, 0.03),
    }
    errors = {"onnxruntime-cuda": ConfigError("no such processor"), "x": MissingExtraError("x", "x")}

    def open_backend(name, model, spec, *, max_batch, threads):
        if name in errors:
            raise errors[name]
        return table[name]

    monkeypatch.setattr(module, "open_backend", open_backend)
    monkeypatch.setattr(module, "PRECISIONS", {**PRECISIONS, "x": "fp32"})
    return table


def measured(clock, names, **settings):
    return measure_candidates("m.onnx", None, PREPROCESSING, PIXELS, reference="onnxruntime", names=names,
                              clock=clock, **settings)  # fmt: skip


def test_times_and_differences_are_those_of_the_runtimes(opened, clock):
    found = {c.name: c for c in measured(clock, ["onnxruntime", "openvino-fp32", "openvino-bf16"])}
    assert [found[name].alone_ms for name in found] == pytest.approx([10, 8, 2])
    assert [found[name].batched_ms for name in found] == pytest.approx([10, 5, 2])
    assert {c.batch for c in found.values()} == {4}
    assert found["onnxruntime"].max_abs_logit == 0
    assert found["openvino-bf16"].max_abs_logit == pytest.approx(0.03, rel=1e-3)
    assert found["openvino-bf16"].mean_abs_logit == pytest.approx(0.03, rel=1e-3)
    assert {c.precision for c in found.values()} == {"fp32", "bf16"}


def test_what_does_not_run_here_says_why_and_spoils_nothing(opened, clock):
    found = {c.name: c for c in measured(clock, ["onnxruntime-cuda", "x", "onnxruntime"])}
    assert found["onnxruntime-cuda"].unavailable == "no such processor"
    assert found["x"].alone_ms is None
    assert found["onnxruntime"].alone_ms == pytest.approx(10)


def test_without_the_reference_there_is_nothing_to_compare_with(opened, clock, monkeypatch):
    def broken(*_, **__):
        raise ConfigError("broken")

    monkeypatch.setattr(module, "open_backend", broken)
    with pytest.raises(ConfigError, match="broken"):
        measured(clock, ["onnxruntime"])


def candidate(name, alone_ms, precision="fp32"):
    return Candidate(name, precision, alone_ms=alone_ms, unavailable=None if alone_ms else "missing")


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([candidate("b", 9.2)], "a"),  # 8 %: as good as the same
        ([candidate("b", 8.9)], "b"),
        ([candidate("b", 8.9), candidate("c", 5.0)], "c"),
        ([candidate("b", 1.0, "bf16")], "a"),  # another precision has another certificate
        ([candidate("b", None)], "a"),
    ],
)
def test_a_runtime_replaces_another_only_where_it_is_clearly_faster(others, expected):
    assert fastest([candidate("a", 10.0), *others], "a").name == expected


def test_the_real_runtimes_are_measured(tmp_path, factory):
    found = measure_candidates(
        factory.mean_colour_network(tmp_path / "m.onnx"), model_spec(16, 3), PREPROCESSING, PIXELS,
        reference="onnxruntime", threads=1, rounds=2,
    )  # fmt: skip
    assert {c.name for c in found} == set(BACKENDS)
    for one in found:
        installed = one.name == "onnxruntime" or (one.name.startswith("openvino") and find_spec("openvino"))
        if installed:
            assert one.alone_ms > 0
            assert one.batched_ms > 0
            assert one.max_abs_logit < (1e-4 if one.precision == "fp32" else 0.1)
        elif one.unavailable is None:  # a machine with a GPU
            assert one.name in backends.BACKENDS
