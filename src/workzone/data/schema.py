"""What the tables of a data set hold: columns, records of one row, and the manifest.

Knows names, types and ranges; does not know files or pyarrow. `id` and `path` are not part of a new
sample: they follow from the picture's bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workzone.core.types import Label

BoxCategory = Literal["roadwork", "hard_negative", "context"]
"""What an object says about road work: makes it, only looks like it, or is merely there."""

BOX_CATEGORIES: tuple[BoxCategory, ...] = ("roadwork", "hard_negative", "context")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Arrow type by name, and whether a value may be missing."""

    name: str
    type: Literal["string", "int8", "int32", "bool", "float64", "timestamp"]
    nullable: bool = False


SAMPLE_COLUMNS: tuple[Column, ...] = (
    Column("id", "string"),
    Column("path", "string"),
    Column("label", "int8"),
    Column("ambiguous", "bool"),
    Column("group", "string"),
    Column("source", "string", nullable=True),
    Column("lat", "float64", nullable=True),
    Column("lon", "float64", nullable=True),
    Column("captured_at", "timestamp", nullable=True),
    Column("camera", "string", nullable=True),
    Column("published_split", "string", nullable=True),
    Column("daytime", "string", nullable=True),
    Column("weather", "string", nullable=True),
    Column("environment", "string", nullable=True),
    Column("caption", "string", nullable=True),
    Column("synthetic", "bool"),
    Column("licence", "string", nullable=True),
    Column("width_px", "int32"),
    Column("height_px", "int32"),
)
"""`samples.parquet`: one row a picture; `path` is relative to the data set, `id` the SHA-256 of its bytes."""

BOXES_KNOWN = Column("boxes_known", "bool")
"""A further column of `samples.parquet`, there only where objects are known for some samples and not for others."""

BOX_COLUMNS: tuple[Column, ...] = (
    Column("sample_id", "string"),
    Column("type", "string"),
    Column("category", "string"),
    Column("x_px", "float64"),
    Column("y_px", "float64"),
    Column("width_px", "float64"),
    Column("height_px", "float64"),
    Column("visible", "float64"),
)
"""`boxes.parquet`: one row an object, where objects are known; (x, y) is the upper left corner."""

SPLIT_COLUMNS: tuple[Column, ...] = (
    Column("id", "string"),
    Column("group", "string"),
    Column("role", "string"),
)
"""`split.parquet`: one row a sample."""

LABEL_NAMES: Mapping[str, Label] = {
    "none": Label.NONE,
    "0": Label.NONE,
    "roadwork": Label.ROADWORK,
    "1": Label.ROADWORK,
    "unknown": Label.UNKNOWN,
    "-1": Label.UNKNOWN,
}
"""How a label may be written in a CSV or as the name of a directory (in any case)."""


@dataclass(frozen=True, slots=True)
class NewBox:
    """An object in a picture.

    Attributes:
        type: What it is, as "cone".
        category: What it says about road work.
        x_px: Left edge, in pixels of the stored picture.
        y_px: Upper edge.
        width_px: Width, at least 0.
        height_px: Height, at least 0.
        visible: The share of it that is not hidden, in [0, 1].
    """

    type: str
    category: BoxCategory
    x_px: float
    y_px: float
    width_px: float
    height_px: float
    visible: float


@dataclass(frozen=True, slots=True)
class NewSample:
    """A picture on its way into a data set.

    Attributes:
        image: The bytes of the picture file, stored unchanged.
        label: What is known of it.
        width_px: Width as decoded (orientation applied).
        height_px: Height as decoded.
        group: The sequence or place it came from; None makes it a group of its own.
        ambiguous: A person could not decide: never certified or measured on.
        boxes: Its objects, or None where they are not known: () says that there is none.
        origin: What messages call it, as a file name.
    """

    image: bytes
    label: Label
    width_px: int
    height_px: int
    group: str | None = None
    ambiguous: bool = False
    source: str | None = None
    lat: float | None = None
    lon: float | None = None
    captured_at: datetime | None = None
    camera: str | None = None
    published_split: str | None = None
    daytime: str | None = None
    weather: str | None = None
    environment: str | None = None
    caption: str | None = None
    synthetic: bool = False
    licence: str | None = None
    boxes: tuple[NewBox, ...] | None = None
    origin: str = ""


class DataSetManifest(BaseModel):
    """`dataset.json`: what the data set is called, and the hash over its tables.

    `schema_version` is raised when a column is added, removed, or changes its meaning; 2 has `BOXES_KNOWN`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal[1, 2] = 1
    name: str = Field(min_length=1, max_length=200)
    revision: str = Field(min_length=1, max_length=200)
    licence: str = Field(min_length=1, max_length=2000)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    samples: int = Field(ge=1)
    boxes: int | None = Field(ge=0, description="Rows of boxes.parquet; null where objects are not known.")
