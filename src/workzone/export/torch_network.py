"""A torch classifier as an ONNX graph, through torch's own exporter.

Knows the classifier's interface, pixels [B, 3, H, W] → (logits [B], features [B, D]), not what is inside.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import Tensor, nn

from workzone.bundle.manifest import ModelSpec
from workzone.core.errors import ArtifactError

OPSET = 20
_MAX_BATCH = 4096


class _OneView(nn.Module):
    """Reads [B, 1, 3, H, W]: the layout of all frozen networks, with one view."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, features = self.classifier(images[:, 0])
        return logits, features


def export_torch(classifier: nn.Module, spec: ModelSpec) -> onnx.ModelProto:
    """Return the network as an ONNX graph with a batch of any size.

    Raises:
        ArtifactError: The exporter cannot follow the network.
    """
    size = spec.size_px
    # Not a batch of 1: the exporter would take it for a constant.
    example = torch.zeros(2, spec.views, 3, size, size)
    try:
        with warnings.catch_warnings(), _quiet_registry():
            # They speak of torch's own code.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _OneView(classifier).eval(),
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[spec.input.name],
                output_names=[output.name for output in spec.outputs],
                dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1, max=_MAX_BATCH)}},
                external_data=False,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, torch._dynamo.exc.UserError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:500]
        raise ArtifactError(f"torch cannot export the classifier to ONNX: {reason}") from error
    if program is None:  # pragma: no cover - only with other arguments
        raise ArtifactError("torch gave no ONNX program for the classifier.")
    model: onnx.ModelProto = program.model_proto
    return model


@contextmanager
def _quiet_registry() -> Iterator[None]:
    """Keep the exporter from telling everybody that torchvision is not installed, which is not needed."""
    registry = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registry.level
    registry.setLevel(logging.ERROR)
    try:
        yield
    finally:
        registry.setLevel(level)
