"""What is missing is said before an hour of training; the pixel statistics are the backbone's."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from workzone.core.errors import MissingExtraError
from workzone.models.backbone_table import BACKBONES
from workzone.phases.build import EXTRAS, check_extras
from workzone.phases.recipe import PreprocessingSection
from workzone.phases.train import preprocessing_record


def test_only_the_phases_that_run_need_their_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def without_jinja(name: str, *rest: Any) -> Any:
        return None if name == "jinja2" else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without_jinja)
    check_extras(["split", "train", "freeze", "policy"])
    with pytest.raises(MissingExtraError, match=r"workzone\[report\]"):
        check_extras(["train", "evaluate"])


def test_every_package_that_a_phase_names_is_installed_here() -> None:
    check_extras(EXTRAS)


def test_pixel_statistics_are_the_backbones_unless_stated() -> None:
    spec = BACKBONES["siglip2/base"]
    record = preprocessing_record(PreprocessingSection(), "siglip2/base")
    assert record.mean == tuple(255 * m for m in spec.pixel_mean)
    assert record.scale == tuple(1 / (255 * s) for s in spec.pixel_std)
    turned = preprocessing_record(PreprocessingSection(channel_order="BGR"), "dinov2/vit-s")
    assert turned.mean == preprocessing_record(PreprocessingSection(), "dinov2/vit-s").mean[::-1]
    stated = preprocessing_record(PreprocessingSection(mean=(1, 2, 3), scale=(1, 1, 1)), "dinov2/vit-s")
    assert (stated.mean, stated.scale) == ((1, 2, 3), (1, 1, 1))
