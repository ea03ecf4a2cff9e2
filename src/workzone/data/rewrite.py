"""A sample read back from a data set, as it came: for whoever writes a new data set from old ones.

Nothing is ever changed in place: `--fix`, `regroup` and `fuse` write new data sets through the one writer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from workzone.core.types import Label
from workzone.data.dataset import DataSet, boxes_known
from workzone.data.schema import BOX_COLUMNS, SAMPLE_COLUMNS, NewBox, NewSample

_DERIVED = frozenset({"id", "path", "label"})
_KEPT = tuple(column.name for column in SAMPLE_COLUMNS if column.name not in _DERIVED)


def stored_samples(dataset: DataSet, rows: Iterable[int] | None = None) -> Iterator[NewSample]:
    """Yield samples of a data set with the bytes of their pictures, one at a time.

    Each keeps its group, also where that is only its own id: written again it has the same row, and the data set the
    same hash under the same name. Change one with `dataclasses.replace`.

    Args:
        dataset: Where from.
        rows: Of `dataset.samples`, in any order; None: all.

    Raises:
        OSError: A picture cannot be read.
    """
    boxes = _boxes_by_sample(dataset)
    known = boxes_known(dataset)
    table = dataset.samples
    for row in range(len(dataset)) if rows is None else rows:
        values: dict[str, Any] = table.slice(row, 1).to_pylist()[0]
        yield NewSample(
            image=(dataset.root / values["path"]).read_bytes(),
            label=Label(values["label"]),
            boxes=tuple(boxes.get(values["id"], ())) if known[row] else None,
            origin=f"{dataset.name}/{values['path']}",
            **{name: values[name] for name in _KEPT},
        )


def _boxes_by_sample(dataset: DataSet) -> Mapping[str, list[NewBox]]:
    by_sample: dict[str, list[NewBox]] = defaultdict(list)
    if dataset.boxes is not None:
        names = [column.name for column in BOX_COLUMNS]
        columns = [dataset.boxes[name].to_pylist() for name in names]
        for values in zip(*columns, strict=True):
            box = dict(zip(names, values, strict=True))
            by_sample[box.pop("sample_id")].append(NewBox(**box))
    return by_sample
