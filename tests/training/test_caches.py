"""Caches: computed once, keyed by what decides the value, whole after a kill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workzone.imaging.geometry import Geometry
from workzone.imaging.preprocessing import Preprocessing
from workzone.models.backbones import build_backbone
from workzone.models.features import frozen
from workzone.training.feature_cache import cached_features, feature_key
from workzone.training.pictures import decided
from workzone.training.pixels import fitted_pictures
from workzone.training.row_cache import IDS_NAME, ROWS_NAME, RowCache


class Counting:
    def __init__(self, ids: Sequence[str]) -> None:
        self.ids, self.computed = ids, 0

    def __call__(self, positions: Sequence[int]) -> Any:
        self.computed += len(positions)
        return np.array([[int(self.ids[i]), 2 * int(self.ids[i])] for i in positions], np.float32)


def filled(directory: Path, ids: Sequence[str], recorder: Any) -> tuple[Any, int]:
    cache, counting = RowCache(directory, (2,), "float32"), Counting(ids)
    cache.fill(ids, counting, 3, recorder, "rows")
    array, positions = cache.rows(ids)
    return array[positions], counting.computed


def test_rows_are_computed_once_and_come_back_in_any_order(tmp_path: Path, recorder: Any) -> None:
    rows, computed = filled(tmp_path, ["1", "2", "3", "4"], recorder)
    assert computed == 4
    rows, computed = filled(tmp_path, ["4", "9", "1"], recorder)
    assert computed == 1
    np.testing.assert_array_equal(rows, [[4, 8], [9, 18], [1, 2]])


@pytest.mark.parametrize("cut", range(0, 41, 3))
def test_after_a_kill_at_any_byte_nothing_wrong_is_read(tmp_path: Path, recorder: Any, cut: int) -> None:
    ids = [str(i) for i in range(1, 6)]
    filled(tmp_path, ids, recorder)
    for name, size in ((ROWS_NAME, cut), (IDS_NAME, 40 - cut)):  # rows ahead of ids, and the reverse
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[:size])
    rows, computed = filled(tmp_path, ids, recorder)
    np.testing.assert_array_equal(rows, [[i, 2 * i] for i in range(1, 6)])
    assert computed == 5 - min(cut // 8, (40 - cut) // 2, 5)


class CountingExtractor:
    def __init__(self, extractor: Any) -> None:
        self._extractor, self.calls = extractor, 0

    @property
    def feature_dim(self) -> int:
        return int(self._extractor.feature_dim)

    def extract(self, pixels: Any) -> Any:
        self.calls += 1
        return self._extractor.extract(pixels)


def test_features_hit_the_cache_and_equal_recomputation(
    parts: Any, preprocessing: Preprocessing, tmp_path: Path, recorder: Any
) -> None:
    pictures = decided(parts[0], "train", recorder)
    backbone = build_backbone("embedded/convnext", seed=0)
    extractor = CountingExtractor(frozen(backbone))
    arguments = (pictures, preprocessing, extractor, backbone.sha256(), tmp_path / "cache", recorder)
    first = cached_features(*arguments)
    calls = extractor.calls
    assert calls > 0
    np.testing.assert_array_equal(cached_features(*arguments), first)
    assert extractor.calls == calls
    np.testing.assert_allclose(extractor.extract(preprocessing.prepare(pictures.paths)), first, atol=1e-5)


def test_the_key_knows_preprocessing_and_backbone(preprocessing: Preprocessing) -> None:
    base = feature_key(preprocessing, "a")
    changes: list[dict[str, Any]] = [
        {"size_px": 64},
        {"geometry": Geometry.CROP},
        {"channel_order": "BGR"},
        {"mean": (1.0, 2.0, 3.0)},
        {"scale": (1.0, 1.0, 1.0)},
    ]
    keys = {feature_key(preprocessing.model_copy(update=change), "a") for change in changes}
    assert len({base, feature_key(preprocessing, "b"), *keys}) == 2 + len(changes)
    assert feature_key(preprocessing.model_copy(update={"max_batch": 1}), "a") == base


def test_pixels_are_what_preprocessing_fits(
    parts: Any, preprocessing: Preprocessing, tmp_path: Path, recorder: Any
) -> None:
    pictures = decided(parts[0], "train", recorder)
    fitted = fitted_pictures(pictures, preprocessing, tmp_path / "cache", recorder, "decode")
    for path in pictures.paths:
        path.unlink()  # the second time nothing is decoded
    again = fitted_pictures(pictures, preprocessing, tmp_path / "cache", recorder, "decode")
    rows = np.array([5, 0, 31])
    np.testing.assert_array_equal(fitted.pixels(rows), again.pixels(rows))
    assert fitted.pixels(rows).shape == (3, 32, 32, 3)
