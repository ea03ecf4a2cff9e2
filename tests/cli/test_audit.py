"""What `workzone audit` prints of crossings that a run of the split phase cannot easily be made to have."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workzone.core.types import Label, Role, Status
from workzone.data.dataset import write_dataset
from workzone.data.places import NEAR_M
from workzone.data.schema import NewSample
from workzone.phases.audit import Audit
from workzone.phases.audit_crossings import Crossing, Link


def crossing(link: Link, status: Status, pictures: int, of: int) -> Crossing:
    return Crossing(link, Role.TRAIN, Role.TEST, status, pictures, of, pictures, ())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(3072, dtype=np.uint8).reshape(32, 32, 3)).save(buffer, "PNG")
    write_dataset(tmp_path / "data", [NewSample(buffer.getvalue(), Label.NONE, 32, 32, group="g")], name="d")
    return tmp_path / "data"


def test_every_cell_says_its_status(invoke, data, monkeypatch) -> None:
    found = Audit(
        status=Status.FAIL,
        dataset="d",
        dataset_sha256="0" * 64,
        split_sha256="1" * 64,
        method="by group",
        near_m=NEAR_M,
        n_placed=0,
        n_artifacts=1,
        roles=(),
        crossings=(
            crossing(Link.GROUP, Status.FAIL, 2, 3),
            crossing(Link.NEAR_DUPLICATE, Status.FAIL, 1, 0),
            crossing(Link.PLACE, Status.PASS, 0, 0),
        ),
        remarks=(),
        careless=None,
    )
    monkeypatch.setattr("workzone.phases.audit.audit_run", lambda *args, **kwargs: found)
    said = invoke("audit", data.parent, "--data", data)
    assert said.code == 3
    (line,) = [line for line in said.out.splitlines() if "2 of 3" in line]
    assert [cell.strip() for cell in line.strip("│┃| ").replace("┃", "│").split("│")] == [
        "train",
        "test",
        "2 of 3 FAIL",
        "1 of 0 FAIL",
        "–",
    ]


@pytest.mark.parametrize("command", [["audit"], ["data", "check"]])
def test_help_tells_the_distance_and_what_near_duplicates_are_compared_by(invoke, command) -> None:
    said = " ".join(invoke(*command, "--help").out.split()).replace("Near- ", "Near-")  # however it is broken
    assert f"{NEAR_M:g}. --embedding" in said
    assert "Near-duplicates are always compared by the descriptor." in said
