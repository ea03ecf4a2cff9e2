"""What gives a label away is reported, chance is not, and the interval agrees with scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workzone.core.errors import DataError
from workzone.core.types import Status
from workzone.data.checks.shortcuts import (
    ABOUT_THE_FILE,
    ABOUT_THE_PICTURE,
    Shortcut,
    Shortcuts,
    auroc_interval,
    source_predicts_label,
)
from workzone.data.facts import PictureFacts

sklearn_metrics = pytest.importorskip("sklearn.metrics")
REALSET = Path(__file__).parents[3].parent / "shared" / "realset"


def facts(n: int, seed: int = 0, **columns: object) -> PictureFacts:
    """Rows of files and colours drawn at random, the given columns replaced."""
    rng = np.random.default_rng(seed)
    drawn: dict[str, object] = {
        "decoded": np.ones(n, dtype=bool),
        "problem": np.full(n, ""),
        "bytes_changed": np.zeros(n, dtype=bool),
        "file_format": np.full(n, "JPEG"),
        "mode": np.full(n, "RGB"),
        "width_px": rng.choice([640, 800, 1280], n).astype(np.int32),
        "height_px": np.full(n, 480, dtype=np.int32),
        "n_bytes": rng.integers(20_000, 90_000, n),
        "has_exif": rng.random(n) < 0.5,
        "brightness": np.full(n, 100, dtype=np.float32),
        "contrast": np.full(n, 30, dtype=np.float32),
        "sharpness": np.full(n, 90, dtype=np.float32),
        "pixels_sha256": np.full(n, ""),
        "perceptual_hash": np.zeros(n, dtype=np.uint64),
        "descriptor": np.zeros((n, 4), dtype=np.float32),
        "colour_histogram": rng.dirichlet(np.ones(12), n).astype(np.float32),
    }
    return PictureFacts(**(drawn | columns))  # type: ignore[arg-type]


def labelled(n_groups: int = 100, frames: int = 4) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(n_groups) % 2, frames).astype(np.int8)
    return labels, np.repeat([f"g{i:03d}" for i in range(n_groups)], frames)


def judge(given: PictureFacts, labels: np.ndarray, groups: np.ndarray, **columns: object) -> Shortcuts:
    names = {"sources": ["a"] * len(labels), "cameras": [None] * len(labels)}
    return source_predicts_label(given, labels, groups, **(names | columns))  # type: ignore[arg-type]


def row(found: Shortcuts, predictor: str) -> Shortcut:
    return next(r for r in found.rows if r.predictor == predictor)


def test_chance_is_not_reported() -> None:
    """Five data sets in which every group has files and colours of its own that mean nothing."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels, groups = labelled(n_groups=24, frames=5)
        member = np.unique(groups, return_inverse=True)[1]
        given = facts(
            len(labels),
            n_bytes=rng.integers(20_000, 90_000, 24)[member],
            width_px=rng.choice([640, 800, 1280], 24)[member].astype(np.int32),
            has_exif=(rng.random(24) < 0.5)[member],
            colour_histogram=rng.dirichlet(np.ones(12), 24)[member].astype(np.float32),
        )
        sources = rng.choice(["a", "b", "c"], 24)[member].tolist()
        found = judge(given, labels, groups, sources=sources)
        assert found.status is Status.PASS, [r.sentence() for r in found.rows]
        assert (found.pictures, found.groups) == (120, 24)


def test_a_source_of_one_label_fails_and_is_named() -> None:
    labels, groups = labelled()
    mixed = np.arange(len(labels)) < 80
    sources = np.where(mixed, "mixed", np.where(labels == 1, "dashcam", "stock")).tolist()
    found = judge(facts(len(labels)), labels, groups, sources=sources)
    source = row(found, "source")
    assert source.status is found.status is Status.FAIL
    assert source.low > 0.75
    assert {(s.value, s.pictures, s.roadwork) for s in source.one_sided} == {
        ("source=dashcam", 160, 160),
        ("source=stock", 160, 0),
    }
    assert "source=dashcam: 160 of 160 road work" in source.sentence()
    assert {r.status for r in found.rows if r is not source} == {Status.PASS}


@pytest.mark.parametrize(
    ("predictor", "columns"),
    [
        ("file size", lambda y: {"n_bytes": 30_000 + 20_000 * y.astype(int)}),
        ("resolution", lambda y: {"width_px": 640 + 160 * y.astype(np.int32)}),
        ("metadata", lambda y: {"has_exif": y == 1}),
        ("metadata", lambda y: {"file_format": np.where(y == 1, "PNG", "JPEG")}),
        ("metadata", lambda y: {"mode": np.where(y == 1, "L", "RGB")}),
    ],
)
def test_each_fact_that_gives_the_label_away_fails_alone(predictor: str, columns) -> None:
    labels, groups = labelled()
    found = judge(facts(len(labels), **columns(labels)), labels, groups)
    assert [r.predictor for r in found.rows if r.status is not Status.PASS] == [predictor]
    assert row(found, predictor).status is Status.FAIL
    assert row(found, predictor).auroc == 1.0
    assert row(found, predictor).mcc == 1.0


def test_a_camera_of_one_label_fails_but_a_camera_of_one_group_tells_nothing() -> None:
    labels, groups = labelled()
    by_label = judge(facts(len(labels)), labels, groups, cameras=[f"cam{y}" for y in labels])
    assert row(by_label, "metadata").status is Status.FAIL
    by_group = judge(facts(len(labels)), labels, groups, cameras=groups.tolist(), sources=groups.tolist())
    assert by_group.status is Status.PASS  # a random split would have called it perfect
    assert row(by_group, "source").auroc < 0.6


def test_a_half_way_predictor_is_a_warning() -> None:
    """A source that is right in seven of ten groups of either label: AUROC 0.7."""
    labels, groups = labelled(n_groups=400, frames=2)
    member = np.unique(groups, return_inverse=True)[1]
    rightly = (member // 2) % 10 < 7
    sources = np.where(rightly == (labels == 1), "a", "b").tolist()
    source = row(judge(facts(len(labels)), labels, groups, sources=sources), "source")
    assert source.auroc == pytest.approx(0.7, abs=0.02)
    assert 0.5 < source.low < 0.7 < source.high < 0.8
    assert ABOUT_THE_FILE.warn < source.auroc < ABOUT_THE_FILE.fail
    assert source.status is Status.WARN


def test_colours_warn_where_they_tell_all_and_never_fail() -> None:
    labels, groups = labelled()
    telling = facts(len(labels)).colour_histogram.copy()
    telling[:, 0] += 2.0 * labels
    telling /= telling.sum(axis=1, keepdims=True)
    found = judge(facts(len(labels), colour_histogram=telling), labels, groups)
    assert row(found, "colour histogram").auroc > ABOUT_THE_PICTURE.warn
    assert row(found, "colour histogram").status is found.status is Status.WARN


def test_what_is_constant_predicts_nothing() -> None:
    labels, groups = labelled()
    source = row(judge(facts(len(labels)), labels, groups), "source")
    assert (source.constant, source.auroc, source.status) == (True, 0.5, Status.PASS)
    assert source.sentence() == "source: the same for every picture."


def test_unknown_ambiguous_and_broken_pictures_are_left_out() -> None:
    """Rows that would give the label away, were they counted."""
    labels, groups = labelled()
    decoded, ambiguous, sources = np.ones(len(labels), bool), np.zeros(len(labels), bool), ["a"] * len(labels)
    labels[:4] = -1
    decoded[4:8], ambiguous[8:12] = False, True
    sources[:12] = ["odd"] * 12
    given = facts(len(labels), decoded=decoded)
    found = judge(given, labels, groups, sources=sources, ambiguous=ambiguous)
    assert found.pictures == len(labels) - 12
    assert row(found, "source").constant


def test_the_auroc_is_scikit_learns_and_the_interval_holds_its_place() -> None:
    rng = np.random.default_rng(0)
    given = np.repeat(rng.random(300) < 0.4, 2)
    scores = np.round(given + rng.normal(0, 1, 600), 1)  # with ties
    names = np.repeat([f"g{i}" for i in range(300)], 2)
    auroc, low, high = auroc_interval(given, scores, names, 0.95, seed=0)
    assert auroc == pytest.approx(sklearn_metrics.roc_auc_score(given, scores), abs=1e-12)
    assert low < auroc < high
    wide = auroc_interval(given, scores, np.repeat([f"h{i}" for i in range(30)], 20), 0.95, seed=0)
    assert auroc_interval(given, scores, names, 0.99, seed=0)[1] < low
    assert wide[0] == auroc


def test_the_interval_is_as_wide_as_repeated_draws_say() -> None:
    """Groups of four equal frames: the spread over 300 new data sets, against the interval of one."""
    rng = np.random.default_rng(1)
    names = np.repeat([f"g{i}" for i in range(120)], 4)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        positive = np.arange(120) % 2 == 0
        return np.repeat(positive, 4), np.repeat(positive + rng.normal(0, 1, 120), 4)

    areas = [sklearn_metrics.roc_auc_score(*draw()) for _ in range(300)]
    spread = np.percentile(areas, 97.5) - np.percentile(areas, 2.5)
    widths = [np.diff(auroc_interval(*draw(), names, 0.95, seed)[1:])[0] for seed in range(4)]
    assert np.mean(widths) == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        (
            np.tile([0, 1], 40),
            [f"g{i // 10}" for i in range(80)],
            "8 groups have a picture labelled road work",
        ),
        (np.zeros(80), [f"g{i}" for i in range(80)], "0 groups have a picture labelled road work"),
        (np.ones(80), [f"g{i}" for i in range(80)], "0 groups have a picture labelled none"),
    ],
)
def test_too_little_is_refused(labels, groups, message: str) -> None:
    with pytest.raises(DataError, match=message):
        judge(facts(80), np.asarray(labels, dtype=np.int8), np.array(groups))


def test_rows_that_do_not_match_and_folds_out_of_range_are_refused() -> None:
    labels, groups = labelled()
    with pytest.raises(DataError, match="expected one for each of 400"):
        judge(facts(399), labels, groups)
    with pytest.raises(DataError, match="expected one for each of 400"):
        judge(facts(400), labels, groups, cameras=[None])
    with pytest.raises(DataError, match="expected 2 to 10"):
        judge(facts(400), labels, groups, folds=11)


@pytest.mark.skipif(not (REALSET / "manifest.csv").is_file(), reason="the photographs are not here")
def test_the_photographs_source_nearly_predicts_the_label() -> None:
    """By the manifest alone; nothing is read of the pictures."""
    import csv

    with (REALSET / "manifest.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    found = judge(
        facts(len(table)),
        np.array([int(r["label"]) for r in table], dtype=np.int8),
        np.array([r["group"] for r in table]),
        sources=[r["source"] for r in table],
        ambiguous=np.array([r["ambiguous"] == "1" for r in table]),
    )
    assert row(found, "source").status is Status.FAIL
    assert {"source=india", "source=vtti"} <= {s.value for s in row(found, "source").one_sided}
