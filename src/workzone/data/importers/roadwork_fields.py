"""What an entry of a COCO file's `images` says beyond COCO: ROADWork's tags, place, video and description.

ROADWork (arXiv 2406.07661) adds `gps`, `city_name`, `video_info`, `scene_level_tags` (single words or lists) and
`scene_description` to its entries. Its tags mean what the table of `scene_tags` says. Frames of one video are one
group: source, city, video and sequence together, because the numbers of sequences repeat from city to city.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workzone.core.errors import DataError
from workzone.data.importers.cell_values import is_missing, parse_place, parse_text, parse_time
from workzone.data.importers.scene_tags import SceneTags
from workzone.data.importers.tally import Tally

SOURCE = "roadwork"
"""What ROADWork's pictures have as `source`; by it the known overlap with NATIX is noticed."""
_DIALECT = ("scene_level_tags", "video_info", "city_name", "scene_description")
_MAX_GROUP_PART = 200


@dataclass(frozen=True, slots=True)
class PictureFields:
    """What is known of a picture beside its boxes; each None where it is not said.

    Attributes:
        roadwork: Whether the entry has ROADWork's fields at all.
        group: Source, city, video and sequence.
        altered: Whether its tags say that traffic is led otherwise than usual.
    """

    roadwork: bool = False
    group: str | None = None
    lat: float | None = None
    lon: float | None = None
    captured_at: datetime | None = None
    daytime: str | None = None
    weather: str | None = None
    environment: str | None = None
    caption: str | None = None
    altered: bool = False

    def columns(self) -> dict[str, Any]:
        """Return the columns of a sample."""
        names = ("lat", "lon", "captured_at", "daytime", "weather", "environment", "caption")
        return {name: getattr(self, name) for name in names}


class FieldsReader:
    """Reads entries of one data set, and counts what is not understood.

    Args:
        tally: Told of it.
        with_time: Whether `date_captured` is when a picture was taken; Roboflow writes when it was uploaded.
    """

    def __init__(self, tally: Tally, *, with_time: bool = True) -> None:
        self._tally = tally
        self._with_time = with_time
        self._tags = SceneTags()

    def read(self, entry: Mapping[str, Any], where: str) -> PictureFields:
        """Return what an entry says.

        Raises:
            DataError: A field is not of its type; names it.
        """
        lat, lon = self._place(entry.get("gps"), where)
        captured_at = self._time(entry.get("date_captured"), where)
        if not any(name in entry for name in _DIALECT):
            return PictureFields(lat=lat, lon=lon, captured_at=captured_at)
        tags = _object(entry, "scene_level_tags", where)
        return PictureFields(
            roadwork=True,
            group=_group(entry, where),
            lat=lat,
            lon=lon,
            captured_at=captured_at,
            daytime=self._tags.ours("daytime", tags.get("daytime")),
            weather=self._tags.ours("weather", tags.get("weather")),
            environment=self._tags.ours("environment", tags.get("scene_environment")),
            caption=_text(entry, "scene_description", where),
            altered=self._tags.ours("travel_alteration", tags.get("travel_alteration")) == "altered",
        )

    def finish(self) -> None:
        """Note the tags that the table does not have."""
        for sentence in self._tags.notes():
            self._tally.add(sentence)

    def _place(self, value: Any, where: str) -> tuple[float | None, float | None]:
        try:
            place = parse_place(value)
        except ValueError:
            self._tally.add("{n} pictures have a 'gps' that is no place; it is null.", where)
            place = None
        return place or (None, None)

    def _time(self, value: Any, where: str) -> datetime | None:
        if not self._with_time:
            return None
        try:
            return parse_time(value)
        except ValueError:
            self._tally.add("{n} pictures have a 'date_captured' that is no time; it is null.", where)
            return None


def _group(entry: Mapping[str, Any], where: str) -> str | None:
    video = _object(entry, "video_info", where)
    parts = [_text(entry, "city_name", where), *(_word(video, name, where) for name in ("vid_id", "seq_id"))]
    if parts[1:] == [None, None]:
        return None
    return "/".join([SOURCE, *("-" if part is None else part[:_MAX_GROUP_PART] for part in parts)])


def _object(entry: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = entry.get(name)
    if is_missing(value):
        return {}
    if not isinstance(value, Mapping):
        raise DataError(f"'{name}' of {where} is {type(value).__name__}, expected an object.")
    return value


def _text(entry: Mapping[str, Any], name: str, where: str) -> str | None:
    value = entry.get(name)
    if value is not None and not isinstance(value, str):
        raise DataError(f"'{name}' of {where} is {type(value).__name__}, expected text.")
    return _storable(parse_text(value))


def _word(entry: Mapping[str, Any], name: str, where: str) -> str | None:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise DataError(
            f"'{name}' in 'video_info' of {where} is {type(value).__name__}, expected text or a number."
        )
    return _storable(parse_text(value))


def _storable(text: str | None) -> str | None:
    """Half a surrogate pair, which JSON can spell, is no Unicode text: it becomes a question mark."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")
