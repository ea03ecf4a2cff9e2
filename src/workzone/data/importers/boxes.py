"""What the importers of boxes share: how published boxes become a sample's objects and its label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from workzone.core.errors import DataError
from workzone.data.box_vocabulary import ObjectType
from workzone.data.importers.clips import clip_of
from workzone.data.importers.folder import group_in, group_pattern
from workzone.data.importers.label_rule import ABSURD, LabelRule, cut, is_absurd
from workzone.data.importers.tally import Tally
from workzone.data.schema import NewBox, NewSample

_MOST = 0.5
_FEW = 20


def place_boxes(
    sample: NewSample,
    found: Iterable[tuple[ObjectType, Sequence[float]]],
    rule: LabelRule,
    tally: Tally,
    *,
    complete: bool = True,
) -> NewSample:
    """Return a sample with its objects, and with the label that follows from them.

    Published boxes do not say what share of an object is hidden: `visible` is 1.

    Args:
        sample: Loaded, so that its size is known.
        found: What each object is, and its (x, y, width, height) in pixels of the sample.
        rule: When a picture counts as road work.
        tally: Told of boxes that cannot be meant, which are left out.
        complete: False where boxes were left out before.
    """
    wide, high = sample.width_px, sample.height_px
    boxes = []
    for kind, (x, y, width, height) in found:
        if is_absurd(x, y, width, height, wide, high):
            tally.add(ABSURD, sample.origin)
            complete = False
            continue
        left, width = cut(x, width, wide)
        top, height = cut(y, height, high)
        boxes.append(NewBox(kind.name, kind.category, left, top, width, height, 1.0))
    judged = rule.judge(boxes, wide, high, complete=complete)
    return replace(sample, boxes=tuple(boxes), label=judged.label, ambiguous=judged.ambiguous)


class Groups:
    """Which group a picture belongs to: by an expression on its path, or by its name (`clips`).

    Raises:
        ConfigError: `group_from` is no regular expression, or captures nothing.
    """

    def __init__(self, group_from: str | None) -> None:
        self._text = group_from
        self._pattern = None if group_from is None else group_pattern(group_from)

    def of(self, path: str, known: str | None = None) -> str:
        """Return the group of a picture; `known` is what the data set says of it.

        Raises:
            DataError: The expression does not find a group.
        """
        if self._pattern is None:
            return known or clip_of(path)
        group = group_in(self._pattern, path)
        if group is None:
            raise DataError(
                f"'{self._text}' finds no group in '{path}'. A picture without its group could end on the other side "
                "of a split from its neighbours: make the expression fit every path."
            )
        return group


def note_groups(groups: Sequence[str], tally: Tally) -> None:
    """Note a group that holds most pictures: its name may be one that many clips share."""
    if len(groups) < _FEW:
        return
    names: dict[str, int] = {}
    for group in groups:
        names[group] = names.get(group, 0) + 1
    largest = max(names, key=lambda name: names[name])
    if names[largest] > _MOST * len(groups):
        tally.add(
            f"The group '{largest}' holds {names[largest]:,} of {len(groups):,} pictures and will be in one part of a "
            "split as a whole. If that is not one clip or place, say how groups are named (group_from)."
        )


def note_unknown(types: Iterable[tuple[str, ObjectType]], tally: Tally) -> None:
    """Note classes that the vocabulary does not know; `types` are published names and what they mean."""
    unknown = sorted({published for published, kind in types if not kind.known})
    if unknown:
        more = f" and {len(unknown) - 20} more" if len(unknown) > 20 else ""
        tally.add(
            "Classes that the vocabulary does not know are kept under their own names, as context, and never make a "
            f"picture road work: {', '.join(unknown[:20])}{more}."
        )
