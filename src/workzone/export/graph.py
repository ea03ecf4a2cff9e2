"""ONNX graphs made canonical: the same network gives the same bytes, and no machine shows through.

Exporters leave stack traces with the paths of whoever exported, module names and symbolic sizes in the file.
None of it is needed to run the network. Knows graphs, not where they come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
from onnx import TensorProto, helper

from workzone.bundle.manifest import ModelSpec, TensorSpec
from workzone.core.errors import ArtifactError

PRODUCER = "workzone"


def canonical_bytes(model: onnx.ModelProto, spec: ModelSpec) -> bytes:
    """Return the bytes of the network without anything that does not compute.

    Inputs and outputs are declared as `spec` says, whatever the exporter called their varying sizes.

    Raises:
        ArtifactError: The network is not valid ONNX, or is too large for one file.
    """
    clean = onnx.ModelProto()
    clean.CopyFrom(model)
    del clean.metadata_props[:]
    clean.doc_string = ""
    clean.domain = ""
    clean.model_version = 0
    clean.producer_name, clean.producer_version = PRODUCER, ""
    for graph in _graphs(clean.graph):
        _strip(graph)
    for function in clean.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        del function.value_info[:]
        for node in function.node:
            _strip_node(node)
    clean.graph.name = PRODUCER
    _declare(clean.graph.input, [spec.input])
    _declare(clean.graph.output, list(spec.outputs))
    try:
        onnx.checker.check_model(clean, full_check=True)
        content: bytes = clean.SerializeToString(deterministic=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ArtifactError(f"The exported network is not a valid ONNX file: {reason}") from error
    return content


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)


def _strip(graph: onnx.GraphProto) -> None:
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for node in graph.node:
        _strip_node(node)
    for tensor in graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    for value in [*graph.input, *graph.output]:
        value.doc_string = ""
        del value.metadata_props[:]


def _strip_node(node: onnx.NodeProto) -> None:
    node.doc_string = ""
    node.name = ""
    del node.metadata_props[:]
    for attribute in node.attribute:
        attribute.doc_string = ""


def _declare(values: Any, tensors: list[TensorSpec]) -> None:
    """Give inputs or outputs the declared type and shape; they must already have the names, in order."""
    names = [value.name for value in values]
    if names != [tensor.name for tensor in tensors]:
        expected = ", ".join(tensor.name for tensor in tensors)
        raise ArtifactError(f"The exported network has {', '.join(names)} where {expected} are expected.")
    for value, tensor in zip(values, tensors, strict=True):
        value.CopyFrom(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, list(tensor.shape)))
