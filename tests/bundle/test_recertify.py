"""A re-certified bundle: the same model, another promise, and a trace of where it came from."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest

from workzone.bundle.reader import open_bundle
from workzone.bundle.recertify import write_recertified
from workzone.bundle.seen import SeenPictures
from workzone.core.errors import ArtifactError, BundleError
from workzone.core.types import Opening, Role
from workzone.policy.calibrators import TemperatureCalibrator

OTHER = "d" * 64
NEW = frozenset({Opening(OTHER, Role.SELECT), Opening(OTHER, Role.CALIB)})
NEW_SEEN = SeenPictures.from_ids(select=["1" * 64], calib=["2" * 64, "3" * 64])


def recertify(bundle, out, policy, **changes):
    arguments = {
        "policy": policy,
        "calibrator": TemperatureCalibrator(temperature=2.0),
        "lineage": NEW,
        "seen": NEW_SEEN,
        "metrics": {"elsewhere": True},
        "card_note": "Certified in another city.",
        "created": datetime(2027, 1, 1, tzinfo=UTC),
    }
    arguments |= changes
    certificate = arguments["policy"].certificate
    if certificate is not None and "seen" in changes:
        named = dataclasses.replace(certificate, calibration_sha256=changes["seen"].sha256("calib"))
        arguments["policy"] = dataclasses.replace(arguments["policy"], certificate=named)
    return write_recertified(bundle, out, **arguments)


@pytest.fixture
def policy(factory):
    old = factory.certified_policy(t_lo=-1.5, seen=NEW_SEEN)
    return dataclasses.replace(old, certificate=dataclasses.replace(old.certificate, split_sha256=OTHER))


def test_model_stays_and_promise_changes(bundle_path, tmp_path, policy):
    old = open_bundle(bundle_path)
    new = open_bundle(recertify(old, tmp_path / "new", policy))
    for name in ("model.onnx", "model.safetensors"):
        assert new.manifest.files[name] == old.manifest.files[name]
    assert new.policy == policy
    assert new.manifest.recertified_from == old.digest != new.digest
    assert new.manifest.opened == NEW
    assert {Opening(*o) for o in new.manifest.ancestor_lineage} == old.manifest.opened
    assert new.golden.pictures == old.golden.pictures
    assert new.golden.tolerances == old.golden.tolerances
    np.testing.assert_array_equal(new.golden.logits, old.golden.logits)
    np.testing.assert_allclose(new.golden.probs, 1 / (1 + np.exp(-old.golden.logits / 2)))


def test_the_card_says_what_it_is_and_keeps_the_old(bundle_path, tmp_path, policy):
    old = open_bundle(bundle_path)
    card = open_bundle(recertify(old, tmp_path / "new", policy)).card
    assert old.digest[:12] in card
    assert "Certified in another city." in card
    assert policy.certificate.statement in card
    assert old.card in card


def test_without_a_certificate_the_card_says_so(bundle_path, tmp_path, factory):
    new = open_bundle(recertify(open_bundle(bundle_path), tmp_path / "new", factory.refusing_policy()))
    assert not new.policy.certified
    assert "No certificate. 58 more groups are needed." in new.card


def test_it_can_be_done_again_and_keeps_every_ancestor(bundle_path, tmp_path, policy, factory):
    one = open_bundle(recertify(open_bundle(bundle_path), tmp_path / "one", policy))
    third = frozenset({Opening("e" * 64, Role.CALIB)})
    seen = SeenPictures.from_ids(calib=["2" * 64, "4" * 64])
    two = open_bundle(recertify(one, tmp_path / "two", factory.refusing_policy(), lineage=third, seen=seen))
    assert {Opening(*o) for o in two.manifest.ancestor_lineage} == one.manifest.opened | {
        Opening(factory.SPLIT, r) for r in (Role.TRAIN, Role.SELECT, Role.CALIB)
    }
    first = factory.seen_pictures()
    for bundle in (one, two):
        assert set(bundle.seen.ids("ancestor_model")) == {*first.ids("train"), *first.ids("select")}
        assert len(bundle.seen.train) == 0
    assert set(one.seen.ids("ancestor_policy")) == set(first.ids("calib"))
    assert set(two.seen.ids("ancestor_policy")) == {*first.ids("calib"), "1" * 64, "2" * 64, "3" * 64}
    assert two.seen.ids("calib").tolist() == ["2" * 64, "4" * 64]  # what only a policy used may come again


@pytest.mark.parametrize("part", ["train", "select"])
@pytest.mark.parametrize("new", ["select", "calib"])
def test_what_the_model_learned_from_is_refused_in_every_generation(
    bundle_path, tmp_path, policy, factory, part, new
):
    """Also where the caller forgot to ask first."""
    learned = factory.sample_ids(part, 2)
    other = {"select": "calib", "calib": "select"}[new]
    seen = SeenPictures.from_ids(**{new: [*learned, "5" * 64], other: ["6" * 64]})
    bundle = open_bundle(bundle_path)
    for generation in ("one", "two"):
        with pytest.raises(BundleError, match=rf"2 pictures both in 'ancestor_model' and in '{new}'"):
            recertify(bundle, tmp_path / "refused", policy, seen=seen)
        assert not (tmp_path / "refused").exists()
        bundle = open_bundle(recertify(bundle, tmp_path / generation, policy))


def test_new_pictures_must_fit_the_new_lineage(bundle_path, tmp_path, policy):
    only_calib = SeenPictures.from_ids(calib=["2" * 64])
    with pytest.raises(BundleError, match=r"lists 0 pictures of 'select', its lineage names calib, select"):
        recertify(open_bundle(bundle_path), tmp_path / "new", policy, seen=only_calib)
    trained = SeenPictures.from_ids(train=["2" * 64])
    with pytest.raises(BundleError, match="'select' and 'calib' only"):
        recertify(open_bundle(bundle_path), tmp_path / "new", policy, seen=trained)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("role", [Role.TEST])
def test_it_may_not_know_test(bundle_path, tmp_path, policy, role):
    with pytest.raises(ArtifactError, match="test"):
        recertify(open_bundle(bundle_path), tmp_path / "new", policy, lineage=NEW | {Opening(OTHER, role)})
    assert not (tmp_path / "new").exists()


def test_a_certificate_of_the_old_split_is_refused(bundle_path, tmp_path, factory):
    with pytest.raises(BundleError, match="lineage"):
        recertify(open_bundle(bundle_path), tmp_path / "new", factory.certified_policy())


def test_a_model_that_changed_meanwhile_is_noticed(bundle_path, tmp_path, policy):
    old = open_bundle(bundle_path)
    (bundle_path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"model\.safetensors"):
        recertify(old, tmp_path / "new", policy)
    assert not (tmp_path / "new").exists()


def test_it_needs_neither_torch_nor_the_engine():
    code = (
        "import sys, workzone.bundle.recertify\n"
        "heavy = {'torch', 'onnxruntime', 'onnx', 'scipy', 'pyarrow', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert not [m for m in sys.modules if m.startswith('workzone.engine')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
