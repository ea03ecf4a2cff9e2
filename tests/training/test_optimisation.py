"""Schedule, groups and loss against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from workzone.models.backbones import build_backbone
from workzone.models.classifier import RoadWorkClassifier
from workzone.training.optimisation import cosine_rate, parameter_groups, positive_weight, road_work_loss
from workzone.training.settings import Imbalance


def test_the_schedule_rises_to_the_peak_and_falls_along_a_cosine() -> None:
    rates = [cosine_rate(step, 110, 10 / 110, 0.1) for step in range(110)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10] == 1.0
    assert rates[-1] == pytest.approx(0.1)
    for step in range(10, 110):
        expected = 0.1 + 0.45 * (1 + math.cos(math.pi * (step - 10) / 99))
        assert rates[step] == pytest.approx(expected)


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_trainings_have_a_schedule_too(total: int) -> None:
    assert all(0 < cosine_rate(step, total, 0.1, 0.01) <= 1 for step in range(total))


def test_torch_agrees_on_the_cosine() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=49, eta_min=0.02)
    for step in range(50):
        assert cosine_rate(step, 50, 0.0, 0.02) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()


def test_norms_biases_and_scales_are_not_decayed() -> None:
    classifier = RoadWorkClassifier(build_backbone("embedded/convnext"))
    names = {id(p): name for name, p in classifier.named_parameters()}
    groups = parameter_groups(classifier, 1e-3, 0.1, 0.05)
    rates = {}
    for group in groups:
        for parameter in group["params"]:
            name = names.pop(id(parameter))
            assert group["weight_decay"] == (0.05 if parameter.ndim >= 2 else 0.0), name
            if name.endswith("bias") or "norm" in name or "gamma" in name:
                assert group["weight_decay"] == 0.0, name
            rates[name.split(".")[0]] = group["lr"]
    assert not names, "every parameter is in a group"
    assert rates == {"head": 1e-3, "backbone": pytest.approx(1e-4)}


def test_positives_weigh_as_much_as_negatives() -> None:
    labels = np.array([1] * 10 + [0] * 30, np.int8)
    assert positive_weight(labels, Imbalance.POS_WEIGHT) == 3.0
    assert positive_weight(labels, Imbalance.NONE) == positive_weight(labels, Imbalance.BALANCED) == 1.0
    # At logits 0 the gradients of both classes cancel: the weighted prior is one half.
    logits = torch.zeros(40, requires_grad=True)
    road_work_loss(logits, torch.from_numpy(labels).float(), 3.0, 0.0).backward()
    assert float(logits.grad.sum()) == pytest.approx(0.0, abs=1e-7)  # type: ignore[union-attr]


def test_the_loss_is_the_cross_entropy_of_the_formula() -> None:
    logits, targets = torch.tensor([1.5, -0.5, 0.2]), torch.tensor([1.0, 0.0, 1.0])
    p, y = 1 / (1 + np.exp(-logits.numpy())), targets.numpy()
    for weight, smoothing in ((1.0, 0.0), (2.5, 0.0), (1.0, 0.1)):
        soft = y * (1 - smoothing) + smoothing / 2
        expected = -(weight * soft * np.log(p) + (1 - soft) * np.log(1 - p)).mean()
        assert float(road_work_loss(logits, targets, weight, smoothing)) == pytest.approx(expected, rel=1e-5)


def test_smoothed_targets_leave_the_entropy_that_theory_gives() -> None:
    best = math.log(0.95 / 0.05)  # ε = 0.1 over two classes
    loss = float(road_work_loss(torch.tensor([best, -best]), torch.tensor([1.0, 0.0]), 1.0, 0.1))
    assert loss == pytest.approx(0.1985, abs=1e-4)
