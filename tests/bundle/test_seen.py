"""What a bundle has learned from: found again among any ids, the same bytes each time, nothing hostile read."""

from __future__ import annotations

import dataclasses
import io
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.bundle.seen import (
    ID_BYTES,
    Part,
    SeenPictures,
    check_unseen,
    seen_from_bytes,
    seen_to_bytes,
)
from workzone.core.errors import BundleError, ConfigError, DataError

LIMIT = 1 << 20
ZERO, ONE = "0" * 64, "0" * 63 + "1"

# Few leading and trailing bytes, zeros among them: what byte strings of NumPy could confuse.
IDS = st.lists(
    st.tuples(st.sampled_from([0, 1, 255]), st.sampled_from([0, 1, 128])).map(
        lambda ends: (bytes([ends[0]]) + b"\0" * 30 + bytes([ends[1]])).hex()
    )
    | st.binary(min_size=32, max_size=32).map(bytes.hex),
    max_size=12,
)


def arrays_of(seen):
    return {str(part): getattr(seen, part) for part in Part}


def npz(arrays, **options):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, **options)
    return buffer.getvalue()


@pytest.fixture
def seen(factory):
    return factory.seen_pictures()


@given(IDS, IDS, IDS)
def test_membership_is_that_of_sets(train, calib, wanted):
    calib = [i for i in calib if i not in train]
    seen = SeenPictures.from_ids(train=train, calib=calib)
    asked = wanted + train + calib
    assert seen.overlap(asked).tolist() == [i in {*train, *calib} for i in asked]
    assert seen.overlap_with(asked, parts=["calib"]).tolist() == [i in calib for i in asked]
    assert not seen.overlap_with(asked, parts=["select", "ancestor_model"]).any()
    assert seen.ids("train").tolist() == sorted(set(train))
    assert seen.ids("calib").tolist() == sorted(set(calib))


@given(IDS, st.randoms())
def test_the_same_pictures_give_the_same_bytes_in_any_order(ids, random):
    shuffled = [*ids, *ids[:3]]
    random.shuffle(shuffled)
    written = seen_to_bytes(SeenPictures.from_ids(calib=ids))
    assert seen_to_bytes(SeenPictures.from_ids(calib=shuffled)) == written
    assert seen_to_bytes(seen_from_bytes(written, LIMIT)) == written


def test_the_file_holds_hashes_and_nothing_else(seen, factory):
    with np.load(io.BytesIO(seen_to_bytes(seen)), allow_pickle=False) as file:
        assert set(file.files) == {"train", "select", "calib", "ancestor_model", "ancestor_policy"}
        assert {file[name].dtype for name in file.files} == {np.dtype(np.uint8)}
        assert file["train"].shape == (40, 32)
        assert {row.tobytes().hex() for row in file["select"]} == set(factory.sample_ids("select", 10))


@given(IDS)
def test_the_hash_is_the_one_that_certificates_name(ids):
    """The packages do not know each other; the certificate is made in `calibration`."""
    from workzone.calibration.certificate import hash_ids

    unique = np.array(sorted(set(ids), reverse=True), dtype=np.str_)
    assert SeenPictures.from_ids(calib=ids).sha256("calib") == hash_ids(unique)


def test_no_pictures_at_all():
    seen = SeenPictures.from_ids()
    assert len(seen) == 0
    assert seen.ids("calib").shape == seen.overlap([]).shape == (0,)
    assert not seen.overlap([ZERO, ONE]).any()
    check_unseen(seen, [], [], what="nothing")


@pytest.mark.parametrize(
    "bad", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, " " * 64, "é" * 64, "0" * 62 + " 0"]
)
def test_what_is_no_sample_id_is_refused(seen, bad):
    with pytest.raises(DataError, match="is no sample id; expected 64"):
        SeenPictures.from_ids(train=[ONE, bad])
    with pytest.raises(DataError, match="is no sample id"):
        seen.overlap([bad])


def test_ids_cut_in_another_place_are_refused():
    """Joined they are two whole ids."""
    with pytest.raises(DataError, match="is no sample id"):
        SeenPictures.from_ids(train=["0" * 63, "0" * 65])


@pytest.mark.parametrize("part", ["test", "trian"])
def test_a_part_that_is_none(seen, part):
    with pytest.raises(ConfigError, match=f"no part '{part}'"):
        seen.ids(part)
    with pytest.raises(ConfigError, match=f"no part '{part}'"):
        seen.overlap_with([ZERO], parts=[part])


@pytest.mark.parametrize(("one", "other"), [("train", "select"), ("train", "calib"), ("select", "calib")])
def test_parts_of_a_bundle_that_share_a_picture_are_refused(one, other):
    with pytest.raises(BundleError, match=f"1 pictures both in '{one}' and in '{other}'"):
        SeenPictures.from_ids(**{one: [ZERO, ONE], other: [ONE]})


def two_rows(first, second):
    rows = np.zeros((2, ID_BYTES), dtype=np.uint8)
    rows[:, -1] = first, second
    return rows


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((1, 31), dtype=np.uint8), "expected uint8"),
        (np.zeros(32, dtype=np.uint8), "expected uint8"),
        (np.zeros((1, 32, 1), dtype=np.uint8), "expected uint8"),
        (np.zeros((1, 32), dtype=np.int8), "expected uint8"),
        (np.zeros((1, 32), dtype=np.float64), "expected uint8"),
        (np.array([ZERO]), "expected uint8"),
        (two_rows(2, 1), "not sorted"),
        (two_rows(255, 0), "not sorted"),
        (two_rows(1, 1), "twice"),
    ],
)
def test_hostile_arrays_are_refused(seen, array, says):
    with pytest.raises(BundleError, match=rf"seen\.npz.*'ancestor_policy'.*{says}"):
        seen_from_bytes(npz(arrays_of(seen) | {"ancestor_policy": array}), LIMIT)


def test_other_arrays_than_the_five_are_refused(seen):
    arrays = arrays_of(seen)
    with pytest.raises(BundleError, match="holds the arrays"):
        seen_from_bytes(npz(arrays | {"test": arrays["train"]}), LIMIT)
    with pytest.raises(BundleError, match="holds the arrays"):
        seen_from_bytes(npz({name: a for name, a in arrays.items() if name != "calib"}), LIMIT)


def test_objects_are_not_unpickled(seen):
    objects = np.array([print], dtype=object)
    with pytest.raises(BundleError, match=r"seen\.npz"):
        seen_from_bytes(npz(arrays_of(seen) | {"calib": objects}, allow_pickle=True), LIMIT)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x93NUMPY", b"x" * 100])
def test_what_is_no_file_of_arrays_is_refused(data):
    with pytest.raises(BundleError, match=r"seen\.npz"):
        seen_from_bytes(data, LIMIT)


def test_a_claim_of_terabytes_takes_no_memory(seen):
    """A header may claim any shape; the bytes that follow it count."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for part in Part:
            with archive.open(f"{part}.npy", "w") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": (10**12, ID_BYTES)}
                np.lib.format.write_array_header_1_0(file, header)
                file.write(bytes(ID_BYTES))
    with pytest.raises(BundleError, match=r"seen\.npz.*claims shape"):
        seen_from_bytes(buffer.getvalue(), LIMIT)


def test_what_unpacks_to_too_much_is_refused(seen):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays_of(seen) | {"calib": np.zeros((1 << 16, 32), dtype=np.uint8)})
    assert len(buffer.getvalue()) < LIMIT
    with pytest.raises(BundleError, match="unpacks to"):
        seen_from_bytes(buffer.getvalue(), LIMIT)


def test_more_pictures_than_the_bound_are_refused(seen, monkeypatch):
    monkeypatch.setattr("workzone.bundle.seen.MAX_PICTURES", len(seen) - 1)
    with pytest.raises(BundleError, match="at most"):
        dataclasses.replace(seen)


def test_training_pictures_are_refused_with_their_groups(seen, factory):
    ids = ["e" * 64, *factory.sample_ids("train", 2), factory.sample_ids("select", 1)[0], "f" * 64]
    groups = ["park", "park", "quay", "quay", "road"]
    with pytest.raises(DataError, match=r"^3 of the 5 pictures of data set 'kerb'") as refused:
        check_unseen(seen, ids, groups, what="data set 'kerb'")
    assert "their 2 groups whole (4 pictures, such as group 'park')" in str(refused.value)


def test_calibration_pictures_may_come_again_but_are_known(seen, factory):
    """The model never saw them; a comparison must still not count them as fresh."""
    ids = factory.sample_ids("calib", 20)
    check_unseen(seen, ids, ["g"] * 20, what="them")
    assert seen.overlap(ids).all()


def test_the_model_keeps_its_pictures_over_generations(seen, factory):
    new = [
        SeenPictures.from_ids(select=factory.sample_ids(f"s{g}", 4), calib=factory.sample_ids(f"c{g}", 6))
        for g in range(3)
    ]
    child = seen
    for generation, fresh in enumerate(new):
        child = child.recertified(fresh)
        assert set(child.ids("ancestor_model")) == {*seen.ids("train"), *seen.ids("select")}
        assert child.ids("select").tolist() == fresh.ids("select").tolist()
        assert child.ids("calib").tolist() == fresh.ids("calib").tolist()
        replaced = [i for old in new[:generation] for p in ("select", "calib") for i in old.ids(p)]
        assert set(child.ids("ancestor_policy")) == {*seen.ids("calib"), *replaced}
        for part in ("train", "select"):
            with pytest.raises(DataError, match="1 of the 1"):
                check_unseen(child, seen.ids(part)[:1], ["g"], what="it")
        for policy_only in (seen.ids("calib"), child.ids("select"), child.ids("calib")):
            check_unseen(child, policy_only, ["g"] * len(policy_only), what="it")
            assert child.overlap(policy_only).all()
        assert child.overlap(seen.ids("train")).all()
        assert seen_to_bytes(seen_from_bytes(seen_to_bytes(child), LIMIT)) == seen_to_bytes(child)


def test_one_picture_recertified_on_itself_is_found_whatever_it_was(seen):
    with pytest.raises(BundleError, match="'ancestor_model' and in 'calib'"):
        seen.recertified(SeenPictures.from_ids(calib=seen.ids("train")[:1]))


def test_many_pictures_take_no_loop():
    rng = np.random.default_rng(0)
    text = rng.bytes(200_000 * ID_BYTES).hex()
    ids = np.array([text[i : i + 64] for i in range(0, len(text), 64)])
    started = time.process_time()
    seen = SeenPictures.from_ids(train=ids[:100_000], calib=ids[100_000:150_000])
    known = seen.overlap(ids)
    assert time.process_time() - started < 5  # 0.3 s where it was written
    np.testing.assert_array_equal(known, np.arange(len(ids)) < 150_000)
