"""The feature cache of the probe: features that are there against features computed again.

The smallest network is the cache's hardest case: with a pretrained one recomputing costs hundreds of times
as much, and a hit costs the same.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import REPEATS, Result, compare
from benchmarks.subjects import preprocessing_for, street_jpegs
from workzone.core.observer import NullObserver
from workzone.models.backbones import Backbone, build_backbone
from workzone.models.features import FeatureExtractor, frozen
from workzone.storage.hashing import sha256_file
from workzone.training.feature_cache import cached_features
from workzone.training.pictures import Pictures
from workzone.training.probe import train_probe
from workzone.training.settings import Method, TrainSettings

BACKBONE = "embedded/convnext"
TRAIN, SELECT = 96, 32


def run(repeats: int = REPEATS) -> list[Result]:
    """Compare features alone, and the whole training of a probe."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = written(folder / "pictures", TRAIN + SELECT)
        return [*_features(pictures, folder, repeats), *_probe(pictures, folder, repeats)]


def written(folder: Path, n: int) -> Pictures:
    """Write n street pictures to `folder`, every other with road work."""
    folder.mkdir()
    paths = tuple(folder / f"{index:03d}.jpg" for index in range(n))
    for path, data in zip(paths, street_jpegs(n), strict=True):
        path.write_bytes(data)
    return Pictures(tuple(map(sha256_file, paths)), paths, np.arange(n, dtype=np.int8) % 2)


def recomputed(pictures: Pictures, extractor: FeatureExtractor) -> NDArray[np.float32]:
    """Return the features as they are computed without a cache."""
    preprocessing = preprocessing_for(BACKBONE)
    step = preprocessing.max_batch
    batches = [pictures.paths[at : at + step] for at in range(0, len(pictures), step)]
    return np.concatenate([extractor.extract(preprocessing.prepare(batch)) for batch in batches])


def _features(pictures: Pictures, folder: Path, repeats: int) -> list[Result]:
    backbone: Backbone = build_backbone(BACKBONE)
    extractor, sha256 = frozen(backbone), backbone.sha256()
    preprocessing = preprocessing_for(BACKBONE)

    def through(cache: Path) -> NDArray[np.float32]:
        return cached_features(pictures, preprocessing, extractor, sha256, cache, NullObserver())

    full, fresh = folder / "full", folder / "fresh"
    np.testing.assert_allclose(through(full), recomputed(pictures, extractor), atol=1e-5)
    return compare(
        f"features of {len(pictures)} pictures, {BACKBONE} at {preprocessing.size_px} px",
        ("recomputed", lambda: recomputed(pictures, extractor)),
        {
            "cache, all there": lambda: through(full),
            "cache, empty": _emptied(fresh, lambda: through(fresh)),
        },
        repeats=repeats,
        items=len(pictures),
        note="from JPEG files; the full cache is read through the operating system's page cache",
    )


def _probe(pictures: Pictures, folder: Path, repeats: int) -> list[Result]:
    train, select = _part(pictures, 0, TRAIN), _part(pictures, TRAIN, TRAIN + SELECT)
    settings = TrainSettings(method=Method.PROBE, backbone=BACKBONE)
    preprocessing = preprocessing_for(BACKBONE)

    def through(cache: Path) -> object:
        return train_probe(train, select, settings, preprocessing, folder / "work", cache, NullObserver())

    full, fresh = folder / "full-probe", folder / "fresh-probe"
    return compare(
        f"train a probe on {TRAIN} + {SELECT} pictures, {BACKBONE} at {preprocessing.size_px} px",
        ("cache, empty", _emptied(fresh, lambda: through(fresh))),
        {"cache, all there": lambda: through(full)},
        repeats=repeats,
        items=len(pictures),
        note="with building the backbone and fitting the heads",
    )


def _part(pictures: Pictures, start: int, end: int) -> Pictures:
    return Pictures(pictures.ids[start:end], pictures.paths[start:end], pictures.labels[start:end])


def _emptied(cache: Path, call: Callable[[], object]) -> Callable[[], object]:
    def emptied() -> object:
        shutil.rmtree(cache, ignore_errors=True)
        return call()

    return emptied
