"""Cells in the spellings that occur, and in any other: understood, refused, never guessed at."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import DataError
from workzone.data.importers.cell_values import (
    MAX_CELL,
    parse_place,
    parse_tags,
    parse_text,
    parse_time,
    picture_bytes,
)

LATITUDES = st.floats(-90, 90).filter(lambda x: x != 0)
LONGITUDES = st.floats(-180, 180)
WORDS = st.text(
    st.characters(codec="latin-1", categories=("L", "N", "P", "S", "Zs"), exclude_characters="\xa0"),
    min_size=1,
)
TAGS = st.lists(WORDS.map(str.strip).filter(bool), max_size=5)
SPELLINGS = (
    "{lat!r}, {lon!r}",
    "({lat!r}, {lon!r})",
    "[{lat!r},{lon!r}]",
    "  {lat!r} {lon!r} ",
    "{lat!r};{lon!r}",
    '{{"lat": {lat!r}, "lon": {lon!r}}}',
    "{{'longitude': {lon!r}, 'latitude': {lat!r}}}",
    '{{"lat": "{lat!r}", "lng": "{lon!r}"}}',
    "lat={lat!r}, long={lon!r}",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(lat=LATITUDES, lon=LONGITUDES)
def test_a_place_survives_every_spelling(spelling, lat, lon):
    assert parse_place(spelling.format(lat=lat, lon=lon)) == (lat, lon)


@given(lat=LATITUDES, lon=LONGITUDES)
def test_a_place_may_be_a_list_or_a_record(lat, lon):
    assert parse_place([lat, lon]) == parse_place({"lon": lon, "lat": lat}) == (lat, lon)


def test_the_published_place():
    assert parse_place("[39.77160604, -86.18823935]") == (39.77160604, -86.18823935)


@pytest.mark.parametrize(
    "cell", [None, "", " ", "None", "nan", "[]", "0, 0", "(0.0, 0.0)", math.nan, [], "nan, nan"[:3]]
)
def test_no_place(cell):
    assert parse_place(cell) is None


@pytest.mark.parametrize(
    "cell",
    [
        "91, 0", "0, 181", "inf, 2", "1e400, 1", "12", "1, 2, 3", "somewhere", "{'lat': 1}", "{'x': 1, 'y': 2}",
        "{'lat': 1, 'lat': 2}", "1," + " " * 300 + "2", "__import__('os'), 1", [1], [1, 2, 3], ["a", "b"], 7, True,
        {"lat": 1, "lon": [2]}, [10**400, 1], [math.nan, 3.0],
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused(cell):
    with pytest.raises(ValueError):
        parse_place(cell)


@given(st.text(max_size=300))
def test_any_text_is_a_place_on_earth_or_refused(text):
    try:
        place = parse_place(text)
    except ValueError:
        return
    assert place is None or (abs(place[0]) <= 90 and abs(place[1]) <= 180)


@given(TAGS)
def test_lists_survive_as_lists_and_as_text_of_python_and_json(tags):
    expected = tuple(tags)
    assert parse_tags(tags) == expected
    assert parse_tags(repr(tags)) == expected
    assert parse_tags(repr(expected)) == expected
    assert parse_tags(json.dumps(tags, ensure_ascii=False)) == expected


@given(st.text(max_size=200))
def test_any_text_is_tags_without_outer_blanks(text):
    found = parse_tags(text)
    assert all(tag and tag == tag.strip() for tag in found)
    if not text.strip().startswith(("[", "(")):
        assert found == ((text.strip(),) if text.strip() else ())


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("['Partially Blocked', 'Lane Shift']", ("Partially Blocked", "Lane Shift")),
        ("['Sunny' 'Wet']", ("Sunny", "Wet")),  # as NumPy prints an array
        ("[Sunny, Wet]", ("Sunny", "Wet")),
        ("[None]", ()),
        ("['None']", ("None",)),  # a word of ROADWork: nothing is altered
        ("['open", ("['open",)),
        ("[nan]", ()),
        (None, ()),
        (math.nan, ()),
        (["Rain", None], ("Rain",)),
        ([], ()),
        (3, ("3",)),
        ("__import__('os').getcwd()", ("__import__('os').getcwd()",)),
    ],
)
def test_tags(cell, expected):
    assert parse_tags(cell) == expected


def test_a_list_of_absurd_length_is_one_tag_cut_off():
    assert parse_tags("[" + "'a'," * 100_000 + "]") == (("[" + "'a'," * 100_000)[:MAX_CELL],)


@pytest.mark.parametrize(
    "cell", [None, 0, 0.0, "0", "", "None", "1970-01-01", "1970-01-01T00:00:00Z", math.nan]
)
def test_a_time_of_zero_says_nothing(cell):
    assert parse_time(cell) is None


@pytest.mark.parametrize(
    "cell",
    [
        1_700_000_000, 1_700_000_000.0, "1700000000", 1_700_000_000_000, "2023-11-14 22:13:20",
        "2023-11-14T23:13:20+01:00", datetime.fromisoformat("2023-11-14 22:13:20"),
        datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    ],
)  # fmt: skip
def test_one_moment_in_many_spellings(cell):
    assert parse_time(cell) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_dates_without_a_time():
    assert parse_time("20231114") == parse_time(date(2023, 11, 14)) == datetime(2023, 11, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    "cell",
    [
        "yesterday",
        -5,
        2013,
        "99999999999999999999",
        1e30,
        True,
        [1],
        "2150-01-01",
        datetime.max.replace(tzinfo=UTC),
    ],
)
def test_what_is_no_time_of_a_picture_is_refused(cell):
    with pytest.raises(ValueError):
        parse_time(cell)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (" a ", "a"),
        (4, "4"),
        (4.0, "4"),
        (4.5, "4.5"),
        ("", None),
        (None, None),
        (math.nan, None),
        ("NaN", None),
    ],
)
def test_texts(cell, expected):
    assert parse_text(cell) == expected


def test_a_text_is_bounded_and_holds_no_zero_byte():
    assert parse_text("x\0y" + "z" * 20_000) == "xy" + "z" * (MAX_CELL - 3)


@pytest.mark.parametrize("wrap", [lambda b: b, lambda b: {"bytes": b, "path": "a.jpg"}])
def test_pictures_in_every_encoding(picture, wrap):
    image = picture(1)
    text = base64.b64encode(image).decode()
    lines = base64.encodebytes(image).decode()
    for encoded in (image, text, lines, f"data:image/jpeg;base64,{text}", text.encode()):
        assert picture_bytes(wrap(encoded), 10_000) == image


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (None, "no picture in this row"),
        (b"", "no picture in this row"),
        ({"bytes": None, "path": "/etc/passwd"}, "only the path '/etc/passwd'"),
        ({"bytes": None, "path": None}, "no picture in this row"),
        ("not base64!", "neither bytes nor base64"),
        (b"\xff\xd8\xff" + bytes(5000), "5,003 bytes, more than the 1,000"),
        ("A" * 8000, "more than the 1,000 bytes"),
    ],
)
def test_what_holds_no_picture_says_why(cell, reason):
    with pytest.raises(DataError, match=reason):
        picture_bytes(cell, 1000)


def test_bytes_of_another_kind_are_left_to_the_decoder():
    assert picture_bytes(b"plain text, no picture", 1000) == b"plain text, no picture"
