"""A crossing that was planted is found and named; a clean run passes; nothing is counted twice."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from workzone.bundle.seen import SeenPictures, seen_to_bytes
from workzone.core.errors import ArtifactError, ConfigError, DataError
from workzone.core.observer import NullObserver
from workzone.core.types import Label, Opening, Role, Status
from workzone.data.dataset import DataSet, open_dataset, write_dataset
from workzone.data.grants import count_runs
from workzone.data.near_duplicates import NearDuplicates
from workzone.data.places import NEAR_M
from workzone.data.schema import NewSample
from workzone.data.split import read_split
from workzone.phases.audit import Audit, AuditSettings, audit_run
from workzone.phases.audit_crossings import Link, Pictures, find_crossings
from workzone.phases.build import DataSetGrantor
from workzone.phases.pack import seen_pictures
from workzone.phases.recipe import SplitSection
from workzone.phases.split import split_phase
from workzone.pipeline.runner import Runner
from workzone.storage.artifacts import ArtifactStore, Manifest
from workzone.storage.hashing import sha256_tree

GROUPS = 40
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONLY_CROSSINGS = AuditSettings(careless=False)


def picture(scene: int, quality: int = 92) -> bytes:
    """A soft pattern that survives compression; every scene is another."""
    coarse = np.random.default_rng(scene).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (112, 80), interpolation=cv2.INTER_CUBIC)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def sample(scene: int, group: int, *, quality: int = 92, north_m: float | None = None) -> NewSample:
    """A picture of `group`, by default at that group's place; groups are a kilometre apart."""
    lat = 45.0 + (1000.0 * group if north_m is None else north_m) / 111_195.0
    label = Label(group % 2)
    return NewSample(picture(scene, quality), label, 112, 80, group=f"g{group:02d}", lat=lat, lon=9.0)


def clean() -> list[NewSample]:
    return [sample(100 * group + frame, group) for group in range(GROUPS) for frame in range(2)]


@dataclass
class Finished:
    """A run of the split phase alone, on a data set with what was planted."""

    dataset: DataSet
    run: Path
    ledger: Path

    def audit(self, settings: AuditSettings = ONLY_CROSSINGS, cache: Path | None = None) -> Audit:
        return audit_run(
            self.run, self.dataset, settings, ledger=self.ledger, cache=cache, observer=NullObserver()
        )

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.run)


Finish = Callable[..., Finished]


@pytest.fixture
def finish(tmp_path: Path) -> Finish:
    def make(samples: Sequence[NewSample], **settings: object) -> Finished:
        dataset = write_dataset(tmp_path / "data", samples, name="streets")
        run, ledger = tmp_path / "run", tmp_path / "openings.jsonl"
        grantor = DataSetGrantor(dataset, ledger, run=f"{run.resolve()}#first")
        runner = Runner(ArtifactStore(run), grantor, NullObserver(), lambda: NOW, "0")
        runner.run([split_phase(dataset, SplitSection(**settings))])
        return Finished(dataset, run, ledger)

    return make


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[int]]:
    """Groups of each role: those of the clean data set, which a planted picture of a group does not move."""
    root = tmp_path_factory.mktemp("clean")
    dataset = write_dataset(root / "data", clean(), name="streets")
    grantor = DataSetGrantor(dataset, root / "ledger", run="x")
    Runner(ArtifactStore(root / "run"), grantor, NullObserver(), lambda: NOW, "0").run(
        [split_phase(dataset, SplitSection())]
    )
    found: dict[str, list[int]] = {}
    table = read_split(root / "run" / "split").table
    for group, role in sorted(set(zip(table["group"].to_pylist(), table["role"].to_pylist(), strict=True))):
        found.setdefault(role, []).append(int(group[1:]))
    return found


def crossed(audit: Audit) -> dict[tuple[str, str, str], tuple[Status, int, int]]:
    return {
        (str(c.link), str(c.first), str(c.second)): (c.status, c.pictures, c.groups)
        for c in audit.crossings
        if c.pictures
    }


def test_a_clean_run_passes_and_every_kind_was_looked_at(finish: Finish) -> None:
    audit = finish(clean()).audit()
    assert audit.status is Status.PASS
    assert len(audit.crossings) == 6 * len(Link)
    assert all(c.status is Status.PASS and c.of > 0 for c in audit.crossings)
    assert audit.remarks == ()
    assert (audit.n_placed, audit.n_artifacts) == (2 * GROUPS, 1)
    assert sum(role.groups for role in audit.roles) == GROUPS


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("train", "test", Status.FAIL),
        ("train", "calib", Status.FAIL),
        ("train", "select", Status.WARN),
        ("select", "test", Status.WARN),
        ("calib", "test", Status.WARN),
    ],
)
def test_a_planted_near_duplicate_is_found(finish: Finish, roles, first, second, status) -> None:
    taken, into = roles[first][0], roles[second][1]
    twin = sample(100 * taken, into, quality=60)  # the same picture, compressed harder
    run = finish([*clean(), twin])
    audit = run.audit()
    assert crossed(audit) == {("near-duplicate", first, second): (status, 1, 1)}
    assert audit.status is status
    (pair,) = next(c for c in audit.crossings if c.pictures).worst
    assert (pair.first_group, pair.second_group) == (f"g{taken:02d}", f"g{into:02d}")
    assert "similarity" in pair.detail
    assert (run.dataset.root / pair.second).read_bytes() == twin.image
    assert (run.dataset.root / pair.first).read_bytes() == picture(100 * taken)


def test_near_duplicates_dealt_as_one_do_not_cross(finish: Finish, roles) -> None:
    taken, into = roles["train"][0], roles["test"][1]
    run = finish([*clean(), sample(100 * taken, into, quality=60)], near_duplicates=True)
    audit = run.audit()
    assert crossed(audit) == {}
    assert "near-duplicates as one" in audit.method


def test_a_planted_place_is_found_within_the_stated_distance(finish: Finish, roles) -> None:
    taken, into = roles["train"][3], roles["calib"][2]
    run = finish([*clean(), sample(7, into, north_m=1000.0 * taken + 5.0)])
    audit = run.audit()
    assert crossed(audit) == {("place", "train", "calib"): (Status.FAIL, 1, 1)}
    (pair,) = next(c for c in audit.crossings if c.pictures).worst
    assert pair.detail == "5.0 m apart"
    assert {pair.first_group, pair.second_group} == {f"g{taken:02d}", f"g{into:02d}"}
    assert crossed(run.audit(replace(ONLY_CROSSINGS, near_m=4.9))) == {}
    assert crossed(run.audit(replace(ONLY_CROSSINGS, near_m=5.1))) != {}


def test_a_split_by_place_is_held_to_its_own_distance(finish: Finish, roles) -> None:
    taken, into = roles["train"][3], roles["calib"][2]
    near = [*clean(), sample(7, into, north_m=1000.0 * taken + 80.0)]
    audit = finish(near, by="place", min_distance_m=90.0).audit()
    assert audit.near_m == 90.0
    assert crossed(audit) == {}
    assert audit.method == "by group, places within 90 m as one"


def test_what_cannot_be_looked_at_is_no_proof(finish: Finish) -> None:
    samples = [replace(s, lat=None) if s.group == "g05" else s for s in clean()]
    run = finish(samples)
    held = read_split(run.run / "split").table["role"].to_pylist()
    path = run.dataset.paths()[held.index("test")]
    path.write_bytes(path.read_bytes()[:200])
    audit = run.audit()
    assert audit.status is Status.WARN
    assert [r.text.partition(";")[0] for r in audit.remarks] == [
        "1 of 80 pictures cannot be read or were changed",
        "2 of 80 pictures have no place",
    ]
    assert sum(c.of for c in audit.crossings if c.link is Link.NEAR_DUPLICATE) < sum(
        c.of for c in audit.crossings if c.link is Link.GROUP
    )


def test_a_changed_picture_is_compared_with_nothing(finish: Finish, roles) -> None:
    """One byte behind its end changes no pixel, but what is looked at is no longer the sample."""
    twin = sample(100 * roles["train"][0], roles["test"][1], quality=60)
    run = finish([*clean(), twin])
    assert run.audit().status is Status.FAIL
    (path,) = [path for path in run.dataset.paths() if path.read_bytes() == twin.image]
    path.write_bytes(twin.image + b"\0")
    audit = run.audit()
    assert crossed(audit) == {}
    assert [(r.status, r.text) for r in audit.remarks] == [
        (
            Status.WARN,
            "1 of 81 pictures cannot be read or were changed; they were compared by group and place only.",
        )
    ]
    near = {c.second: c.of for c in audit.crossings if (c.link, c.first) == (Link.NEAR_DUPLICATE, Role.TRAIN)}
    group = {c.second: c.of for c in audit.crossings if (c.link, c.first) == (Link.GROUP, Role.TRAIN)}
    assert {role: group[role] - near[role] for role in near} == {
        Role.SELECT: 0,
        Role.CALIB: 0,
        Role.TEST: 1,
    }


def test_blank_pictures_of_two_roles_do_not_cross(finish: Finish, roles) -> None:
    def blank(group: int, value: int) -> NewSample:
        buffer = io.BytesIO()
        Image.new("RGB", (112, 80), (value, value, value)).save(buffer, format="JPEG")
        return replace(sample(0, group), image=buffer.getvalue())

    audit = finish([*clean(), blank(roles["train"][0], 90), blank(roles["test"][0], 94)]).audit()
    assert crossed(audit) == {}
    assert audit.status is Status.WARN
    assert [r.text.partition(";")[0] for r in audit.remarks] == ["2 of 82 pictures are blank"]


def test_a_place_is_by_default_what_it_is_to_data_check(finish: Finish, roles) -> None:
    taken, into = roles["train"][3], roles["calib"][2]
    run = finish([*clean(), sample(7, into, north_m=1000.0 * taken + 80.0)])
    audit = run.audit()
    assert audit.near_m == NEAR_M == 100.0
    assert crossed(audit) == {("place", "train", "calib"): (Status.FAIL, 1, 1)}


def test_a_cut_group_and_incomplete_pairs_are_found_in_the_arrays() -> None:
    """`read_split` refuses a cut group and pairs are rarely incomplete: so here by hand."""
    pictures = Pictures(
        paths=np.array(["a", "b", "c", "d", "e", "f"]),
        groups=np.array(["g", "h", "g", "k", "h", "m"]),
        roles=np.array(["train", "train", "test", "test", "select", "calib"]),
        degrees=np.full((6, 2), np.nan),
        placed=np.zeros(6, dtype=bool),
    )
    duplicates = NearDuplicates(
        pairs=np.array([[1, 2]]),
        distance=np.array([3]),
        similarity=np.array([0.97], dtype=np.float32),
        cluster=np.array([0, 1, 1, 0, 4, 5]),
        complete=False,
    )
    every = np.ones(6, dtype=bool)
    found = {(c.link, c.first, c.second): c for c in find_crossings(pictures, duplicates, every, 9.0)}
    cut = found[Link.GROUP, Role.TRAIN, Role.TEST]
    assert (cut.status, cut.pictures, cut.of, cut.groups) == (Status.FAIL, 1, 2, 1)
    assert (cut.worst[0].first, cut.worst[0].second) == ("a", "c")
    assert found[Link.GROUP, Role.TRAIN, Role.SELECT].status is Status.WARN
    assert found[Link.GROUP, Role.TRAIN, Role.CALIB].status is Status.PASS
    near = found[Link.NEAR_DUPLICATE, Role.TRAIN, Role.TEST]
    assert [(p.first, p.second, p.detail) for p in near.worst] == [
        ("b", "c", "similarity 0.970, hashes 3 of 64 bits apart"),
        ("a", "d", "of one cluster"),
    ]
    assert found[Link.PLACE, Role.TRAIN, Role.TEST].of == 0


def test_the_ledger_knows_and_the_run_has_looked_once(finish: Finish) -> None:
    run = finish(clean())
    sha256 = read_split(run.run / "split").sha256
    grant = DataSetGrantor(run.dataset, run.ledger, f"{run.run.resolve()}#first").grant(
        "evaluate", frozenset({Role.TEST})
    )
    grant.open(read_split(run.run / "split"), Role.TEST)
    for _ in range(2):
        run.audit()
    assert count_runs(run.ledger, sha256, Role.TEST) == 1
    entries = [json.loads(line) for line in run.ledger.read_text().splitlines()]
    assert [e["role"] for e in entries if e["phase"] == "audit"] == [str(role) for role in Role] * 2


def test_an_audit_before_any_other_look_counts_as_one(finish: Finish) -> None:
    run = finish(clean())
    run.audit()
    assert count_runs(run.ledger, read_split(run.run / "split").sha256, Role.TEST) == 1


def test_facts_are_kept_and_do_not_hide_a_change(finish: Finish, tmp_path: Path) -> None:
    run = finish(clean())
    cache = tmp_path / "cache"
    first = run.audit(cache=cache)
    assert any(cache.rglob("*.npz"))
    assert run.audit(cache=cache) == first


def test_a_run_without_split_a_changed_one_and_another_data_set_are_refused(
    finish: Finish, tmp_path: Path
) -> None:
    run = finish(clean())
    other = write_dataset(tmp_path / "other", clean()[:20], name="other")
    with pytest.raises(DataError, match="was made for the data set"):
        replace(run, dataset=other).audit()
    with pytest.raises(ArtifactError, match="No artifact 'split'"):
        replace(run, run=tmp_path).audit()
    (run.run / "split" / "split.json").write_text("{}")
    with pytest.raises(ArtifactError, match="was changed after it was made"):
        run.audit()


def seal(run: Finished, name: str, content: dict[str, bytes], split_sha256: str) -> None:
    with run.store.writing(name) as directory:
        for file, data in content.items():
            (directory / file).write_bytes(data)
    lineage = frozenset({Opening(split_sha256, Role.TRAIN)})
    run.store.seal(
        name,
        Manifest(name, sha256_tree(run.run / name), "x", 1, "0", "0" * 64, {}, lineage, NOW),
    )


def test_artifacts_of_another_split_and_a_bundle_that_learned_otherwise_fail(finish: Finish) -> None:
    run = finish(clean())
    split = read_split(run.run / "split")
    seal(run, "bundle", {"seen.npz": seen_to_bytes(seen_pictures(split))}, split.sha256)
    assert run.audit().status is Status.PASS
    assert run.audit().n_artifacts == 2

    of_test = run.dataset.samples.filter([role == "test" for role in split.table["role"].to_pylist()])
    learned = SeenPictures.from_ids(
        train=[*seen_pictures(split).ids("train"), of_test["id"].to_pylist()[0]],
        select=seen_pictures(split).ids("select"),
        calib=seen_pictures(split).ids("calib"),
    )
    seal(run, "bundle", {"seen.npz": seen_to_bytes(learned)}, split.sha256)
    audit = run.audit()
    assert audit.status is Status.FAIL
    assert [r.text for r in audit.remarks] == ["'bundle' lists other pictures of train than the split."]

    seal(run, "checkpoint", {"made.txt": b"x"}, "c" * 64)
    texts = [r.text for r in run.audit().remarks if r.status is Status.FAIL]
    assert "'checkpoint' derives from another split than the one in this run." in texts


def test_the_careless_number_stands_beside_the_honest_one(finish: Finish) -> None:
    """Two frames that are nearly one picture, in groups that say nothing of their labels."""
    samples = [
        sample(100 * group, group, quality=90 - 20 * frame) for group in range(100) for frame in range(2)
    ]
    run = finish(samples)
    careless = run.audit(AuditSettings(seeds=8)).careless
    assert careless is not None
    nearest = next(m for m in careless.models if m.model == "nearest neighbour")
    assert nearest.by_picture.mean > nearest.by_group.mean + 0.2
    assert careless.features == "descriptor"

    class Constant:
        name = "constant"

        def __call__(self, images):
            return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(images), 1))

    same = run.audit(AuditSettings(seeds=2, embedder=Constant())).careless
    assert same is not None
    assert (same.features, same.models[0].by_picture.mean) == ("constant", 0.0)


def test_without_both_classes_there_is_no_comparison_but_a_reason(finish: Finish) -> None:
    audit = finish([replace(s, label=Label.NONE) for s in clean()]).audit(AuditSettings(seeds=1))
    assert audit.careless is None
    assert "both classes" in audit.remarks[-1].text
    assert audit.status is Status.WARN


def test_settings_out_of_range_are_refused() -> None:
    for near_m in (0.0, -3.0, float("nan"), 1e9):
        with pytest.raises(ConfigError, match="One place is within"):
            AuditSettings(near_m=near_m)
    with pytest.raises(ConfigError, match="no comparison"):
        AuditSettings(seeds=0)


def test_the_data_set_is_left_as_it_was(finish: Finish) -> None:
    run = finish(clean())
    before = {path: path.read_bytes() for path in run.dataset.root.rglob("*") if path.is_file()}
    run.audit()
    assert {path: path.read_bytes() for path in run.dataset.root.rglob("*") if path.is_file()} == before
    open_dataset(run.dataset.root)
