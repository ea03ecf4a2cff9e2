"""The same picture twice, and the two sides of a split: what is a fault, and what only looks like one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workzone.core.types import Label, Status
from workzone.data import confirmed_pairs
from workzone.data.checks.leakage import groups_across_roles, places_across_roles
from workzone.data.checks.repeats import exact_duplicates, judged_pairs, near_duplicates
from workzone.data.near_duplicates import near_duplicates_of


def copied(bench, encoded, number: int, like: int, **columns) -> list:
    """The clean set with picture `number` replaced by a lossless copy of picture `like`."""
    from io import BytesIO

    from PIL import Image

    shown = np.asarray(Image.open(BytesIO(bench.samples()[like].image)))
    return bench.samples({number: {"image": encoded(shown, "PNG"), **columns}})


def resaved(bench, encoded, number: int, like: int, **columns) -> list:
    """The clean set with picture `number` replaced by picture `like` as saved anew, a little brighter."""
    from io import BytesIO

    from PIL import Image

    shown = np.asarray(Image.open(BytesIO(bench.samples()[like].image))).astype(np.int16) + 3
    image = encoded(shown.clip(0, 255).astype(np.uint8), quality=75)
    return bench.samples({number: {"image": image, **columns}})


def test_the_same_pixels_in_one_group_are_a_warning(bench, encoded, ids_of):
    samples = copied(bench, encoded, 1, 0)
    result = exact_duplicates(bench.look(samples))
    assert result.status is Status.WARN
    assert set(result.samples) == ids_of(samples[0].image, samples[1].image)
    near = near_duplicates(bench.look(samples))
    assert near.status is Status.PASS  # one group, one label
    assert dict(near.figures)["pairs"] == 1
    assert dict(near.figures)["largest_cluster"] == 2


@pytest.mark.parametrize("make", [copied, resaved])
def test_conflicting_labels_fail(bench, encoded, ids_of, make):
    samples = make(bench, encoded, 1, 0, label=Label.ROADWORK, caption="Cones.")
    check = exact_duplicates if make is copied else near_duplicates
    result = check(bench.look(samples))
    assert result.status is Status.FAIL
    assert set(result.samples) == ids_of(samples[0].image, samples[1].image)
    assert any("labelled none, not road work" in offender.detail for offender in result.offenders)


@pytest.mark.parametrize("columns", [{"label": Label.UNKNOWN}, {"label": Label.ROADWORK, "ambiguous": True}])
def test_what_is_not_decided_does_not_conflict(bench, encoded, columns):
    samples = resaved(bench, encoded, 1, 0, **columns)
    assert near_duplicates(bench.look(samples)).status is Status.PASS


@pytest.mark.parametrize("make", [copied, resaved])
def test_a_pair_across_the_split_fails(bench, encoded, split_for, ids_of, make):
    """Picture 0 is of place 0 (train), picture 12 of place 6 (test); both none by day."""
    samples = make(bench, encoded, 12, 0)
    dataset = bench.write(samples)
    check = exact_duplicates if make is copied else near_duplicates
    result = check(bench.look(dataset, split=split_for(dataset)))
    assert result.status is Status.FAIL
    assert set(result.samples) == ids_of(samples[0].image, samples[12].image)
    assert any("in test, not train" in offender.detail for offender in result.offenders)
    without = near_duplicates(bench.look(dataset))
    assert without.status is Status.WARN  # without a split: two groups that the next one may part
    assert "in another group" in without.offenders[0].detail


def test_the_largest_cluster(bench, encoded, pixels):
    """One scene in more than 5 % of the pictures, and in at least ten, fails even within one group."""

    def repeated(count: int) -> Status:
        scene = pixels(0).astype(np.int16)
        changes = {
            n: {
                "image": encoded((scene + n).clip(0, 255).astype(np.uint8)),
                "group": "parked",
                "label": Label.NONE,
                "caption": None,
                "daytime": "day",
            }
            for n in range(count)
        }
        result = near_duplicates(bench.look(bench.samples(changes)))
        assert dict(result.figures)["largest_cluster"] == count
        return result.status

    assert repeated(9) is Status.PASS
    assert repeated(10) is Status.FAIL


def test_blank_pictures_are_no_near_duplicates(bench, encoded):
    blank = {
        n: {"image": encoded(np.full((96, 128, 3), 100 + n, dtype=np.uint8))} for n in (0, 1, 12, 13, 20)
    }
    assert dict(near_duplicates(bench.look(bench.samples(blank))).figures)["pairs"] == 0


@pytest.fixture
def crowded(bench, encoded, pixels, monkeypatch):
    """Three near copies in one group, of which the search lists two pairs; and the two that it does not list."""
    scene = pixels(0).astype(np.int16)
    same = {"group": "parked", "label": Label.NONE, "caption": None, "daytime": "day"}
    changes = {n: {"image": encoded((scene + 2 * n).clip(0, 255).astype(np.uint8)), **same} for n in range(3)}
    subject = bench.look(bench.samples(changes))
    assert subject.duplicates.complete
    assert len(subject.duplicates.pairs) == 3
    monkeypatch.setattr(confirmed_pairs, "_PART", 1)
    few = near_duplicates_of(subject.facts, max_pairs=1)
    assert not few.complete
    assert len(few.pairs) == 2
    listed = {tuple(pair) for pair in few.pairs.tolist()}
    (missing,) = {tuple(pair) for pair in subject.duplicates.pairs.tolist()} - listed
    return replace(subject, duplicates=few), missing


def changed(values: np.ndarray, changes: dict) -> np.ndarray:
    new = values.copy()
    for row, value in changes.items():
        new[row] = value
    return new


def test_where_not_all_pairs_are_listed_clusters_are_judged_whole(crowded):
    """What two pictures differ in of which the pair is not listed; the third has no decided label and no role."""
    subject, (one, other) = crowded
    (third,) = set(np.flatnonzero(subject.groups == "parked").tolist()) - {one, other}
    plain = near_duplicates(subject)
    assert plain.status is Status.PASS
    assert "clusters are judged whole" in plain.summary
    labels = replace(
        subject,
        labels=changed(subject.labels, {one: 1, other: 0}),
        decided=changed(subject.decided, {third: False}),
    )
    roles = replace(subject, roles=changed(subject.roles.astype("<U8"), {one: "train", other: "test"}))
    for case, said in ((labels, "labelled none, not road work"), (roles, "in test, not train")):
        result = near_duplicates(case)
        assert result.status is Status.FAIL
        assert set(result.samples) == {str(subject.ids[row]) for row in (one, other)}
        assert any(said in offender.detail for offender in result.offenders)
        assert all(offender.detail.startswith("in one cluster with ") for offender in result.offenders)
    groups = near_duplicates(replace(subject, groups=changed(subject.groups.astype("<U8"), {one: "moved"})))
    assert (groups.status, groups.count) == (Status.WARN, 3)


def test_stand_ins_are_of_the_cluster_differ_and_count(crowded):
    """Against a loop over all pictures of each cluster, with labels, roles and groups drawn at random."""
    subject, _ = crowded
    n = len(subject)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        case = replace(
            subject,
            duplicates=replace(subject.duplicates, cluster=np.arange(n) % 9),
            labels=rng.integers(0, 2, n).astype(np.int8),
            decided=rng.random(n) < 0.7,
            roles=rng.choice(["", "train", "test", "calib"], n),
            groups=np.repeat("g", n),
        )
        among = rng.random(n) < 0.6
        expected = set()
        for row in np.flatnonzero(among).tolist():
            for other in np.flatnonzero(among).tolist():
                labels = case.decided[[row, other]].all() and case.labels[row] != case.labels[other]
                roles = case.roles[row] != case.roles[other] and "" not in case.roles[[row, other]]
                if row % 9 == other % 9 and (labels or roles):
                    expected.add(row)
        pairs = judged_pairs(case, among)
        assert set(pairs.ravel().tolist()) == expected
        assert (pairs[:, 0] < pairs[:, 1]).all()
        assert (pairs[:, 0] % 9 == pairs[:, 1] % 9).all()


def test_a_group_that_was_merged_after_the_split(bench, split_for, ids_of):
    """The split was made before groups were corrected: what was apart is one group now."""
    before = bench.write(bench.samples())
    split = split_for(before)
    after = bench.write(bench.samples({0: {"group": "place06"}, 1: {"group": "place06"}}))
    result = groups_across_roles(bench.look(after, split=split))
    assert result.status is Status.FAIL
    samples = bench.samples()
    assert set(result.samples) == ids_of(*(samples[n].image for n in (0, 1, 12, 13)))
    assert "another state" in result.summary
    assert "'place06' is in test and train" in result.offenders[0].detail


def test_a_split_of_an_earlier_state_is_warned_of(bench, split_for):
    split = split_for(bench.write(bench.samples()[:40]))
    result = groups_across_roles(bench.look(bench.samples(), split=split))
    assert (result.status, result.count) == (Status.WARN, 8)
    assert "8 pictures have no role" in result.summary


def test_a_published_split_that_cuts_groups_is_warned_of(bench):
    whole = {n: {"published_split": ("train", "test")[n // 2 % 2]} for n in range(48)}
    assert groups_across_roles(bench.look(bench.samples(whole))).status is Status.PASS
    frames = {n: {"published_split": ("train", "test")[n % 2]} for n in range(48)}
    result = groups_across_roles(bench.look(bench.samples(frames)))
    assert (result.status, result.count) == (Status.WARN, 48)
    assert groups_across_roles(bench.look(bench.samples())).of == 0


METRES_PER_DEGREE = 6_371_008.8 * np.pi / 180


@pytest.mark.parametrize(
    ("metres", "near_m", "named"), [(90, 100, True), (110, 100, False), (110, 150, True)]
)
def test_places_across_the_split(bench, split_for, ids_of, metres, near_m, named):
    """Place 6 (test) is moved to so many metres north of place 0 (train)."""
    lat = 50 + metres / METRES_PER_DEGREE
    samples = bench.samples({12: {"lat": lat}})
    dataset = bench.write(samples)
    result = places_across_roles(bench.look(dataset, split=split_for(dataset), near_m=near_m))
    assert set(result.samples) == (ids_of(samples[12].image) if named else set())
    assert result.status is (Status.FAIL if named else Status.PASS)
    if named:
        assert f"test, {metres} m from" in result.offenders[0].detail


def test_places_of_train_and_select_may_touch(bench, split_for):
    samples = bench.samples({4: {"lat": 50.0}})
    dataset = bench.write(samples)
    split = split_for(dataset, lambda group: "select" if group == "place02" else "train")
    result = places_across_roles(bench.look(dataset, split=split))
    assert (result.status, result.of) == (Status.PASS, 0)


def test_no_place_is_not_the_gulf_of_guinea(bench, split_for):
    samples = bench.samples({n: {"lat": 0.0, "lon": 0.0} for n in (0, 1, 12, 13)})
    dataset = bench.write(samples)
    assert places_across_roles(bench.look(dataset, split=split_for(dataset))).status is Status.PASS
