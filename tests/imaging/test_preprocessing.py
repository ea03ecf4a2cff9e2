"""The preprocessing record: its arithmetic by formula, its JSON strict, its three ways the same."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from workzone.core.errors import ConfigError, DataError
from workzone.imaging.decode import DecodeLimits
from workzone.imaging.geometry import Geometry
from workzone.imaging.preprocessing import Preprocessing

MEAN = (123.675, 116.28, 103.53)
SCALE = (1 / 58.395, 1 / 57.12, 1 / 57.375)


def record(**changes: object) -> Preprocessing:
    return Preprocessing(
        **{"size_px": 32, "geometry": Geometry.LETTERBOX, "mean": MEAN, "scale": SCALE} | changes
    )


def images(count: int = 3, size: int = 32) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def jpeg(height: int = 60, width: int = 90) -> bytes:
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 2 % 256, y * 3 % 256, x + y], axis=2).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_normalise_by_formula() -> None:
    batch = images()
    expected = (batch.astype(np.float64) - np.array(MEAN)) * np.array(SCALE)
    out = record().normalise(batch)
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    np.testing.assert_allclose(out, expected.transpose(0, 3, 1, 2), rtol=1e-6, atol=1e-7)


def test_bgr_turns_the_channels_and_mean_and_scale_follow_the_networks_order() -> None:
    batch = images()
    out = record(channel_order="BGR").normalise(batch)
    expected = (batch[..., ::-1].astype(np.float64) - np.array(MEAN)) * np.array(SCALE)
    np.testing.assert_allclose(out, expected.transpose(0, 3, 1, 2), rtol=1e-6, atol=1e-7)


def test_prepare_is_load_and_normalise() -> None:
    rule = record()
    pixels = images(1, 50)[0]
    out = rule.prepare([jpeg(), pixels])
    assert out.shape == (2, 3, 32, 32)
    fitted = np.stack([rule.load(jpeg()), rule.fit(pixels)])
    assert np.array_equal(out, rule.normalise(fitted))
    assert rule.prepare([]).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("geometry", Geometry)
def test_fractional_decoding_hardly_changes_what_the_network_reads(geometry: Geometry) -> None:
    y, x = np.mgrid[0:480, 0:640] / 640
    waves = 127 + 100 * np.stack([np.sin(20 * x), np.cos(17 * y), np.sin(15 * (x + y))], axis=2)
    buffer = io.BytesIO()
    Image.fromarray(waves.astype(np.uint8)).save(buffer, "JPEG", quality=92)
    rule = record(geometry=geometry, size_px=56)
    whole = rule.fit(np.asarray(Image.open(buffer))).astype(int)
    assert np.abs(rule.load(buffer.getvalue()) - whole).mean() < 1.5


def test_json_round_trip_and_strictness() -> None:
    rule = record(geometry=Geometry.CROP, channel_order="BGR", max_batch=8)
    assert Preprocessing.from_json(rule.to_json()) == rule
    fields = json.loads(rule.to_json())
    assert list(fields) == ["size_px", "geometry", "channel_order", "mean", "scale", "max_batch"]
    for change in (
        {"colour": 1},
        {"geometry": "stretch"},
        {"size_px": 0},
        {"mean": [1, 2]},
        {"scale": [0, 1, 1]},
        {"scale": [1, 1, "NaN"]},
        {"channel_order": "GRB"},
    ):
        with pytest.raises(ConfigError, match=next(iter(change))):
            Preprocessing.from_json(json.dumps(fields | change))
    del fields["mean"]
    with pytest.raises(ConfigError, match="mean"):
        Preprocessing.from_json(json.dumps(fields))
    with pytest.raises(ConfigError):
        Preprocessing.from_json("{")


def test_the_record_is_frozen() -> None:
    with pytest.raises(ValidationError):
        record().size_px = 64


def test_wrong_batches_and_pictures_are_refused() -> None:
    rule = record()
    for wrong in (images(2, 31), images().astype(np.float32), images()[0]):
        with pytest.raises(DataError, match="batch, 32, 32, 3"):
            rule.normalise(wrong)
    with pytest.raises(DataError, match="signature"):
        rule.prepare([jpeg(), b"junk"])
    with pytest.raises(DataError, match="90 x 60"):
        rule.load(jpeg(), DecodeLimits(max_side_px=80))
