"""Properties of test pictures by which the report tells them apart, from the data set's columns and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workzone.data.grants import Samples
from workzone.evaluation.records import SliceColumn

CONDITIONS = ("daytime", "weather", "environment", "source")
SIZES = ("small", "medium", "large")
SIZE_EDGES = (0.08, 0.20)
"""Height of the largest road-work object, as a share of the picture's: below the first is small."""
NO_OBJECT = "no road-work object"


def slice_columns(samples: Samples) -> list[SliceColumn]:
    """Return the columns that say something about these pictures: with at least two values."""
    columns = [SliceColumn.of(name, samples.table[name].to_pylist()) for name in CONDITIONS]
    if samples.boxes is not None:
        columns += [_object_size(samples), _hard_negatives(samples)]
    return [column for column in columns if len(column.values) > 1 or column.name == "hard negative"]


def _object_size(samples: Samples) -> SliceColumn:
    largest = dict.fromkeys(samples.ids.tolist(), 0.0)
    heights_px = dict(zip(samples.ids.tolist(), samples.table["height_px"].to_pylist(), strict=True))
    for sample_id, category, height in _boxes(samples, "height_px"):
        if category == "roadwork":
            largest[sample_id] = max(largest[sample_id], float(height) / heights_px[sample_id])
    values = [
        SIZES[int(np.searchsorted(SIZE_EDGES, share, side="right"))] if share > 0 else NO_OBJECT
        for share in largest.values()
    ]
    return SliceColumn.of("largest road-work object", values)


def _hard_negatives(samples: Samples) -> SliceColumn:
    rows = {sample_id: row for row, sample_id in enumerate(samples.ids.tolist())}
    found: dict[str, set[int]] = {}
    for sample_id, category, kind in _boxes(samples, "type"):
        if category == "hard_negative":
            found.setdefault(str(kind), set()).add(rows[sample_id])
    members = np.zeros((len(found), len(rows)), dtype=np.bool_)
    for place, kind in enumerate(sorted(found)):
        members[place, sorted(found[kind])] = True
    return SliceColumn("hard negative", tuple(sorted(found)), members)


def _boxes(samples: Samples, column: str) -> Sequence[tuple[str, str, Any]]:
    assert samples.boxes is not None
    columns = (samples.boxes[name].to_pylist() for name in ("sample_id", "category", column))
    return list(zip(*columns, strict=True))
