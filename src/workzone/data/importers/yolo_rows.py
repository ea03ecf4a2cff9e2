"""The rows of a YOLO label file: `class cx cy w h`, or `class x1 y1 x2 y2 …` for an outline; shares of the picture.

As Ultralytics documents it (docs.ultralytics.com/datasets/detect and /segment). A row that is neither is a
DataError with its line. Numbers are not judged here: a box far out of its picture is a box that cannot be meant,
which the label rule knows about.
"""

from __future__ import annotations

from dataclasses import dataclass

from workzone.core.errors import DataError

MAX_LABEL_BYTES = 8 * 1024**2
_BOX, _CORNER = 5, 2
_FEWEST_CORNERS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One object: its class, and its box as shares of the picture; (x, y) is the upper left corner."""

    kind: int
    x: float
    y: float
    width: float
    height: float


def parse_rows(data: bytes, classes: int, *, keypoints: bool = False) -> list[Row]:
    """Return the rows of a label file.

    Args:
        data: Its bytes.
        classes: How many classes there are.
        keypoints: Rows go on after the box with points of a skeleton, which are not read.

    Raises:
        DataError: It is no text, or a row is no box and no outline; names the line.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"it is no text ({error.reason} at byte {error.start})") from error
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if words:
            rows.append(_row(words, number, classes, keypoints))
    return rows


def _row(words: list[str], line: int, classes: int, keypoints: bool) -> Row:
    try:
        first, *numbers = map(float, words)
    except ValueError as error:
        raise DataError(f"line {line} has {str(error)[:80]}, expected numbers") from error
    if not (first.is_integer() and 0 <= first < classes):
        raise DataError(f"line {line} has the class {words[0][:40]}, expected 0 to {classes - 1}")
    kind = int(first)
    if len(words) == _BOX or (keypoints and len(words) > _BOX):
        x, y, width, height = numbers[: _BOX - 1]
        return Row(kind, x - width / 2, y - height / 2, width, height)
    if len(numbers) % _CORNER or len(numbers) < _FEWEST_CORNERS * _CORNER:
        raise DataError(
            f"line {line} has {len(words)} values, expected 5 (class, centre, size), or a class and 3 corners or more"
        )
    return _around(kind, numbers)


def _around(kind: int, numbers: list[float]) -> Row:
    """The box around an outline; one whose outline is not finite is not finite either."""
    if any(number != number for number in numbers):
        return Row(kind, *(float("nan"),) * 4)
    across, down = numbers[0::2], numbers[1::2]
    return Row(kind, min(across), min(down), max(across) - min(across), max(down) - min(down))
