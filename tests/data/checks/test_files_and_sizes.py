"""Checks of files and sizes: each fires on its fault, and on nothing beside it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from workzone.core.types import Status
from workzone.data.checks.check import CHECKS
from workzone.data.checks.files import decodable, format_and_mode, unchanged
from workzone.data.checks.sizes import declared_size, size_outliers, tiny

LEARNED = {"shortcuts", "label_suspects"}


@pytest.mark.parametrize("name", sorted(set(CHECKS) - LEARNED))
def test_a_clean_set_passes(clean_subject, name):
    result = CHECKS[name](clean_subject)
    assert result.name == name
    assert (result.status, result.count) == (Status.PASS, 0), result.summary
    assert result.offenders == ()
    assert result.samples == ()
    assert result.advice == ""


def test_a_picture_that_cannot_be_decoded(bench, ids_of):
    image = bench.samples()[3].image
    cut = image[: len(image) // 2]
    subject = bench.look(bench.samples({3: {"image": cut}}))
    result = decodable(subject)
    assert result.status is Status.FAIL
    assert set(result.samples) == ids_of(cut)
    assert "cannot be decoded" in result.offenders[0].detail
    for other in set(CHECKS) - LEARNED - {"decodable"}:
        assert ids_of(cut).isdisjoint(CHECKS[other](subject).samples), other


def test_nothing_that_can_be_decoded_is_no_crash(bench):
    samples = bench.samples()[:4]
    broken = bench.samples({n: {"image": s.image[: len(s.image) // 2]} for n, s in enumerate(samples)})[:4]
    subject = bench.look(broken)
    for name in set(CHECKS) - LEARNED:
        result = CHECKS[name](subject)
        assert result.status is (Status.FAIL if name == "decodable" else Status.PASS), (name, result.summary)


def test_a_file_that_was_changed_after_import(bench, ids_of):
    samples = bench.samples()
    dataset = bench.write(samples)
    wanted = ids_of(samples[5].image)
    path = next(p for p in dataset.paths() if p.stem in wanted)
    path.write_bytes(samples[5].image + b"\0")
    subject = bench.look(dataset)
    assert unchanged(subject).status is Status.FAIL
    assert set(unchanged(subject).samples) == wanted
    assert decodable(subject).status is Status.PASS


@pytest.mark.parametrize(
    ("kind", "mode", "named"),
    [
        ("JPEG", "L", True),
        ("JPEG", "CMYK", True),
        ("PNG", "RGBA", True),
        ("PNG", "P", True),
        ("BMP", "RGB", True),
        ("PNG", "RGB", False),
        ("WEBP", "RGB", False),
    ],
)
def test_a_picture_stored_otherwise_than_its_source(bench, encoded, pixels, ids_of, kind, mode, named):
    image = encoded(pixels(2), kind, mode)
    result = format_and_mode(bench.look(bench.samples({2: {"image": image}})))
    assert set(result.samples) == (ids_of(image) if named else set())
    assert result.status is (Status.WARN if named else Status.PASS)
    if named:
        assert "JPEG RGB" in result.offenders[0].detail


def test_a_grey_source_is_not_odd_in_itself(bench, encoded, pixels):
    grey = {n: {"image": encoded(pixels(n), "JPEG", "L"), "source": "thermal"} for n in range(10)}
    assert format_and_mode(bench.look(bench.samples(grey))).status is Status.PASS


def test_a_declared_size_that_is_not_the_pictures(bench, ids_of):
    samples = bench.samples({7: {"width_px": 96, "height_px": 128}})
    result = declared_size(bench.look(samples))
    assert result.status is Status.FAIL
    assert set(result.samples) == ids_of(samples[7].image)
    assert result.offenders[0].detail == "128 × 96 px, declared 96 × 128"


def resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(cv2.resize(pixels, (width, height)), dtype=np.uint8)


@pytest.mark.parametrize(("size", "named"), [((64, 64), False), ((85, 63), True), ((20, 200), True)])
def test_a_tiny_picture(bench, encoded, pixels, ids_of, size, named):
    width, height = size
    image = encoded(resized(pixels(4), width, height))
    change = {"image": image, "width_px": width, "height_px": height, "boxes": ()}
    result = tiny(bench.look(bench.samples({4: change})))
    assert set(result.samples) == (ids_of(image) if named else set())


@pytest.mark.parametrize(
    ("size", "named"),
    [((128, 100), False), ((240, 180), False), ((270, 200), True), ((260, 96), True), ((96, 128), False)],
)
def test_a_size_far_from_its_sources(bench, encoded, pixels, ids_of, size, named):
    """More than four times the area, or more than twice the width over height."""
    width, height = size
    image = encoded(resized(pixels(4), width, height))
    change = {"image": image, "width_px": width, "height_px": height}
    result = size_outliers(bench.look(bench.samples({4: change})))
    assert set(result.samples) == (ids_of(image) if named else set())
    assert result.status is (Status.WARN if named else Status.PASS)


def test_a_source_of_two_sizes_has_no_outliers(bench, encoded, pixels):
    """A tenth of the source at another size is another kind of picture, not an accident."""
    changes = {
        n: {"image": encoded(resized(pixels(n), 384, 288)), "width_px": 384, "height_px": 288}
        for n in range(5)
    }
    assert size_outliers(bench.look(bench.samples(changes))).status is Status.PASS
