"""From objects to the label of a picture, by a rule that can be stated in one sentence.

A picture is road work when a qualifying object in it is large enough. One without is *unknown*: annotators mark
what they were asked to mark, and a zone may hold other things. Only where they promise that every object of the
vocabulary is marked (`boxes_exhaustive`) is it "none"; and where there is something of road work in it all the same
(a lone sign, a cone too small to count) it is "none" and ambiguous, so that nothing is learned from it or measured
on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from workzone.core.errors import ConfigError
from workzone.core.types import Label
from workzone.data.box_vocabulary import box_vocabulary
from workzone.data.schema import NewBox

ROUNDING_PX = 1.0
"""A box may stand out of its picture by this much through rounding; it is then cut to the picture."""
ABSURD = "{n} boxes cannot be meant (not finite, of negative size, or far outside their picture); left out."


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule says of a picture."""

    label: Label
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class LabelRule:
    """When a picture counts as road work.

    Attributes:
        qualifying: Types of object of which one is enough; by default those of the vocabulary, which has no bicycle
            lane, police vehicle or lone sign among them.
        min_side_px: Both sides of the object, as far as inside the picture, must have this many pixels.
        min_area_share: It must cover this share of the picture, in [0, 1].
        boxes_exhaustive: Every object of the vocabulary is marked: a picture without one is "none", not unknown.

    Raises:
        ConfigError: A type is not of the vocabulary, there is none, or a number is out of range.
    """

    qualifying: frozenset[str] = field(default_factory=lambda: box_vocabulary().qualifying)
    min_side_px: float = 0.0
    min_area_share: float = 0.0
    boxes_exhaustive: bool = False

    def __post_init__(self) -> None:
        strange = sorted(self.qualifying - set(box_vocabulary().types))
        if strange or not self.qualifying:
            raise ConfigError(
                f"Qualifying objects must be of the vocabulary and at least one; found {strange or 'none'}."
            )
        if not (math.isfinite(self.min_side_px) and self.min_side_px >= 0):
            raise ConfigError(f"The smallest side is {self.min_side_px} pixels, expected 0 or more.")
        if not 0 <= self.min_area_share <= 1:
            raise ConfigError(f"The smallest area is {self.min_area_share} of a picture, expected 0 to 1.")

    def judge(
        self, boxes: Sequence[NewBox], width_px: int, height_px: int, *, complete: bool = True
    ) -> Judged:
        """Return what the objects of a picture say of it.

        Args:
            boxes: Its objects; a box without area says nothing.
            width_px: Of the picture.
            height_px: Of the picture.
            complete: Whether these are all the boxes that were published; False where absurd ones were left out, of
                which any may have been the one that counts.
        """
        if any(self._counts(box, width_px, height_px) for box in boxes):
            return Judged(Label.ROADWORK)
        if not (self.boxes_exhaustive and complete):
            return Judged(Label.UNKNOWN)
        return Judged(Label.NONE, ambiguous=any(box.category == "roadwork" for box in boxes))

    def settings(self) -> dict[str, Any]:
        """Return the rule for JSON."""
        return {
            "qualifying": sorted(self.qualifying),
            "min_side_px": self.min_side_px,
            "min_area_share": self.min_area_share,
            "boxes_exhaustive": self.boxes_exhaustive,
        }

    def _counts(self, box: NewBox, width_px: int, height_px: int) -> bool:
        if box.type not in self.qualifying:
            return False
        wide = min(box.x_px + box.width_px, width_px) - max(box.x_px, 0.0)
        high = min(box.y_px + box.height_px, height_px) - max(box.y_px, 0.0)
        return (
            min(wide, high) > 0
            and min(wide, high) >= self.min_side_px
            and wide * high >= self.min_area_share * width_px * height_px
        )


def is_absurd(x: float, y: float, wide: float, high: float, width: float, height: float) -> bool:
    """Whether a box cannot be meant: not finite, of negative size, or far outside its picture.

    Far outside is: nothing of it lies in the picture, or it stands out by more than the picture's own size. All in the
    same unit; (x, y) is the upper left corner.
    """
    if not all(map(math.isfinite, (x, y, wide, high))) or wide < 0 or high < 0:
        return True
    if x > width or y > height or x + wide < 0 or y + high < 0:
        return True
    return x < -width or y < -height or x + wide > 2 * width or y + high > 2 * height


def cut(low: float, size: float, limit: float) -> tuple[float, float]:
    """Return (low, size) of one side of a box, cut to [0, limit] where it stands out by no more than rounding."""
    high = low + size
    if -ROUNDING_PX <= low < 0:
        low = 0.0
    if limit < high <= limit + ROUNDING_PX:
        high = float(limit)
    return low, max(high - low, 0.0)


def label_rule(
    qualifying: str | None, min_side_px: float, min_area_share: float, *, boxes_exhaustive: bool
) -> LabelRule:
    """Return a rule from what a person wrote; `qualifying` are names apart by commas, None means the usual ones.

    Raises:
        ConfigError: As `LabelRule`, or a name is not known.
    """
    vocabulary = box_vocabulary()
    chosen = vocabulary.qualifying if qualifying is None else vocabulary.choose(qualifying)
    return LabelRule(chosen, min_side_px, min_area_share, boxes_exhaustive)
