"""One contract for every backend that is installed, against NumPy; then what only OpenVINO can get wrong."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from workzone.bundle.manifest import model_spec
from workzone.bundle.writer import write_bundle
from workzone.core.errors import BundleError, ConfigError, InferenceError, MissingExtraError
from workzone.engine.backend import BACKENDS, PRECISIONS, Terminable, check_precision, open_backend
from workzone.engine.predictor import open_predictor

MAX_BATCH = 4
ROUNDING = {"fp32": 2.0**-18, "fp16": 2.0**-8, "bf16": 2.0**-6}
"""Of a logit, in units of the sum of its absolute terms: a few units in the last place of each precision."""
PROVIDERS = {
    "onnxruntime-cuda": "CUDAExecutionProvider",
    "onnxruntime-tensorrt-fp16": "TensorrtExecutionProvider",
}


def skip_unless_installed(name):
    # Not importorskip: that would import OpenVINO with its telemetry.
    if name.startswith("openvino") and find_spec("openvino") is None:
        pytest.skip("OpenVINO is not installed")
    if name in PROVIDERS and PROVIDERS[name] not in onnxruntime.get_available_providers():
        pytest.skip(f"ONNX Runtime has no {PROVIDERS[name]}")


@pytest.fixture(
    params=[pytest.param(n, marks=pytest.mark.gpu if n in PROVIDERS else ()) for n in sorted(BACKENDS)]
)
def name(request):
    skip_unless_installed(request.param)
    return request.param


@pytest.fixture(params=["openvino-fp32", "openvino-bf16"])
def openvino_name(request):
    skip_unless_installed(request.param)
    return request.param


def load(name, path, spec=None, **settings):
    try:
        return open_backend(name, path, spec or model_spec(16, 3), max_batch=MAX_BATCH, **settings)
    except ConfigError as error:
        pytest.skip(str(error))  # a processor without bfloat16, a driver that is missing


def random_images(batch, seed=0, size=16):
    return np.random.default_rng(seed).normal(size=(batch, 1, 3, size, size)).astype(np.float32)


def save_network(path, nodes, constants, size, features):
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, 3, size, size])]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch"]),
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", features]),
    ]
    tensors = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, "small", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


HEAD = [
    helper.make_node("ReduceMean", ["last", "space"], ["features"], keepdims=0),
    helper.make_node("MatMul", ["features", "weights"], ["column"]),
    helper.make_node("Squeeze", ["column", "minus_one"], ["logits"]),
]


def head_constants(weights):
    return {
        "view": np.array([1], dtype=np.int64),
        "space": np.array([2, 3], dtype=np.int64),
        "minus_one": np.array([-1], dtype=np.int64),
        "weights": weights[:, None],
    }


def convolutional_network(path):
    """3 × 3 convolution to 6 channels, ReLU, mean over the picture, linear; and its weights."""
    rng = np.random.default_rng(7)
    kernel, weights = rng.normal(size=(6, 3, 3, 3)), rng.normal(size=6)
    kernel, weights = (kernel / 5).astype(np.float32), weights.astype(np.float32)
    nodes = [
        helper.make_node("Squeeze", ["images", "view"], ["picture"]),
        helper.make_node("Conv", ["picture", "kernel"], ["convolved"]),
        helper.make_node("Relu", ["convolved"], ["last"]),
        *HEAD,
    ]
    save_network(path, nodes, {"kernel": kernel, **head_constants(weights)}, 16, 6)
    return kernel.astype(np.float64), weights.astype(np.float64)


def long_network(path, layers=48, size=128):
    """Convolutions after each other, to be interrupted between two of them."""
    wide = np.zeros((3, 3, 15, 15), dtype=np.float32)
    names = ["picture", *(f"x{i}" for i in range(layers - 1)), "last"]
    convolutions = [
        helper.make_node("Conv", [before, "kernel"], [after], pads=[7] * 4)
        for before, after in pairwise(names)
    ]
    nodes = [helper.make_node("Squeeze", ["images", "view"], ["picture"]), *convolutions, *HEAD]
    constants = {"kernel": wide, **head_constants(np.ones(3, dtype=np.float32))}
    return save_network(path, nodes, constants, size, 3)


def test_mean_colour_is_the_network_by_hand(tmp_path, factory, name):
    images = random_images(3)
    output = load(name, factory.mean_colour_network(tmp_path / "m.onnx")).run(images)
    means = images.astype(np.float64).mean(axis=(1, 3, 4))
    weights = np.array(factory.WEIGHTS)
    allowed = ROUNDING[PRECISIONS[name]] * (np.abs(means) @ np.abs(weights) + abs(factory.BIAS))
    assert (np.abs(output.logits - (means @ weights + factory.BIAS)) <= allowed).all()
    assert (np.abs(output.features - means) <= ROUNDING[PRECISIONS[name]]).all()
    assert output.logits.dtype == output.features.dtype == np.float32


@pytest.mark.parametrize("batch", [1, 2, MAX_BATCH])
def test_a_convolution_is_that_of_numpy_and_of_onnx_runtime(tmp_path, name, batch):
    kernel, weights = convolutional_network(tmp_path / "m.onnx")
    images = random_images(batch, seed=batch)
    output = load(name, tmp_path / "m.onnx", model_spec(16, 6)).run(images)
    windows = np.lib.stride_tricks.sliding_window_view(images[:, 0].astype(np.float64), (3, 3), axis=(2, 3))
    features = np.maximum(np.einsum("bchwij,dcij->bdhw", windows, kernel), 0).mean(axis=(2, 3))
    allowed = ROUNDING[PRECISIONS[name]] * (features @ np.abs(weights))
    assert (np.abs(output.logits - features @ weights) <= allowed).all()
    assert (np.abs(output.features - features) <= ROUNDING[PRECISIONS[name]] * features).all()
    other = load("onnxruntime", tmp_path / "m.onnx", model_spec(16, 6)).run(images)
    assert (np.abs(output.logits - other.logits) <= 2 * allowed).all()


def test_a_picture_has_the_same_answer_alone_and_among_others(tmp_path, name):
    convolutional_network(tmp_path / "m.onnx")
    backend = load(name, tmp_path / "m.onnx", model_spec(16, 6))
    images = random_images(MAX_BATCH)
    together = backend.run(images).logits
    alone = [backend.run(images[i : i + 1]).logits[0] for i in range(MAX_BATCH)]
    if PRECISIONS[name] == "fp32":
        np.testing.assert_allclose(alone, together, rtol=0, atol=1e-5)
    else:
        np.testing.assert_array_equal(alone, together)  # a rounding of bf16 could turn a verdict


def test_an_answer_outlives_the_next_run(tmp_path, factory, name):
    backend = load(name, factory.mean_colour_network(tmp_path / "m.onnx"))
    first = backend.run(random_images(1, seed=1))
    kept = first.logits.copy(), first.features.copy()
    backend.run(random_images(1, seed=2))
    np.testing.assert_array_equal(first.logits, kept[0])
    np.testing.assert_array_equal(first.features, kept[1])


def test_read_only_and_strided_pictures_are_read_as_they_are(tmp_path, factory, name):
    backend = load(name, factory.mean_colour_network(tmp_path / "m.onnx"))
    images = random_images(2)
    reversed_channels = images[:, :, ::-1]
    images.setflags(write=False)
    np.testing.assert_array_equal(backend.run(images).logits, backend.run(images.copy()).logits)
    np.testing.assert_array_equal(
        backend.run(reversed_channels).logits, backend.run(np.ascontiguousarray(reversed_channels)).logits
    )


def test_a_picture_that_is_not_a_number_spoils_no_other(tmp_path, factory, name):
    backend = load(name, factory.mean_colour_network(tmp_path / "m.onnx"))
    images = random_images(3)
    sound = backend.run(images).logits
    images[1, 0, 0, 3, 3] = np.nan
    logits = backend.run(images).logits
    assert np.isnan(logits[1])
    np.testing.assert_array_equal(logits[[0, 2]], sound[[0, 2]])


@pytest.mark.parametrize(
    "shape", [(5, 1, 3, 16, 16), (0, 1, 3, 16, 16), (2, 2, 3, 16, 16), (2, 3, 16, 16), (2, 1, 3, 16, 17)]
)
def test_only_what_the_network_reads_is_given_to_it(tmp_path, factory, name, shape):
    backend = load(name, factory.mean_colour_network(tmp_path / "m.onnx"))
    with pytest.raises(InferenceError, match=r"float32 \[1 to 4, 1, 3, 16, 16\]"):
        backend.run(np.zeros(shape, dtype=np.float32))
    with pytest.raises(InferenceError, match="float64"):
        backend.run(np.zeros((1, 1, 3, 16, 16)))


@pytest.mark.parametrize(
    ("network", "spec"),
    [
        ({"size": 32}, model_spec(16, 3)),
        ({"size": "side"}, model_spec(16, 3)),
        ({}, model_spec(16, 4)),
        ({}, model_spec(16, 3, views=2)),
        ({"batch": 4}, model_spec(16, 3)),
    ],
)
def test_a_model_of_another_shape_is_refused(tmp_path, factory, name, network, spec):
    path = factory.mean_colour_network(tmp_path / "m.onnx", **network)
    with pytest.raises(BundleError, match=r"m\.onnx.*expected"):
        load(name, path, spec)


def test_other_names_are_refused(tmp_path, factory, name):
    model = onnx.load(factory.mean_colour_network(tmp_path / "m.onnx"))
    model.graph.output[0].name = model.graph.node[-1].output[0] = "scores"
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(BundleError, match="scores"):
        load(name, tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [None, b"", b"not a model", b"\x08\x0a" * 50])
def test_what_is_no_model_is_refused(tmp_path, name, content, capfd):
    if content is not None:
        (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"m\.onnx"):
        load(name, tmp_path / "m.onnx")
    assert capfd.readouterr().err == ""


def test_a_file_that_was_cut_off_is_refused(tmp_path, factory, name):
    path = factory.mean_colour_network(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BundleError, match=r"m\.onnx"):
        load(name, path)


def test_threads_do_not_mix_their_answers(tmp_path, factory, name):
    backend = load(name, factory.mean_colour_network(tmp_path / "m.onnx"), threads=1)
    inputs = [random_images(1 + i % MAX_BATCH, seed=i) for i in range(40)]
    expected = [backend.run(images).logits for images in inputs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda images: backend.run(images).logits, inputs))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_run_is_ended_on_demand_and_the_next_one_is_whole(tmp_path, name):
    backend = load(name, long_network(tmp_path / "m.onnx"), model_spec(128, 3), threads=1)
    assert isinstance(backend, Terminable)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(backend.run, random_images(MAX_BATCH, size=128))
        while not run.done():
            backend.terminate()
        with pytest.raises(InferenceError, match=f"on {MAX_BATCH} pictures"):
            run.result()
    backend.terminate()  # nothing runs: the next is not affected
    assert backend.run(random_images(1, size=128)).logits == 0


def test_openvino_computes_in_the_precision_that_its_name_says(tmp_path, factory, openvino_name):
    backend = load(openvino_name, factory.mean_colour_network(tmp_path / "m.onnx"), threads=1)
    exact = load("onnxruntime", factory.mean_colour_network(tmp_path / "m.onnx"))
    images = random_images(MAX_BATCH)
    off = np.abs(backend.run(images).logits - exact.run(images).logits).max()
    assert (off < 1e-5) == (openvino_name == "openvino-fp32")


@pytest.mark.parametrize("threads", [1, 2])
def test_openvino_takes_the_threads_it_is_given(tmp_path, factory, openvino_name, threads):
    backend = load(openvino_name, factory.mean_colour_network(tmp_path / "m.onnx"), threads=threads)
    for request in (backend._single, backend._several):
        compiled = request.get_compiled_model()
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
        assert compiled.get_property("NUM_STREAMS") == 1
        assert compiled.get_property("ENABLE_CPU_PINNING") is False


def test_a_missing_openvino_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'workzone\[openvino\]'"):
        open_backend("openvino-fp32", tmp_path / "m.onnx", model_spec(16, 3), max_batch=1)


class AlternateStack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


@pytest.mark.skipif(sys.platform != "linux", reason="the layout is Linux's")
def test_no_signal_stack_is_left_behind_that_is_freed_later(tmp_path, factory, openvino_name):
    # OpenVINO frees it with its plugin, and the next signal that Python handles here would end the process
    def stack_start():
        found = AlternateStack()
        assert ctypes.CDLL(None, use_errno=True).sigaltstack(None, ctypes.byref(found)) == 0
        return found.start

    before = stack_start()
    backend = load(openvino_name, factory.mean_colour_network(tmp_path / "m.onnx"))
    assert stack_start() == before
    backend.run(random_images(1))
    assert stack_start() == before


LISTENER = """
import sys
from pathlib import Path
calls = []
sys.addaudithook(lambda event, arguments: calls.append(event) if event.startswith("socket.") else None)
from workzone.bundle.manifest import model_spec
from workzone.engine.backend import open_backend
open_backend("openvino-fp32", Path(sys.argv[1]), model_spec(16, 3), max_batch=1)
print(calls, "openvino_telemetry" in sys.modules)
"""


def test_openvino_reports_to_nobody(tmp_path, factory):
    skip_unless_installed("openvino-fp32")
    path = factory.mean_colour_network(tmp_path / "m.onnx")
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LISTENER, str(path)],
        env=os.environ | {"HOME": str(home)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[] False"
    assert list(home.iterdir()) == []


def test_every_backend_says_its_precision():
    assert set(PRECISIONS) == set(BACKENDS)


def test_a_bundle_is_answered_in_its_own_precision_only(tmp_path, factory, openvino_name):
    write_bundle(tmp_path / "bundle", factory.make_parts(tmp_path / "parts"))
    if openvino_name == "openvino-bf16":
        with pytest.raises(ConfigError, match=r"in bf16.*certified in fp32.*'onnxruntime'.*'openvino-fp32'"):
            open_predictor(tmp_path / "bundle", backend=openvino_name)
        return
    picture = factory.plain(factory.ORANGE)
    answers = [
        dataclasses.replace(open_predictor(tmp_path / "bundle", backend=b).predict(picture), latency_ms=0.0)
        for b in ("onnxruntime", openvino_name)
    ]
    assert answers[0].verdict is answers[1].verdict
    assert answers[0].logit == pytest.approx(answers[1].logit, abs=1e-5)


def test_an_unknown_precision_or_backend_is_refused():
    with pytest.raises(ConfigError, match="For int4 there is: none"):
        check_precision("onnxruntime", "int4")
    with pytest.raises(ConfigError, match="Did you mean 'onnxruntime'"):
        check_precision("onnxruntme", "fp32")
