"""Labels without meaning cannot be predicted in other groups; a split that cuts groups says they can.

Labels are permuted across groups *before* splitting, a model learns them by heart, and its MCC on unseen
groups must lie where permuting those labels again would put it. The same test with a deliberate split by
frame must fail, else it could not have found the fault.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import matthews_corrcoef

from workzone.core.types import Label, Role
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.grants import Grant
from workzone.data.schema import NewSample
from workzone.data.split import Fractions, make_split
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.checkpoint import load_checkpoint
from workzone.training.settings import TrainSettings
from workzone.training.train import train

GROUPS, FRAMES, SIDE = 80, 4, 32


@dataclass(frozen=True)
class HeldOut:
    mcc: float
    low: float
    high: float
    train_mcc: float


def sequences(root: Path, *, cut_groups: bool) -> DataSet:
    """Places as coloured blocks, near-identical frames of each, labels dealt to places at random."""
    rng = np.random.default_rng(5)
    labels = rng.permutation(np.arange(GROUPS) % 2)
    samples = []
    for place in range(GROUPS):
        blocks = rng.integers(30, 226, (4, 4, 3)).repeat(SIDE // 4, axis=0).repeat(SIDE // 4, axis=1)
        for frame in range(FRAMES):
            pixels = np.clip(blocks + rng.normal(0, 2, blocks.shape), 0, 255).astype(np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, format="PNG")
            group = f"place{place}" if not cut_groups else f"place{place}-frame{frame}"
            samples.append(NewSample(buffer.getvalue(), Label(int(labels[place])), SIDE, SIDE, group=group))
    return write_dataset(root, samples, name="permuted")


def held_out(root: Path, *, cut_groups: bool, observer: Any) -> HeldOut:
    dataset = sequences(root / "data", cut_groups=cut_groups)
    split = make_split(dataset, Fractions(train=0.6, select=0.05, calib=0.05, test=0.3), seed=0)
    grant = Grant("leakage", frozenset({Role.TRAIN, Role.SELECT, Role.TEST}), dataset, root / "ledger.jsonl")
    parts = {role: grant.open(split, role) for role in (Role.TRAIN, Role.SELECT, Role.TEST)}
    preprocessing = Preprocessing(size_px=SIDE, mean=(127.5,) * 3, scale=(1 / 64,) * 3)
    by_heart = TrainSettings(method="probe", metric="nll", probe_penalties=(100.0,))
    train(parts[Role.TRAIN], parts[Role.SELECT], by_heart, preprocessing, root / "w", root / "o", observer)
    classifier, _ = load_checkpoint(root / "o")

    def answers(role: Role) -> Any:
        with torch.inference_mode():
            return classifier(torch.from_numpy(preprocessing.prepare(parts[role].paths)))[0].numpy() > 0

    test = answers(Role.TEST)
    return HeldOut(
        float(matthews_corrcoef(parts[Role.TEST].labels, test)),
        *permutation_interval(parts[Role.TEST].labels, parts[Role.TEST].groups, test),
        float(matthews_corrcoef(parts[Role.TRAIN].labels, answers(Role.TRAIN))),
    )


def permutation_interval(labels: Any, groups: Any, answers: Any) -> tuple[float, float]:
    """Where 99.8 % of MCCs lie when the labels are dealt to the groups anew."""
    rng = np.random.default_rng(0)
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    of_group = labels[first]
    values = [matthews_corrcoef(rng.permutation(of_group)[member], answers) for _ in range(1000)]
    low, high = np.quantile(values, [0.001, 0.999])
    return float(low), float(high)


@pytest.mark.filterwarnings("ignore:.*single label.*")
def test_nothing_crosses_from_train_to_test(tmp_path: Path, recorder: Any) -> None:
    found = held_out(tmp_path, cut_groups=False, observer=recorder)
    assert found.train_mcc == 1.0, "it must have learned by heart, else the test shows nothing"
    assert found.low <= found.mcc <= found.high


def test_a_split_by_frame_is_found_out(tmp_path: Path, recorder: Any) -> None:
    found = held_out(tmp_path, cut_groups=True, observer=recorder)
    assert found.train_mcc == 1.0
    assert not found.low <= found.mcc <= found.high
    assert found.mcc > 0.9 > found.high
