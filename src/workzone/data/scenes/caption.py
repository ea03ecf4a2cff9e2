"""One sentence for a frame, from what was drawn."""

from __future__ import annotations

from collections.abc import Sequence

from workzone.data.scenes.world import Box, Category, Conditions, Daytime, Environment, Weather
from workzone.data.scenes.zones import ZoneKind

_WHEN = {Daytime.DAY: "by day", Daytime.DUSK: "at dusk", Daytime.NIGHT: "at night"}
_AIR = {
    Weather.CLEAR: "in clear weather",
    Weather.RAIN: "in rain",
    Weather.FOG: "in fog",
    Weather.SNOW: "in snow",
}
_WHERE = {
    Environment.URBAN: "A city street",
    Environment.RESIDENTIAL: "A residential street",
    Environment.HIGHWAY: "A highway",
}
_SEEN = 0.25


def caption(conditions: Conditions, zone: ZoneKind | None, boxes: Sequence[Box]) -> str:
    """For instance "A city street at dusk in rain; road work (lane taper): 7 cones, work sign."."""
    scene = f"{_WHERE[conditions.environment]} {_WHEN[conditions.daytime]} {_AIR[conditions.weather]}"
    if zone is not None:
        return f"{scene}; road work ({zone}): {_listed(boxes, Category.ROADWORK)}."
    decoys = _listed(boxes, Category.HARD_NEGATIVE)
    return f"{scene}; no road work" + (f", but {decoys}." if decoys else ".")


def _listed(boxes: Sequence[Box], category: Category) -> str:
    counts: dict[str, int] = {}
    for box in boxes:
        if box.category is category and box.visible >= _SEEN:
            name = box.type.replace("_", " ")
            counts[name] = counts.get(name, 0) + 1
    return ", ".join(
        name if count == 1 else f"{count} {_plural(name)}" for name, count in sorted(counts.items())
    )


def _plural(name: str) -> str:
    if name.endswith("person orange"):
        return "people in orange"
    return name + ("es" if name.endswith(("s", "x", "bus")) else "s")
