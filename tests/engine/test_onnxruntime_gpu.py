"""The GPU's backends never answer from the processor; a stand-in takes the place of the session."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from workzone.bundle.manifest import model_spec
from workzone.core.errors import BundleError, ConfigError
from workzone.engine.backend import open_backend

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
NEEDS = {"onnxruntime-cuda": [CUDA], "onnxruntime-tensorrt-fp16": [TENSORRT, CUDA]}
Session = onnxruntime.InferenceSession


class StandIn(Session):
    """A session of the processor that says it runs on what was asked for."""

    started: list[str] | None = None

    def __init__(self, path, options, providers, **settings):
        super().__init__(path, options, providers=[CPU])
        self.asked, self.settings = providers, settings

    def get_providers(self):
        return [name for name, _ in self.asked] + [CPU] if self.started is None else self.started


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "InferenceSession", StandIn)


def load(name, path):
    return open_backend(name, path, model_spec(16, 3), max_batch=4)


@pytest.mark.parametrize("name", NEEDS)
@pytest.mark.parametrize("there", [[CPU], ["AzureExecutionProvider", CPU]])
def test_a_provider_that_is_not_there_is_refused_with_what_is(tmp_path, factory, monkeypatch, name, there):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    with pytest.raises(ConfigError, match=f"'{name}' needs .*{NEEDS[name][0]}.* has {', '.join(there)}"):
        load(name, factory.mean_colour_network(tmp_path / "m.onnx"))


@pytest.mark.parametrize(("name", "started"), [(n, s) for n in NEEDS for s in ([CPU], [TENSORRT, CPU])])
def test_a_provider_that_does_not_start_is_refused(tmp_path, factory, monkeypatch, gpu, name, started):
    monkeypatch.setattr(StandIn, "started", started)
    with pytest.raises(ConfigError, match=f"started only {', '.join(started)}"):
        load(name, factory.mean_colour_network(tmp_path / "m.onnx"))


@pytest.mark.parametrize("name", NEEDS)
def test_what_is_asked_of_the_gpu(tmp_path, factory, gpu, name):
    backend = load(name, factory.mean_colour_network(tmp_path / "m.onnx"))
    session = backend._session
    asked = dict(session.asked)
    assert list(asked) == NEEDS[name]
    assert asked[CUDA]["use_tf32"] == "0"
    assert session.settings == {"enable_fallback": 0}
    assert session._enable_fallback is False
    if TENSORRT in asked:
        assert asked[TENSORRT]["trt_fp16_enable"] == "1"
        assert asked[TENSORRT]["trt_profile_min_shapes"] == "images:1x1x3x16x16"
        assert asked[TENSORRT]["trt_profile_max_shapes"] == "images:4x1x3x16x16"
    assert np.isfinite(backend.run(np.zeros((2, 1, 3, 16, 16), dtype=np.float32)).logits).all()


@pytest.mark.parametrize("name", NEEDS)
def test_the_file_is_checked_as_everywhere(tmp_path, factory, gpu, name):
    with pytest.raises(BundleError, match=r"m\.onnx.*expected"):
        load(name, factory.mean_colour_network(tmp_path / "m.onnx", size=32))
