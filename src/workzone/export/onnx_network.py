"""A classifier whose backbone is a foreign ONNX network: backbone and head composed into one graph.

Knows how such a network is fed (`OnnxLayout`); the operators used here mean the same in every opset from 13
on. A network with a fixed batch is first tried with the batch set free, which works unless it reshapes by
constants; the parity gate finds out. Otherwise it runs picture by picture inside a Scan, which always works.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from workzone.bundle.manifest import ModelSpec
from workzone.core.errors import ArtifactError
from workzone.models.onnx_extractor import OnnxLayout

_PREFIX = "backbone/"
_ONNX_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "float64": TensorProto.DOUBLE}
_MIN_OPSET, _MIN_IR = 13, 8


class Batching(StrEnum):
    """How several pictures go through the backbone."""

    FREE = "free"
    """At once, the batch declared as varying."""
    ONE_BY_ONE = "one_by_one"
    """In turn, for a network that only takes a batch of 1."""


def compose_onnx(
    path: Path,
    layout: OnnxLayout,
    head_weight: NDArray[np.float32],
    head_bias: NDArray[np.float32],
    spec: ModelSpec,
    batching: Batching,
) -> onnx.ModelProto:
    """Return images [batch, 1, 3, H, W] → cast → backbone → cast, pool → features → linear → logits.

    Args:
        path: The backbone's file.
        layout: How it is fed and read.
        head_weight: float32 [1, D].
        head_bias: float32 [1].
        spec: The layout of the result.
        batching: How several pictures go through it.

    Raises:
        ArtifactError: The file cannot be read, or it takes pictures only in batches of another fixed size.
    """
    backbone = _loaded(path)
    if batching is Batching.ONE_BY_ONE and layout.batch != 1:
        raise ArtifactError(
            f"'{path.name}' takes pictures only {layout.batch} at once; a frozen model needs a backbone that "
            "takes one or any number. Export it with a varying batch."
        )
    size, dim = spec.size_px, layout.feature_dim
    constants = [
        numpy_helper.from_array(np.array([-1, 3, size, size], np.int64), "pictures_shape"),
        numpy_helper.from_array(np.array([-1], np.int64), "logits_shape"),
        numpy_helper.from_array(np.array([-1, dim], np.int64), "features_shape"),
        numpy_helper.from_array(np.ascontiguousarray(head_weight.T, np.float32), "head_weight"),
        numpy_helper.from_array(np.asarray(head_bias, np.float32), "head_bias"),
    ]
    if batching is Batching.FREE:
        body = _run_backbone(backbone, layout, "pictures", "pooled")
        constants += backbone.graph.initializer
    else:
        body = _scan(backbone, layout, size)
    nodes = [
        helper.make_node("Reshape", ["images", "pictures_shape"], ["pictures"]),
        *body,
        helper.make_node("Reshape", ["pooled", "features_shape"], ["features"]),
        helper.make_node("Gemm", ["features", "head_weight", "head_bias"], ["column"]),
        helper.make_node("Reshape", ["column", "logits_shape"], ["logits"]),
    ]
    tensors = [
        helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, list(tensor.shape))
        for tensor in (spec.input, *spec.outputs)
    ]
    graph = helper.make_graph(nodes, "classifier", tensors[:1], tensors[1:], constants)
    return helper.make_model(
        graph,
        opset_imports=backbone.opset_import,
        ir_version=max(backbone.ir_version, _MIN_IR),
        functions=backbone.functions,
    )


def _loaded(path: Path) -> onnx.ModelProto:
    """The backbone with all its names out of the way, in an opset that the operators here are sure of."""
    try:
        model = onnx.load(path, load_external_data=False)
        version = next((o.version for o in model.opset_import if o.domain in {"", "ai.onnx"}), 0)
        if version < _MIN_OPSET:
            model = onnx.version_converter.convert_version(model, _MIN_OPSET)
        return compose.add_prefix(model, _PREFIX, rename_functions=False)
    except (OSError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ArtifactError(f"'{path.name}' cannot be composed with its head: {reason}") from error


def _run_backbone(
    backbone: onnx.ModelProto, layout: OnnxLayout, pictures: str, pooled: str
) -> list[onnx.NodeProto]:
    """Nodes from float32 pictures [B, 3, H, W] to float32 pooled features [B, D, 1...]."""
    read, given = _PREFIX + layout.input_name, _PREFIX + layout.output_name
    before = helper.make_node("Cast", ["fed"], [read], to=_ONNX_TYPES[layout.dtype])
    order = [0, 2, 3, 1] if layout.channels_last else [0, 1, 2, 3]
    after = [helper.make_node("Cast", [given], ["given"], to=TensorProto.FLOAT)]
    if layout.output_rank == 2:
        after.append(helper.make_node("Identity", ["given"], [pooled]))
    else:
        channels_second = _channels_second(layout)
        after += [
            helper.make_node("Transpose", ["given"], ["map"], perm=channels_second),
            helper.make_node("GlobalAveragePool", ["map"], [pooled]),
        ]
    return [
        helper.make_node("Transpose", [pictures], ["fed"], perm=order),
        before,
        *backbone.graph.node,
        *after,
    ]


def _channels_second(layout: OnnxLayout) -> list[int]:
    """The order of axes that brings channels to where pooling expects them."""
    if layout.output_rank == 3:
        return [0, 2, 1]
    return [0, 3, 1, 2] if layout.channels_last else [0, 1, 2, 3]


def _scan(backbone: onnx.ModelProto, layout: OnnxLayout, size: int) -> list[onnx.NodeProto]:
    """A loop over the pictures with the backbone as its body; its weights belong to the body."""
    shapes = [
        numpy_helper.from_array(np.array([1, 3, size, size], np.int64), "one_shape"),
        numpy_helper.from_array(np.array([layout.feature_dim], np.int64), "one_features_shape"),
    ]
    nodes = [
        helper.make_node("Reshape", ["picture", "one_shape"], ["one"]),
        *_run_backbone(backbone, layout, "one", "one_pooled"),
        helper.make_node("Reshape", ["one_pooled", "one_features_shape"], ["one_features"]),
    ]
    body = helper.make_graph(
        nodes,
        "one_picture",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [3, size, size])],
        [helper.make_tensor_value_info("one_features", TensorProto.FLOAT, [layout.feature_dim])],
        [*shapes, *backbone.graph.initializer],
    )
    return [helper.make_node("Scan", ["pictures"], ["pooled"], body=body, num_scan_inputs=1)]
