"""`workzone bundle show`: the operating point of a bundle, and of one that has none."""

from __future__ import annotations

import json
from pathlib import Path

from workzone.bundle.manifest import OperatingPoint
from workzone.bundle.operating_point import write_with_operating_point
from workzone.bundle.reader import open_bundle


def test_the_operating_point_is_shown(invoke, colour_bundle_made: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    point = OperatingPoint(profile="2026-05", threshold=0.47761)
    write_with_operating_point(open_bundle(colour_bundle_made), tmp_path / "with", point, card_note="A test.")
    lines = [" ".join(text.split()) for text in invoke("bundle", "show", tmp_path / "with").out.splitlines()]
    assert "operating point 2026-05: logit 0.4776 (on the subnet the policy is bypassed)" in lines
    said = json.loads(invoke("bundle", "show", tmp_path / "with", "--json").out)
    assert said["operating_point"] == {"profile": "2026-05", "threshold": 0.47761}


def test_a_bundle_without_one_says_so(invoke, colour_bundle_made: Path) -> None:
    lines = [" ".join(text.split()) for text in invoke("bundle", "show", colour_bundle_made).out.splitlines()]
    assert "operating point –" in lines
    said = json.loads(invoke("bundle", "show", colour_bundle_made, "--json").out)
    assert said["operating_point"] is None
