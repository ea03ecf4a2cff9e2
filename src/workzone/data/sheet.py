"""Many small pictures on one: what a person looks at before believing a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from workzone.core.errors import ConfigError
from workzone.core.types import Label
from workzone.data.dataset import DataSet
from workzone.data.schema import NewBox
from workzone.imaging.decode import decode_image
from workzone.storage.atomic import atomic_path

MAX_SHEET_PIXELS = 100_000_000
_CAPTION_PX = 16
_GAP_PX = 4
_BACKGROUND = (24, 24, 24)
_INK = (235, 235, 235)
_BOX_COLOURS = {"roadwork": (255, 80, 0), "hard_negative": (0, 200, 255), "context": (120, 220, 120)}


def contact_sheet(
    pictures: Sequence[tuple[Path | NDArray[np.uint8], str]],
    columns: int,
    cell_px: int,
    out: Path,
    boxes: Sequence[Sequence[NewBox]] | None = None,
) -> None:
    """Write a sheet of pictures with their captions, as PNG or JPEG by the suffix of `out`.

    Args:
        pictures: A path or RGB pixels, and one line of text, which is cut where it does not fit.
        columns: Pictures in a row.
        cell_px: Width and greatest height of a picture on the sheet.
        out: Where the sheet goes.
        boxes: Objects to draw on each picture, in pixels of the picture.

    Raises:
        ConfigError: There is no picture, the suffix is not known, or the sheet would be too large.
        DataError: A picture cannot be decoded.
    """
    kind = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}.get(out.suffix.lower())
    if kind is None:
        raise ConfigError(f"A contact sheet is a .png or .jpg, not '{out.name}'.")
    if not pictures or columns < 1 or cell_px < 16:
        raise ConfigError("A contact sheet needs a picture, a column, and cells of 16 pixels.")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    width = columns * (cell_px + _GAP_PX) + _GAP_PX
    if width * rows * (cell_px + _CAPTION_PX + _GAP_PX) > MAX_SHEET_PIXELS:
        raise ConfigError(f"A sheet of {len(pictures)} cells of {cell_px} pixels is too large; show less.")
    thumbnails = [
        _thumbnail(picture, cell_px, boxes[index] if boxes else ())
        for index, (picture, _) in enumerate(pictures)
    ]
    strips = [
        _strip(thumbnails[i : i + columns], [text for _, text in pictures[i : i + columns]], width, cell_px)
        for i in range(0, len(pictures), columns)
    ]
    sheet = Image.new("RGB", (width, sum(strip.height for strip in strips)), _BACKGROUND)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    with atomic_path(out) as temporary:
        sheet.save(temporary, format=kind, **({"quality": 90} if kind == "JPEG" else {}))


def _strip(
    thumbnails: Sequence[Image.Image], captions: Sequence[str], width: int, cell_px: int
) -> Image.Image:
    """One row, as high as its highest picture."""
    height = max(thumbnail.height for thumbnail in thumbnails)
    strip = Image.new("RGB", (width, _GAP_PX + height + _CAPTION_PX), _BACKGROUND)
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size=11)
    for column, (thumbnail, caption) in enumerate(zip(thumbnails, captions, strict=True)):
        x = _GAP_PX + column * (cell_px + _GAP_PX)
        left, top = (cell_px - thumbnail.width) // 2, (height - thumbnail.height) // 2
        strip.paste(thumbnail, (x + left, _GAP_PX + top))
        draw.text((x + 2, _GAP_PX + height + 1), _cut(caption, draw, font, cell_px - 4), fill=_INK, font=font)
    return strip


def dataset_sheet(
    dataset: DataSet, out: Path, *, count: int = 48, columns: int = 8, cell_px: int = 192, seed: int = 0
) -> None:
    """Write a contact sheet of a data set: `count` pictures, road work and none in turn, drawn by `seed`.

    At most one picture of a group is shown while there are other groups; objects are outlined where known.

    Raises:
        ConfigError: As `contact_sheet`.
        DataError: A picture cannot be decoded.
    """
    chosen = _choose(dataset, count, seed)
    paths = dataset.paths()
    table = dataset.samples.take(chosen).to_pylist()
    pictures = [(paths[i], _caption(row)) for i, row in zip(chosen, table, strict=True)]
    contact_sheet(pictures, columns, cell_px, out, _boxes_of(dataset, [row["id"] for row in table]))


def _choose(dataset: DataSet, count: int, seed: int) -> list[int]:
    order = np.random.default_rng(seed).permutation(len(dataset))
    groups = dataset.samples["group"].to_pylist()
    labels = dataset.samples["label"].to_pylist()
    seen: dict[str, int] = {}
    ranked: dict[int, list[tuple[int, int]]] = {}
    for position, row in enumerate(order.tolist()):
        rank = seen[groups[row]] = seen.get(groups[row], -1) + 1
        ranked.setdefault(labels[row], []).append((rank * len(order) + position, row))
    queues = [[row for _, row in sorted(ranked[label])] for label in sorted(ranked, reverse=True)]
    turns = [queue[i] for i in range(len(dataset)) for queue in queues if i < len(queue)]
    return turns[:count]


def _caption(row: dict[str, object]) -> str:
    label = (
        "roadwork" if row["label"] == Label.ROADWORK else "none" if row["label"] == Label.NONE else "unknown"
    )
    parts = [label + ("?" if row["ambiguous"] else ""), row["daytime"], row["weather"], row["environment"]]
    return " · ".join(str(part) for part in (*parts, row["source"]) if part)


def _boxes_of(dataset: DataSet, ids: Sequence[str]) -> list[list[NewBox]] | None:
    if dataset.boxes is None:
        return None
    found: dict[str, list[NewBox]] = {sample_id: [] for sample_id in ids}
    for row in dataset.boxes.to_pylist():
        if row["sample_id"] in found and row["category"] != "context":
            found[row.pop("sample_id")].append(NewBox(**row))
    return [found[sample_id] for sample_id in ids]


def _thumbnail(picture: Path | NDArray[np.uint8], cell_px: int, boxes: Sequence[NewBox]) -> Image.Image:
    pixels = (
        decode_image(picture, target_px=cell_px, target_side="longer") if not boxes else decode_image(picture)
    )
    image = Image.fromarray(pixels)
    factor = min(cell_px / image.width, cell_px / image.height)
    size = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
    image = image.resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    for box in boxes:
        corners = (box.x_px, box.y_px, box.x_px + box.width_px, box.y_px + box.height_px)
        draw.rectangle([c * factor for c in corners], outline=_BOX_COLOURS[box.category])
    return image


def _cut(
    text: str, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> str:
    line = " ".join(text.split())[:400]
    if draw.textlength(line, font=font) <= width:
        return line
    while line and draw.textlength(line + "…", font=font) > width:
        line = line[:-1]
    return line + "…"
