"""ONNX Runtime's own means of ending a run, on a network that loops as often as its picture says."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from workzone.bundle.manifest import model_spec
from workzone.core.errors import InferenceError, ModelUnavailable
from workzone.engine.backend import Terminable, open_backend
from workzone.engine.batcher import Batcher

SIZE = 4
FOR_EVER = 1e12
"""Passes of the loop: days."""


def looping_network(path):
    """logit = how often the loop ran = the largest value of the batch; features = the mean of each channel."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["count", "one"], ["counted"]),
        ],
        "pass",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("count", TensorProto.FLOAT, ["batch"]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("counted", TensorProto.FLOAT, ["batch"]),
        ],
        [numpy_helper.from_array(np.array(1, dtype=np.float32), "one")],
    )
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["features"], keepdims=0),
        helper.make_node("ReduceMax", ["images"], ["largest"], keepdims=0),
        helper.make_node("Cast", ["largest"], ["passes"], to=TensorProto.INT64),
        helper.make_node("ReduceSum", ["features", "last"], ["sum"], keepdims=0),
        helper.make_node("Sub", ["sum", "sum"], ["zero"]),
        helper.make_node("Loop", ["passes", "", "zero"], ["logits"], body=body),
    ]
    graph = helper.make_graph(
        nodes,
        "looping",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch"]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3]),
        ],
        [
            numpy_helper.from_array(np.array([1, 3, 4], dtype=np.int64), "axes"),
            numpy_helper.from_array(np.array([-1], dtype=np.int64), "last"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def images(passes):
    return np.full((1, 1, 3, SIZE, SIZE), passes, dtype=np.float32)


@pytest.fixture
def backend(tmp_path):
    return open_backend(
        "onnxruntime", looping_network(tmp_path / "m.onnx"), model_spec(SIZE, 3), max_batch=2, threads=1
    )


def test_a_run_in_progress_is_ended_and_the_next_one_is_not_affected(backend):
    assert isinstance(backend, Terminable)
    assert backend.run(images(3)).logits == [3.0]
    raised = []

    def run_for_ever():
        with pytest.raises(InferenceError, match="terminate") as error:
            backend.run(images(FOR_EVER))
        raised.append(error.value)

    thread = threading.Thread(target=run_for_ever, daemon=True)
    thread.start()
    while not backend._running:
        time.sleep(0.001)
    backend.terminate()
    thread.join(timeout=60)
    assert len(raised) == 1
    assert not backend._running
    assert backend.run(images(5)).logits == [5.0]


def test_with_nothing_in_progress_there_is_nothing_to_end(backend):
    backend.terminate()
    assert backend.run(images(2)).logits == [2.0]


def test_the_batcher_ends_a_real_run_that_hangs(backend, clock, run_async):
    def run(fitted):
        return backend.run(images(FOR_EVER if fitted[0].any() else 7))

    async def scenario():
        batcher = Batcher(
            run, max_batch=1, queue_size=4, hang_s=5.0, terminate=backend.terminate, clock=clock
        )
        hung = asyncio.create_task(batcher.submit(np.ones((SIZE, SIZE, 3), np.uint8), None))
        while not backend._running:
            await asyncio.to_thread(time.sleep, 0.001)
        clock.advance(5.1)
        with pytest.raises(ModelUnavailable):
            await hung
        logit, _ = await batcher.submit(np.zeros((SIZE, SIZE, 3), np.uint8), None)
        await batcher.aclose()
        assert not batcher.dead
        return logit

    assert run_async(scenario()) == 7.0
