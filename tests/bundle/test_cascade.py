"""A cascade on disk: whole, unchanged, its stages the sealed ones, its certificates on pictures new to them."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from workzone.bundle.cascade import (
    CascadeParts,
    check_new_directory,
    check_new_to_stages,
    is_cascade,
    open_cascade,
    write_cascade,
)
from workzone.bundle.cascade_manifest import CascadeStage
from workzone.bundle.reader import open_bundle
from workzone.bundle.seen import SeenPictures
from workzone.bundle.writer import write_bundle
from workzone.calibration.cascade import CascadeSettings, certify_cascade
from workzone.core.errors import BundleError, ConfigError, DataError
from workzone.core.scores import Scores
from workzone.policy.cascade import count_reach
from workzone.storage.hashing import sha256_json


def scores_of(ids, labels):
    n = len(ids)
    return Scores(
        ids=np.array(ids),
        labels=np.array(labels, dtype=np.int8),
        ambiguous=np.zeros(n, dtype=bool),
        groups=np.array([f"g{i}" for i in range(n)]),
        logits=np.zeros(n),
        features=np.zeros((n, 0), dtype=np.float32),
    )


def codes_of(n, answers=250):
    """Positives, of which the first stage answers 100 and both together `answers`: too few for the first."""
    numbers = np.arange(n)
    return [np.where(numbers < 100, 1, -1), np.where(numbers < answers, 1, -1)]


def certified_paths(ids, answers=250):
    calib = scores_of(ids, np.ones(len(ids)))
    codes = codes_of(len(ids), answers)
    return certify_cascade(CascadeSettings(), calib, codes, split_sha256="c" * 64, dataset_sha256="d" * 64)


@pytest.fixture
def root(tmp_path, factory):
    """Two bundles beside each other, the second of other weights."""
    for name, bias in (("small", -0.25), ("big", -0.5)):
        parts = factory.make_parts(tmp_path / "parts" / name)
        if name == "big":
            network = factory.mean_colour_network(tmp_path / "big.onnx", bias=bias)
            logits = parts.golden.logits + (bias + 0.25)
            probs = parts.calibrator.apply(logits)
            golden = dataclasses.replace(parts.golden, logits=logits, probs=probs)
            parts = dataclasses.replace(parts, name="big", model=network, golden=golden)
        write_bundle(tmp_path / name, parts)
    return tmp_path


@pytest.fixture
def cascade_parts(root, factory):
    ids = factory.sample_ids("new pictures", 300)
    stages = tuple(
        CascadeStage(
            name=name,
            digest=open_bundle(root / name).digest,
            cost=cost,
            deadline_ms=deadline_ms,
        )
        for name, cost, deadline_ms in (("small", 1.0, 50.0), ("big", 20.0, 400.0))
    )
    return CascadeParts(
        name="city",
        created=factory.CREATED,
        package_version="0.1.0",
        stages=stages,
        bundles=(root / "small", root / "big"),
        reach=count_reach(codes_of(300), np.ones(300), np.zeros(300)),
        paths=certified_paths(ids),
        calibration_ids=tuple(ids),
    )


@pytest.fixture
def sealed(root, cascade_parts):
    write_cascade(root / "cascade", cascade_parts)
    return root / "cascade"


def rewrite(cascade, change):
    """Change `cascade.json` and seal it again, as a forger would."""
    path = cascade / "cascade.json"
    value = json.loads(path.read_text())
    del value["digest"]
    change(value)
    value["digest"] = sha256_json(value)
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def test_what_was_written_is_read(root, sealed, cascade_parts):
    cascade = open_cascade(sealed)
    assert [bundle.path.name for bundle in cascade.stages] == ["small", "big"]
    assert cascade.manifest.stages == cascade_parts.stages
    assert cascade.paths == cascade_parts.paths
    assert [path.certified for path in cascade.paths] == [False, True]
    assert "49 more" in cascade.paths[0].refusal
    assert sorted(cascade.seen.ids("calib")) == sorted(cascade_parts.calibration_ids)
    assert cascade.digest == json.loads((sealed / "cascade.json").read_text())["digest"]


def test_the_directory_can_be_copied_as_a_whole_and_needs_nothing_beside_it(root, sealed, tmp_path):
    for name in ("small", "big"):
        shutil.rmtree(root / name)
    shutil.move(sealed, tmp_path / "elsewhere" / "deep" / "cascade")
    assert is_cascade(tmp_path / "elsewhere" / "deep" / "cascade")
    cascade = open_cascade(tmp_path / "elsewhere" / "deep" / "cascade")
    assert cascade.paths[1].certified
    assert [stage.path.parent.parent for stage in cascade.stages] == [cascade.path] * 2
    assert cascade.manifest.reach.asked == (300, 200)


def test_a_stage_that_lies_elsewhere_is_refused(root, sealed):
    """A link to the very same bundle: what is copied would not be the cascade."""
    shutil.rmtree(sealed / "stages" / "big")
    (sealed / "stages" / "big").symlink_to(root / "big", target_is_directory=True)
    with pytest.raises(BundleError, match="no links"):
        open_cascade(sealed)
    (sealed / "stages" / "big").unlink()
    with pytest.raises(BundleError, match="lacks the bundle of stage 'big'"):
        open_cascade(sealed)
    shutil.copytree(root / "big", sealed / "stages" / "big")
    open_cascade(sealed)
    shutil.copytree(root / "big", sealed / "stages" / "other")
    with pytest.raises(BundleError, match="'other'"):
        open_cascade(sealed)
    shutil.rmtree(sealed / "stages")
    (sealed / "stages").symlink_to(root, target_is_directory=True)
    with pytest.raises(BundleError, match="'stages', which no cascade holds"):
        open_cascade(sealed)


@pytest.mark.parametrize("name", ["..", ".", "../small", "/etc", "a/b", "", ".hidden", "a\n"])
def test_a_name_that_is_a_path_is_none(sealed, cascade_parts, name):
    with pytest.raises(ValueError, match="name"):
        CascadeStage(name=name, digest="a" * 64, cost=1.0, deadline_ms=1.0)
    rewrite(sealed, lambda v: v["stages"][1].update(name=name))
    with pytest.raises(BundleError, match="name"):
        open_cascade(sealed)


def test_a_cascade_without_any_certificate_is_whole_too(root, cascade_parts):
    ids = cascade_parts.calibration_ids
    reach = count_reach(codes_of(300, 120), np.ones(300), np.zeros(300))
    parts = dataclasses.replace(cascade_parts, paths=certified_paths(ids, answers=120), reach=reach)
    cascade = write_cascade(root / "cascade", parts)
    assert [path.certified for path in cascade.paths] == [False, False]


@pytest.mark.parametrize("name", ["cascade.json", "seen.npz"])
def test_no_byte_of_it_can_change(sealed, name):
    path = sealed / name
    data = bytearray(path.read_bytes())
    for position in range(0, len(data), max(1, len(data) // 40)):
        changed = bytearray(data)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(BundleError):
            open_cascade(sealed)


@pytest.mark.parametrize("name", ["cascade.json", "seen.npz"])
def test_a_missing_file_is_named(sealed, name):
    (sealed / name).unlink()
    with pytest.raises(BundleError, match=name):
        open_cascade(sealed)


def test_what_no_cascade_holds_is_refused(sealed):
    (sealed / "notes.txt").write_text("x")
    with pytest.raises(BundleError, match=r"notes\.txt"):
        open_cascade(sealed)
    (sealed / "notes.txt").unlink()
    (sealed / "seen.npz").rename(sealed.parent / "seen.npz")
    (sealed / "seen.npz").symlink_to(sealed.parent / "seen.npz")
    with pytest.raises(BundleError, match=r"seen\.npz"):
        open_cascade(sealed)
    with pytest.raises(BundleError, match="not a cascade"):
        open_cascade(sealed / "cascade.json")


def test_another_bundle_in_a_stages_place_is_refused(root, sealed, factory):
    shutil.rmtree(sealed / "stages" / "big")
    write_bundle(sealed / "stages" / "big", factory.make_parts(root / "parts" / "other", name="big"))
    with pytest.raises(BundleError, match="not the bundle of stage 'big'"):
        open_cascade(sealed)


def test_a_changed_or_missing_stage_is_refused(root, sealed):
    card = sealed / "stages" / "big" / "CARD.md"
    card.write_text(card.read_text() + "!")
    with pytest.raises(BundleError, match=r"CARD\.md"):
        open_cascade(sealed)
    shutil.rmtree(sealed / "stages" / "big")
    with pytest.raises(BundleError, match="big"):
        open_cascade(sealed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v["stages"][1].update(path="../big"), "path"),
        (lambda v: v["reach"]["roadwork"].__setitem__(0, 299), "reach"),
        (lambda v: v["reach"]["none"].reverse() or v["reach"]["none"].__setitem__(1, 5), "reach"),
        (lambda v: v["stages"][1].update(cost=-1.0), "cost"),
        (lambda v: v["stages"][1].update(deadline_ms=0.0), "deadline_ms"),
        (lambda v: v["stages"][1].update(fallback="answer"), "fallback"),
        (lambda v: v["stages"][1].update(name="small"), "one name"),
        (lambda v: v["stages"].pop(), "stages"),
        (lambda v: v["paths"].pop(), "as many paths"),
        (lambda v: v["paths"].reverse(), "paths"),
        (lambda v: v["paths"][1].update(refusal="why"), "refusal"),
        (lambda v: v["paths"][1]["certificate"]["claims"][0].update(n=400, n_groups=400), "certificate"),
        (lambda v: v["paths"][1]["certificate"].update(calibration_sha256="e" * 64), "not those"),
        (lambda v: v.update(schema_version=2), "schema"),
        (lambda v: v.update(more=1), "more"),
    ],
)
def test_a_forged_manifest_is_refused_though_its_digest_fits(sealed, change, words):
    rewrite(sealed, change)
    with pytest.raises(BundleError, match=words):
        open_cascade(sealed)


def test_a_promise_of_the_first_stage_alone_cannot_be_moved_to_it(sealed):
    """The certificate of all stages, claimed for the first: its place says otherwise."""

    def swap(value):
        value["paths"][0], value["paths"][1] = (
            {**value["paths"][1], "n_stages": 1},
            {**value["paths"][0], "n_stages": 2},
        )

    rewrite(sealed, swap)
    with pytest.raises(BundleError, match="longer path is not"):
        open_cascade(sealed)


@pytest.mark.parametrize("part", ["train", "select", "calib"])
def test_pictures_that_a_stage_learned_from_certify_nothing(root, cascade_parts, factory, part):
    """`calib` too: the stage's thresholds were walked on them."""
    known = factory.sample_ids(part, 5)
    ids = [*factory.sample_ids("new pictures", 295), *known]
    parts = dataclasses.replace(cascade_parts, paths=certified_paths(ids), calibration_ids=tuple(ids))
    with pytest.raises(BundleError, match="5 of the 300 pictures"):
        write_cascade(root / "cascade", parts)
    assert not (root / "cascade").exists()


def test_the_listed_pictures_are_those_of_the_certificate(root, cascade_parts):
    parts = dataclasses.replace(cascade_parts, calibration_ids=cascade_parts.calibration_ids[:-1])
    with pytest.raises(BundleError, match="not those of the certificates"):
        write_cascade(root / "cascade", parts)


def test_parts_that_make_no_cascade_are_refused(root, cascade_parts):
    for changes in ({"stages": cascade_parts.stages[:1]}, {"name": "a b"}):
        with pytest.raises(ConfigError, match="no cascade"):
            write_cascade(root / "cascade", dataclasses.replace(cascade_parts, **changes))
    same = cascade_parts.stages[0]
    twice = (same, same.model_copy(update={"name": "again"}))
    with pytest.raises(BundleError, match="one digest"):
        write_cascade(root / "cascade", dataclasses.replace(cascade_parts, stages=twice))
    with pytest.raises(ConfigError, match="as many bundles"):
        write_cascade(root / "cascade", dataclasses.replace(cascade_parts, bundles=(root / "small",)))
    swapped = cascade_parts.bundles[::-1]
    with pytest.raises(BundleError, match="not the bundle of stage 'small'"):
        write_cascade(root / "cascade", dataclasses.replace(cascade_parts, bundles=swapped))
    assert not (root / "cascade").exists()
    (root / "full").mkdir()
    (root / "full" / "x").write_text("x")
    with pytest.raises(ConfigError, match="not empty"):
        write_cascade(root / "full", cascade_parts)
    with pytest.raises(ConfigError, match="not empty"):
        check_new_directory(root / "full" / "x")
    check_new_directory(root / "new")


def test_what_stages_learned_from_is_counted_by_stage_and_group(factory):
    small = SeenPictures.from_ids(train=factory.sample_ids("train", 4), calib=factory.sample_ids("mine", 3))
    big = SeenPictures.from_ids(select=factory.sample_ids("new", 2))
    ids = [*factory.sample_ids("train", 2), *factory.sample_ids("mine", 1), *factory.sample_ids("new", 5)]
    groups = [f"g{number // 2}" for number in range(8)]  # learned: rows 0 to 4, in g0, g1 and g2
    with pytest.raises(DataError) as caught:
        check_new_to_stages({"small": small, "big": big}, ids, groups, what="data set 'kerb'")
    for words in ("8 pictures of data set 'kerb'", "3 by stage 'small'", "2 by stage 'big'", "3 groups whole",
                  "(6 pictures", "'g0'"):  # fmt: skip
        assert words in str(caught.value)
    check_new_to_stages({"small": small, "big": big}, ids[5:], groups[5:], what="it")


def test_the_digest_is_of_everything(root, sealed, cascade_parts):
    other = dataclasses.replace(
        cascade_parts,
        stages=(cascade_parts.stages[0], cascade_parts.stages[1].model_copy(update={"cost": 21.0})),
    )
    assert write_cascade(root / "other", other).digest != open_cascade(sealed).digest
