"""Frames of one clip and copies of one picture share their group; pictures whose names say nothing do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.data.importers.clips import clip_of, picture_stem

HASH = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
OTHER = "ffffffffffffffffffffffffffffffff"


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        (f"train/images/street_mp4-123_jpg.rf.{HASH}.jpg", "street"),
        (f"valid/images/street_mp4-7_jpg.rf.{OTHER}.jpg", "street"),
        (f"75degree_1_MP4-12_jpg.rf.{HASH}.jpg", "75degree_1"),
        (f"vidA-0_jpg.rf.{HASH}.jpg", "vidA"),
        ("clip_frame_0012.png", "clip"),
        ("clip_frame12.png", "clip"),
        ("clip-0001.jpg", "clip"),
        ("pgh04_0458.jpg", "pgh04"),
        ("boston_4_9ed0f726_04050.jpg", "boston_4_9ed0f726"),
        ("two_parts_7.jpg", "two_parts_7"),
        ("IMG_1234.jpg", "IMG_1234"),
        (f"IMG_1234_jpg.rf.{HASH}.jpg", "IMG_1234"),
        ("frame_0012.jpg", "frame_0012"),
        ("000123.jpg", "000123"),
        ("-12.jpg", "-12"),
        ("street.v2.jpg", "street.v2"),
        ("no_suffix", "no_suffix"),
    ],
)
def test_the_rule(name, clip):
    assert clip_of(name) == clip


@given(
    st.from_regex(r"[A-Za-z][A-Za-z0-9 ]{0,20}_(mp4|mov)-[0-9]{1,5}", fullmatch=True),
    st.sampled_from(["jpg", "png", "JPG"]),
    st.sampled_from([HASH, OTHER]),
    st.sampled_from(["train/images/", "valid/images/", ""]),
)
def test_neither_hash_nor_part_nor_frame_number_separates(stem, suffix, rf, part):
    alone = clip_of(f"{stem}.{suffix}")
    copy = f"{part}{stem}_{suffix.lower()}.rf.{rf}.jpg"
    assert clip_of(copy) == alone
    assert picture_stem(copy) == stem


@given(st.text(min_size=1, max_size=60))
def test_any_name_has_a_group(name):
    assert clip_of(name) or not name.strip("/.")
