"""`workzone bundle recertify` on pictures that the model learned from: refused, and nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workzone.bundle.seen import SeenPictures
from workzone.bundle.writer import write_bundle
from workzone.cli.app import run
from workzone.data.dataset import DataSet, open_dataset

PLACES = 24


@pytest.fixture(scope="module")
def streets(tmp_path_factory) -> DataSet:
    """Two frames a place; half of the places have road work."""
    root = tmp_path_factory.mktemp("streets")
    rng = np.random.default_rng(0)
    for place in range(PLACES):
        label, colour = [("roadwork", (240, 130, 10)), ("none", (20, 60, 200))][place % 2]
        (root / "photos" / label).mkdir(parents=True, exist_ok=True)
        for frame in range(2):
            pixels = np.clip(rng.normal(colour, 12, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "photos" / label / f"{place}_{frame}.png")
    options = ["--group-from", r"(\d+)_\d\.png", "--licence", "CC0-1.0"]
    assert run(["data", "import", "folder", str(root / "photos"), "--out", str(root / "data"), *options]) == 0
    return open_dataset(root / "data")


def bundle_that_saw(colour_builders, directory: Path, **ids: list[str]) -> Path:
    listed = {
        part: colour_builders.sample_ids(part, 5) + ids.get(part, []) for part in ("train", "select", "calib")
    }
    seen = SeenPictures.from_ids(**listed)
    return write_bundle(directory / "bundle", colour_builders.make_parts(directory / "parts", seen=seen)).path


@pytest.mark.parametrize("part", ["train", "select"])
def test_on_its_own_training_data(invoke, colour_builders, streets, tmp_path, part: str) -> None:
    ids = streets.samples["id"].to_pylist()
    group = streets.samples["group"].to_pylist()[0]
    bundle = bundle_that_saw(colour_builders, tmp_path, **{part: ids[:1]})
    ledger = streets.root / "openings.jsonl"
    looks = ledger.read_bytes() if ledger.exists() else b""
    said = invoke("bundle", "recertify", bundle, streets.root, "--out", tmp_path / "new")
    assert said.code == 1
    said.sentence(
        f"1 of the {2 * PLACES} pictures",
        "trained or chosen on",
        f"whole (2 pictures, such as group '{group}')",
    )
    assert not (tmp_path / "new").exists()
    assert (ledger.read_bytes() if ledger.exists() else b"") == looks  # refused before any picture was opened


def test_on_what_only_its_policy_was_certified_on(invoke, colour_builders, streets, tmp_path) -> None:
    """The model never saw them, and nothing of the old policy is kept; again and again from the result."""
    bundle = bundle_that_saw(colour_builders, tmp_path, calib=streets.samples["id"].to_pylist())
    for generation in ("one", "two"):
        said = invoke("bundle", "recertify", bundle, streets.root, "--out", tmp_path / generation)
        assert said.code == 3, said.err  # far too few groups for a certificate
        bundle = tmp_path / generation
        assert invoke("bundle", "verify", bundle).code == 0
