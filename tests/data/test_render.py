"""Rendered data sets follow from their arguments alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from workzone.core.errors import ConfigError
from workzone.data.dataset import verify_pictures
from workzone.data.render import encode_jpeg, render_dataset, sequence_labels
from workzone.data.scenes.world import Shift, WorldSpec

SMALL = WorldSpec(width_px=96, height_px=64)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    out = tmp_path_factory.mktemp("rendered") / "d"
    return render_dataset(out, sequences=4, frames=2, seed=5, spec=SMALL)


def test_rows_describe_the_sequences(rendered):
    rows = rendered.samples.to_pylist()
    assert len(rows) == 8
    groups = {row["group"] for row in rows}
    assert len(groups) == 4
    by_group = {group: {row["label"] for row in rows if row["group"] == group} for group in groups}
    assert sorted(min(labels) for labels in by_group.values()) == [0, 0, 1, 1]
    assert all(len(labels) == 1 for labels in by_group.values())
    for row in rows:
        assert row["synthetic"]
        assert (row["width_px"], row["height_px"]) == (96, 64)
        assert row["daytime"] in {"day", "dusk", "night"}
        assert row["weather"] in {"clear", "rain", "fog", "snow"}
        assert row["environment"] in {"urban", "residential", "highway"}
        assert row["caption"]
        assert row["camera"]
    with_roadwork = {box["sample_id"] for box in rendered.boxes.to_pylist() if box["category"] == "roadwork"}
    assert with_roadwork == {row["id"] for row in rows if row["label"] == 1}
    verify_pictures(rendered)


def test_workers_change_nothing(rendered, tmp_path, observer):
    again = render_dataset(
        tmp_path / "d", sequences=4, frames=2, seed=5, spec=SMALL, workers=2, observer=observer
    )
    assert again.sha256 == rendered.sha256
    assert observer.steps[-1] == ("write pictures", 8, 8)


def test_more_sequences_begin_alike_and_other_worlds_share_no_group(rendered, tmp_path):
    longer = render_dataset(tmp_path / "longer", sequences=5, frames=2, seed=5, spec=SMALL)
    assert set(rendered.samples["id"].to_pylist()) < set(longer.samples["id"].to_pylist())
    groups = set(rendered.samples["group"].to_pylist())
    seed = render_dataset(tmp_path / "seed", sequences=4, frames=1, seed=6, spec=SMALL)
    night = render_dataset(tmp_path / "night", sequences=4, frames=1, seed=5, spec=SMALL, shift=Shift.NIGHT)
    for other in (seed, night):
        assert not groups & set(other.samples["group"].to_pylist())
        assert other.sha256 != rendered.sha256
    assert set(night.samples["source"].to_pylist()) == {"rendered-night"}


@pytest.mark.parametrize("share", [0.0, 0.1, 1 / 3, 0.5, 0.75, 1.0])
def test_labels_keep_to_their_share_from_the_start(share):
    labels = np.array(sequence_labels(200, share))
    counts = np.cumsum(labels == 1)
    assert np.abs(counts - share * np.arange(1, 201)).max() <= 0.5 + 1e-9
    assert sequence_labels(50, share) == labels[:50].tolist()


def test_jpeg_is_close_to_the_pixels():
    ramp = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None], (48, 1, 3))
    data = encode_jpeg(ramp)
    assert data == encode_jpeg(ramp.copy())
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert np.abs(np.asarray(image).astype(int) - ramp).max() <= 6


@pytest.mark.parametrize("wrong", [{"sequences": 0}, {"frames": 0}, {"workers": 0}, {"roadwork_share": 1.5}])
def test_wrong_numbers_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigError, match="Cannot render"):
        render_dataset(tmp_path / "d", **({"sequences": 1, "frames": 1, "seed": 0} | wrong))
    assert not list(tmp_path.iterdir())
