"""The state of a finetuning between two epochs, on disk: everything that the next epoch depends on.

Order and augmentation are functions of (seed, epoch), the rate of the step, and torch's generator is seeded
anew each epoch; so weights, optimiser and curves are all there is. The best weights lie in a file of their
own, written before the state: after a kill between the two, the epoch is run again and writes them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from workzone.storage.atomic import atomic_path
from workzone.training.curves import Curves

STATE_NAME = "state.pt"
BEST_NAME = "best.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class FitState:
    """A finetuning after some whole epochs.

    Attributes:
        curves: One point for each epoch that is done.
        weights: The classifier's, as trained.
        average: The moving average of the weights, or None.
        optimiser: AdamW's state.
    """

    curves: Curves
    weights: Mapping[str, Tensor]
    average: Mapping[str, Tensor] | None
    optimiser: dict[str, Any]


def save_state(directory: Path, state: FitState) -> None:
    """Write the state atomically."""
    value = {
        "curves": state.curves.to_rows(),
        "weights": dict(state.weights),
        "average": None if state.average is None else dict(state.average),
        "optimiser": state.optimiser,
    }
    with atomic_path(directory / STATE_NAME) as temporary:
        torch.save(value, temporary)


def load_state(directory: Path) -> FitState | None:
    """Read the state, tensors and plain values only; None where there is none."""
    path = directory / STATE_NAME
    if not path.is_file():
        return None
    value = torch.load(path, map_location="cpu", weights_only=True)
    return FitState(Curves.from_rows(value["curves"]), value["weights"], value["average"], value["optimiser"])


def save_best(directory: Path, weights: Mapping[str, Tensor]) -> None:
    """Write the best weights atomically."""
    with atomic_path(directory / BEST_NAME) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, temporary)


def load_best(directory: Path) -> dict[str, Tensor]:
    """Read the best weights."""
    weights: dict[str, Tensor] = load_file(directory / BEST_NAME)
    return weights
