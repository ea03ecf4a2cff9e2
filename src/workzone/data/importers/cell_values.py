"""What single cells of published tables say: places, tags, times, pictures, in the spellings that occur.

Pure functions of one value, each bounded in length, each refusing what it does not understand instead of guessing.
Lists that were written as text ("['Sunny', 'Wet']") are taken apart by a pattern, never evaluated.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from workzone.core.errors import DataError
from workzone.imaging.header import sniff_format

MAX_CELL = 10_000
"""Characters of a text that are kept, as of a caption."""
_MAX_LIST = 4_096
_MAX_PLACE = 200
_MISSING = frozenset({"", "nan", "none", "null", "na", "n/a", "[]", "()", "{}"})
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
_PAIR = re.compile(rf"[\[(]?\s*({_NUMBER})(?:\s*[,;]\s*|\s+)({_NUMBER})\s*,?\s*[\])]?")
_NAMED = re.compile(rf"""['"]?([A-Za-z]+)['"]?\s*[:=]\s*['"]?({_NUMBER})['"]?""")
_NAMED_ALL = re.compile(rf"\{{?\s*{_NAMED.pattern}\s*[,;]\s*{_NAMED.pattern}\s*,?\s*\}}?")
_LATITUDE = frozenset({"lat", "latitude"})
_LONGITUDE = frozenset({"lon", "lng", "long", "longitude"})
_ITEM = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s,'"][^,'"]*)""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MILLISECONDS_FROM = 1e11
"""A Unix time above this (the year 5138 in seconds) is in milliseconds."""
_EARLIEST, _LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_BASIC_DATE = re.compile(r"(?:19|20)\d{6}")


def is_missing(value: Any) -> bool:
    """Return whether a cell says nothing: null, not a number, or a word for it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    if isinstance(value, str):
        return len(value) < 10 and value.strip().lower() in _MISSING
    return isinstance(value, Sequence | Mapping) and not value


def parse_text(value: Any) -> str | None:
    """Return a text without outer blanks, at most `MAX_CELL` long; whole numbers without a fraction; None: missing."""
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()[:MAX_CELL].replace("\0", "") or None


def parse_tags(value: Any) -> tuple[str, ...]:
    """Return the tags of a cell: a list, a list written as text (Python's, JSON's or NumPy's way), or one word.

    >>> parse_tags("['Partially Blocked', 'Lane Shift']"), parse_tags("Light"), parse_tags("[]")
    (('Partially Blocked', 'Lane Shift'), ('Light',), ())
    """
    if isinstance(value, str):
        text = value.strip()
        is_list = len(text) <= _MAX_LIST and (text[:1], text[-1:]) in {("[", "]"), ("(", ")")}
        found: Sequence[Any] = _items(text[1:-1]) if is_list else (text,)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        found = value
    else:
        found = () if is_missing(value) else (value,)
    # The quoted word "None" is a value of its own in some columns: only an empty one says nothing here.
    texts = (str(item).strip()[:MAX_CELL] for item in found if item is not None and item == item)
    return tuple(text for text in texts if text)


def parse_place(value: Any) -> tuple[float, float] | None:
    """Return (latitude, longitude) in degrees; None where there is none, (0, 0) included.

    Understands "lat, lon" with or without brackets, two numbers apart by a blank, {"lat": …, "lon": …} in either
    order, and lists or records of two numbers.

    Raises:
        ValueError: There is something, but no place on Earth.
    """
    if is_missing(value):
        return None
    if isinstance(value, str):
        pair = _place_of_text(value)
    elif isinstance(value, Mapping):
        pair = _place_of_names([(str(k), v) for k, v in value.items() if v is not None])
    elif isinstance(value, Sequence) and not isinstance(value, bytes) and len(value) == 2:
        pair = (value[0], value[1])
    else:
        raise ValueError("no two numbers")
    try:
        lat, lon = float(pair[0]), float(pair[1])
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("no two numbers") from error
    if math.isnan(lat) and math.isnan(lon):
        return None
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise ValueError("not degrees of latitude and longitude")
    return None if lat == lon == 0 else (lat, lon)


def parse_time(value: Any) -> datetime | None:
    """Return when a picture was taken; None where it is not said: missing, 0, or the start of 1970.

    Understands Unix times in seconds or milliseconds, also as text, and ISO 8601; without an offset it is UTC.

    Raises:
        ValueError: There is something else.
    """
    if is_missing(value):
        return None
    if isinstance(value, str):
        text = value.strip()[:64]
        is_number = re.fullmatch(_NUMBER, text) and not _BASIC_DATE.fullmatch(text)
        moment = _from_number(float(text)) if is_number else datetime.fromisoformat(text)
    elif isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        moment = _from_number(float(value))
    else:
        raise ValueError("no time")  # noqa: TRY004 - one error for whatever is no time
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no time") from error
    if moment.timestamp() == 0:
        return None
    if not _EARLIEST <= moment < _LATEST:
        raise ValueError("no time at which a digital camera took a picture")
    return moment


def picture_bytes(cell: Any, max_bytes: int) -> bytes:
    """Return the bytes of a picture: raw, in base64, or in a record with `bytes`, as `datasets` writes it.

    Raises:
        DataError: There are none, too many, or they are no base64; says why.
    """
    if isinstance(cell, Mapping):
        if cell.get("bytes") is None and cell.get("path"):
            raise DataError(
                f"only the path {str(cell['path'])[:200]!r} of the picture is in the table, its bytes are not"
            )
        cell = cell.get("bytes")
    if isinstance(cell, str):
        return _from_base64(cell, max_bytes)
    if not isinstance(cell, bytes) or not cell:
        raise DataError("there is no picture in this row")
    if len(cell) > max_bytes:
        raise DataError(f"the picture has {len(cell):,} bytes, more than the {max_bytes:,} that are read")
    if sniff_format(cell) is None and cell[:256].isascii():
        try:
            return _from_base64(cell.decode("ascii"), max_bytes)
        except (DataError, UnicodeDecodeError):
            return cell  # decoding says what it begins with
    return cell


def _items(text: str) -> list[str]:
    found = []
    for match in _ITEM.finditer(text):
        single, double, bare = match.groups()
        quoted = single if single is not None else double
        if quoted is not None:
            found.append(_ESCAPE.sub(r"\1", quoted))
        elif not is_missing(bare):
            found.append(bare)
    return found


def _place_of_text(value: str) -> tuple[Any, Any]:
    text = value.strip()
    if len(text) > _MAX_PLACE:
        raise ValueError("too long")
    if match := _PAIR.fullmatch(text):
        return match[1], match[2]
    if _NAMED_ALL.fullmatch(text):
        return _place_of_names(_NAMED.findall(text))
    raise ValueError("no two numbers")


def _place_of_names(named: Sequence[tuple[str, Any]]) -> tuple[Any, Any]:
    lat = [number for name, number in named if name.lower() in _LATITUDE]
    lon = [number for name, number in named if name.lower() in _LONGITUDE]
    if len(lat) != 1 or len(lon) != 1:
        raise ValueError("no latitude and longitude by name")
    return lat[0], lon[0]


def _from_number(number: float) -> datetime:
    seconds = number / 1000 if abs(number) >= _MILLISECONDS_FROM else number
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError("no time") from error


def _from_base64(text: str, max_bytes: int) -> bytes:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    if len(text) > max_bytes * 4 // 3 + max_bytes // 32 + 4:  # with its line breaks
        raise DataError(f"the picture has more than the {max_bytes:,} bytes that are read")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"the picture is neither bytes nor base64 ({error})") from error
