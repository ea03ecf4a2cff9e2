"""A cascade on disk: whole, unchanged, its stages the sealed ones, its certificates on pictures new to them."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from workzone.bundle.cascade import (
    CascadeParts,
    CascadeStage,
    open_cascade,
    write_cascade,
)
from workzone.bundle.reader import open_bundle
from workzone.bundle.writer import write_bundle
from workzone.calibration.cascade import CascadeSettings, certify_cascade
from workzone.core.errors import BundleError, ConfigError
from workzone.core.scores import Scores
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


def certified_paths(ids, answers=250):
    """Positives, of which the first stage answers 100 and both together `answers`: too few for the first."""
    numbers = np.arange(len(ids))
    first, second = np.where(numbers < 100, 1, -1), np.where(numbers < answers, 1, -1)
    calib = scores_of(ids, np.ones(len(ids)))
    return certify_cascade(
        CascadeSettings(), calib, [first, second], split_sha256="c" * 64, dataset_sha256="d" * 64
    )


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
            path=f"../{name}",
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


def test_it_may_move_together_with_its_stages(root, sealed, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for name in ("small", "big", "cascade"):
        shutil.move(root / name, tmp_path / "elsewhere" / name)
    assert open_cascade(tmp_path / "elsewhere" / "cascade").paths[1].certified


def test_a_cascade_without_any_certificate_is_whole_too(root, cascade_parts):
    ids = cascade_parts.calibration_ids
    parts = dataclasses.replace(cascade_parts, paths=certified_paths(ids, answers=120))
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
    shutil.rmtree(root / "big")
    write_bundle(root / "big", factory.make_parts(root / "parts" / "other", name="big"))
    with pytest.raises(BundleError, match="not the bundle of stage 'big'"):
        open_cascade(sealed)


def test_a_changed_or_missing_stage_is_refused(root, sealed):
    card = root / "big" / "CARD.md"
    card.write_text(card.read_text() + "!")
    with pytest.raises(BundleError, match=r"CARD\.md"):
        open_cascade(sealed)
    shutil.rmtree(root / "big")
    with pytest.raises(BundleError, match="big"):
        open_cascade(sealed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v["stages"][1].update(path="/etc"), "not relative"),
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
    (root / "full").mkdir()
    (root / "full" / "x").write_text("x")
    with pytest.raises(ConfigError, match="not empty"):
        write_cascade(root / "full", cascade_parts)


def test_the_digest_is_of_everything(root, sealed, cascade_parts):
    other = dataclasses.replace(
        cascade_parts,
        stages=(cascade_parts.stages[0], cascade_parts.stages[1].model_copy(update={"cost": 21.0})),
    )
    assert write_cascade(root / "other", other).digest != open_cascade(sealed).digest
