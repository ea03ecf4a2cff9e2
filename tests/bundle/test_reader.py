"""A bundle is opened only if nothing of it was changed: each way of changing it is tried."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from workzone.bundle.files import MAX_BYTES, REQUIRED
from workzone.bundle.manifest import render_manifest
from workzone.bundle.reader import open_bundle
from workzone.bundle.seen import Part, SeenPictures, seen_to_bytes
from workzone.bundle.writer import write_bundle
from workzone.core.errors import BundleError
from workzone.core.types import Opening, Role
from workzone.policy.policies import policy_to_json
from workzone.storage.hashing import sha256_bytes, sha256_json

FILES = [
    "CARD.md",
    "bundle.json",
    "golden.npz",
    "metrics.json",
    "model.onnx",
    "model.safetensors",
    "policy.json",
    "seen.npz",
]


def reseal(path, **changes):
    """Write a manifest that fits the files again, as one who changes a bundle on purpose would."""
    value = json.loads((path / "bundle.json").read_bytes())
    value.pop("digest")
    names = [f.name for f in path.iterdir() if f.name != "bundle.json"]
    value["files"] = {name: sha256_bytes((path / name).read_bytes()) for name in names}
    value |= changes
    value["digest"] = sha256_json(value)
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (path / "bundle.json").write_text(text, encoding="utf-8")


def test_a_whole_bundle_opens_with_all_its_parts(bundle_path, parts, factory):
    bundle = open_bundle(bundle_path)
    assert sorted(f.name for f in bundle_path.iterdir()) == FILES
    assert bundle.calibrator == parts.calibrator
    assert bundle.policy == parts.policy
    assert bundle.preprocessing == parts.preprocessing
    assert bundle.model_path.read_bytes() == parts.model.read_bytes()
    assert bundle.card == parts.card
    assert bundle.metrics == parts.metrics
    for part in Part:
        np.testing.assert_array_equal(bundle.seen.ids(part), parts.seen.ids(part))
    assert bundle.manifest.created == factory.CREATED
    assert bundle.manifest.opened == parts.lineage
    assert bundle.golden.pictures == parts.golden.pictures
    np.testing.assert_array_equal(bundle.golden.logits, parts.golden.logits)


def test_the_files_named_by_the_design_are_those_required():
    assert sorted(REQUIRED) == FILES
    assert {"bundle.json", "policy.json", "golden.npz"} <= MAX_BYTES.keys()


def test_the_same_parts_give_the_same_bytes(tmp_path, parts):
    write_bundle(tmp_path / "one", parts)
    write_bundle(tmp_path / "two", parts)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_digest_covers_the_manifest(bundle_path):
    value = json.loads((bundle_path / "bundle.json").read_bytes())
    digest = value.pop("digest")
    assert digest == sha256_json(value) == open_bundle(bundle_path).digest


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_byte_is_noticed_and_the_file_named(bundle_path, name):
    path = bundle_path / name
    whole = path.read_bytes()
    rng = np.random.default_rng(7)
    places = {0, 1, len(whole) // 2, len(whole) - 2, len(whole) - 1}
    places |= set(rng.integers(0, len(whole), 40).tolist())
    for place in sorted(places):
        for bit in (0, 1, 5):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            with pytest.raises(BundleError, match=name):
                open_bundle(bundle_path)
    path.write_bytes(whole)
    open_bundle(bundle_path)


def test_every_byte_of_the_manifest_counts(bundle_path):
    """Also white space and the case of a hash: its text is canonical."""
    path = bundle_path / "bundle.json"
    whole = path.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x03 if whole[place] == 0x0A else 0x20  # newline to tab, a to A, space to NUL
        path.write_bytes(changed)
        with pytest.raises(BundleError, match=r"bundle\.json"):
            open_bundle(bundle_path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_off_empty_or_longer_is_refused(bundle_path, name):
    path = bundle_path / name
    whole = path.read_bytes()
    for content in (whole[:-1], b"", whole + b"\n"):
        path.write_bytes(content)
        with pytest.raises(BundleError, match=name):
            open_bundle(bundle_path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(bundle_path, name):
    (bundle_path / name).unlink()
    with pytest.raises(BundleError, match=name):
        open_bundle(bundle_path)


@pytest.mark.parametrize("name", ["notes.txt", "model-int8.onnx", ".DS_Store", "policy.pkl"])
def test_a_file_too_much_is_named(bundle_path, name):
    (bundle_path / name).write_bytes(b"x")
    with pytest.raises(BundleError, match=name):
        open_bundle(bundle_path)


def test_links_and_directories_are_refused(bundle_path, tmp_path):
    card = bundle_path / "CARD.md"
    shutil.move(card, tmp_path / "elsewhere.md")
    card.symlink_to(tmp_path / "elsewhere.md")
    with pytest.raises(BundleError, match=r"CARD\.md.*link"):
        open_bundle(bundle_path)
    card.unlink()
    card.mkdir()
    with pytest.raises(BundleError, match=r"CARD\.md"):
        open_bundle(bundle_path)


def test_size_is_bounded_before_reading(bundle_path):
    with (bundle_path / "golden.npz").open("r+b") as handle:
        handle.truncate(MAX_BYTES["golden.npz"] + 1)  # sparse: costs no disk
    with pytest.raises(BundleError, match=r"golden\.npz.*at most"):
        open_bundle(bundle_path)


def test_a_newer_schema_version_says_which(bundle_path):
    reseal(bundle_path, schema_version=7)
    with pytest.raises(BundleError, match=r"schema version 7.*reads version 3"):
        open_bundle(bundle_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"unheard_of": 1}, "unheard_of"),
        ({"views": 0}, "views"),
        ({"views": 2}, "views"),
        ({"name": "../x"}, "name"),
        ({"calibrator": {"kind": "isotonic"}}, "isotonic"),
        ({"policy_kind": "gate"}, "gate"),
        ({"serving": {"model_file": "../model.onnx", "precision": "fp32"}}, "model_file"),
        (
            {"serving": {"model_file": "model-int8.onnx", "precision": "int8", "backend": "x"}},
            "model-int8.onnx",
        ),
        ({"lineage": []}, "lineage"),
        ({"lineage": [["a" * 64, "calib"], ["a" * 64, "test"]]}, "test"),
        ({"lineage": [["a" * 64, "calib"], ["c" * 64, "train"]]}, "mix"),
        ({"ancestor_lineage": [["c" * 64, "test"]]}, "test"),
    ],
)
def test_a_resealed_manifest_that_is_wrong_is_refused(bundle_path, changes, says):
    """Integrity does not help against who reseals; the rules still hold."""
    reseal(bundle_path, **changes)
    with pytest.raises(BundleError, match=says):
        open_bundle(bundle_path)


@pytest.mark.parametrize("text", ["[]", "null", "{", "[" * 5000, '{"schema_version": "1"}', "\x00"])
def test_what_is_no_manifest_is_refused(bundle_path, text):
    (bundle_path / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        open_bundle(bundle_path)


@pytest.mark.parametrize(("key", "value"), [("n", 400), ("events", 0), ("bound", 0.01), ("alpha", 0.02)])
def test_a_resealed_certificate_is_derived_again(bundle_path, parts, key, value):
    policy = policy_to_json(parts.policy)
    policy["certificate"]["claims"][0][key] = value
    (bundle_path / "policy.json").write_text(json.dumps(policy))
    reseal(bundle_path)
    with pytest.raises(BundleError, match=r"policy\.json.*certificate"):
        open_bundle(bundle_path)


def test_a_certificate_of_another_split_does_not_belong(bundle_path, parts):
    policy = policy_to_json(parts.policy)
    policy["certificate"]["split_sha256"] = "c" * 64
    (bundle_path / "policy.json").write_text(json.dumps(policy))
    reseal(bundle_path)
    with pytest.raises(BundleError, match="lineage"):
        open_bundle(bundle_path)


@pytest.mark.parametrize("version", [0, 1])
def test_a_bundle_of_an_older_schema_says_what_to_do(bundle_path, version):
    (bundle_path / "seen.npz").unlink()  # it had none
    reseal(bundle_path, schema_version=version)
    with pytest.raises(BundleError, match=rf"schema version {version}.*reads version 3.*[Pp]ack it again"):
        open_bundle(bundle_path)


@pytest.mark.parametrize("part", ["train", "select", "calib"])
def test_pictures_and_lineage_must_name_the_same_roles(bundle_path, factory, part):
    ids = {p: factory.sample_ids(p, 5) for p in ("train", "select", "calib") if p != part}
    (bundle_path / "seen.npz").write_bytes(seen_to_bytes(SeenPictures.from_ids(**ids)))
    reseal(bundle_path)
    with pytest.raises(BundleError, match=rf"lists 0 pictures of '{part}', its lineage names"):
        open_bundle(bundle_path)


def test_ancestors_without_a_recertification_are_refused(bundle_path, factory):
    seen = factory.seen_pictures()
    for part in ("ancestor_model", "ancestor_policy"):
        listed = dataclasses.replace(seen, **{part: SeenPictures.from_ids(train=["0" * 64]).train})
        (bundle_path / "seen.npz").write_bytes(seen_to_bytes(listed))
        reseal(bundle_path)
        with pytest.raises(BundleError, match="ancestors"):
            open_bundle(bundle_path)


def test_a_resealed_list_that_hides_what_was_learned_from_is_refused(bundle_path, parts):
    """Whoever adds training pictures to `calib` is told, whatever the hashes say."""
    import io

    both = np.unique(np.concatenate([parts.seen.calib, parts.seen.train[:3]]), axis=0)
    arrays = {str(p): getattr(parts.seen, p) for p in Part} | {"calib": both}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    (bundle_path / "seen.npz").write_bytes(buffer.getvalue())
    reseal(bundle_path)
    with pytest.raises(BundleError, match=r"seen\.npz.*3 pictures both in 'train' and in 'calib'"):
        open_bundle(bundle_path)


def test_other_calibration_pictures_than_the_certificate_names_are_refused(bundle_path, factory):
    ids = {part: factory.sample_ids(part, 20) for part in ("train", "select", "calib")}
    other = SeenPictures.from_ids(**ids | {"calib": [*ids["calib"][1:], "0" * 64]})
    (bundle_path / "seen.npz").write_bytes(seen_to_bytes(other))
    reseal(bundle_path)
    with pytest.raises(BundleError, match=r"20 pictures of 'calib' in seen\.npz are not those"):
        open_bundle(bundle_path)


def test_no_bundle_at_all(tmp_path):
    with pytest.raises(BundleError, match="nothing"):
        open_bundle(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="it is a file"):
        open_bundle(tmp_path / "file")


def test_the_manifest_renders_to_its_own_bytes(bundle_path):
    bundle = open_bundle(bundle_path)
    assert render_manifest(bundle.manifest) == (bundle_path / "bundle.json").read_bytes()


def test_parts_that_do_not_belong_together_leave_nothing(tmp_path, parts):
    wrong = dataclasses.replace(parts, lineage=frozenset({Opening("c" * 64, Role.CALIB)}))
    with pytest.raises(BundleError):
        write_bundle(tmp_path / "bundle", wrong)
    assert [p.name for p in tmp_path.iterdir()] == ["parts"]
