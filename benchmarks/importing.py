"""Importing a Parquet file of the subnet's columns: ours against a loop over `datasets` with Pillow.

Both do the same work: every picture is decoded once to be sure, hashed and stored under its hash, and a table of the
rows is written. Each alternative runs in a process of its own, so that its peak of resident memory is its own; the time
is taken inside it, from the first look at the file to the finished data set, without starting Python and importing.
Ours waits until every picture is on the disk (fsync), so that a data set that is there is there after a power cut too;
the loops leave that to the operating system. What the waiting costs is told by a second run of ours without it.

    python -m benchmarks.importing ours|unsynced|datasets|streaming FILE OUT    (one alternative, as a child process)
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness import REPEATS, Result, compare

ROWS, SCENES = 1000, 40
WIDTH_PX, HEIGHT_PX = 960, 540
WARM = "warm.parquet"
ROW_GROUP = 100
"""As `datasets` writes pictures."""
OURS, UNSYNCED = "workzone", "workzone, without waiting for the disk"
WHOLE, STREAMING = "datasets + Pillow", "datasets, streaming + Pillow"
CHILDREN = {OURS: "ours", UNSYNCED: "unsynced", WHOLE: "datasets", STREAMING: "streaming"}


def run(repeats: int = REPEATS) -> list[Result]:
    """Compare rows a second and peak memory on rendered street pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "train-00000-of-00001.parquet"
        pictures = street_pictures(ROWS)
        write_file(file, pictures)
        write_file(file.with_name(WARM), pictures[:3])
        children = _Children(file, folder)
        results = compare(
            f"import of {ROWS} rows",
            (WHOLE, children.call(WHOLE)),
            {other: children.call(other) for other in (OURS, UNSYNCED, STREAMING)},
            repeats=repeats,
            items=ROWS,
            clock=lambda: children.seconds,
        )
        size_mb = file.stat().st_size / 1e6
        return [replace(result, note=_note(result, children, size_mb)) for result in results]


def street_pictures(n: int) -> list[bytes]:
    """Return n different JPEGs: a few rendered scenes, each with some bytes more behind its end."""
    from workzone.core.types import Label
    from workzone.data.render import encode_jpeg
    from workzone.data.scenes.compose import render_sequence
    from workzone.data.scenes.world import WorldSpec

    spec = WorldSpec(width_px=WIDTH_PX, height_px=HEIGHT_PX)
    scenes = [
        encode_jpeg(render_sequence(30_000_001, i, Label(i % 2), 1, spec)[0].image_rgb_u8)
        for i in range(SCENES)
    ]
    return [scenes[i % SCENES] + i.to_bytes(4, "big") for i in range(n)]


def write_file(file: Path, pictures: list[bytes]) -> None:
    """Write a Parquet file with the columns of natix-network-org/roadwork."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = len(pictures)
    columns: dict[str, Any] = {
        "image": [{"bytes": data, "path": f"{i:05d}.jpg"} for i, data in enumerate(pictures)],
        "id": list(range(n)),
        "width": [WIDTH_PX] * n,
        "height": [HEIGHT_PX] * n,
        "license": [0] * n,
        "flickr_url": pa.nulls(n, pa.float64()),
        "coco_url": pa.nulls(n, pa.float64()),
        "date_captured": [0] * n,
        "gps": [f"[{40 + i / 1000}, -80.0]" for i in range(n)],
        "city_name": ["pittsburgh"] * n,
        "scene_description": ["Cones on the right side of the road." if i % 2 else None for i in range(n)],
        "video_info.frame_id": [f"{i:05d}.jpg" for i in range(n)],
        "video_info.seq_id": [i // 10 for i in range(n)],
        "video_info.vid_id": [f"video{i // 50}" for i in range(n)],
        "scene_level_tags.daytime": ["Light"] * n,
        "scene_level_tags.scene_environment": ["Urban"] * n,
        "scene_level_tags.travel_alteration": ["['None']"] * n,
        "scene_level_tags.weather": ["['Sunny']"] * n,
        "label": [i % 2 for i in range(n)],
    }
    pq.write_table(pa.table(columns), file, row_group_size=ROW_GROUP)


class _Children:
    """Runs alternatives as child processes; `seconds` is what they took inside, `peaks_mib` by alternative."""

    def __init__(self, file: Path, folder: Path) -> None:
        self._file, self._folder = file, folder
        self._runs = 0
        self.seconds = 0.0
        self.peaks_mib: dict[str, list[float]] = defaultdict(list)

    def call(self, name: str) -> Callable[[], object]:
        return lambda: self._run(name)

    def _run(self, name: str) -> None:
        self._runs += 1
        out = self._folder / f"out{self._runs}"
        command = [sys.executable, "-m", "benchmarks.importing", CHILDREN[name], str(self._file), str(out)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        said = json.loads(done.stdout.splitlines()[-1])
        if said["rows"] != ROWS:
            raise RuntimeError(f"{name} imported {said['rows']} of {ROWS} rows")
        self.seconds += said["seconds"]
        self.peaks_mib[name].append(said["peak_mib"])


def _note(result: Result, children: _Children, size_mb: float) -> str:
    peak = {name: max(children.peaks_mib[name]) for name in (result.contender, result.baseline)}
    return (
        f"{size_mb:.0f} MB in row groups of {ROW_GROUP}; {1000 / result.contender_ms:.0f} against "
        f"{1000 / result.baseline_ms:.0f} rows a second; peak memory {peak[result.contender]:.0f} against "
        f"{peak[result.baseline]:.0f} MiB, of the whole process with its libraries"
    )


def ours(file: Path, out: Path) -> Callable[[], int]:
    """Return our import, ready to be timed."""
    from workzone.data.importers.importing import import_source
    from workzone.data.importers.natix import NatixSource

    return lambda: len(import_source(NatixSource(file), out).dataset)


def peer(file: Path, out: Path, *, streaming: bool) -> Callable[[], int]:
    """Return the loop that one would write with `datasets` and Pillow, ready to be timed."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    def work() -> int:
        loaded = datasets.load_dataset(
            "parquet",
            data_files=str(file),
            split="train",
            streaming=streaming,
            cache_dir=str(out.with_name(f"{out.name}-cache")),
        ).cast_column("image", datasets.Image(decode=False))
        (out / "images").mkdir(parents=True)
        rows = []
        for row in loaded:
            data = row.pop("image")["bytes"]
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                row["width"], row["height"] = image.size
            row["id"] = hashlib.sha256(data).hexdigest()
            (out / "images" / f"{row['id']}.jpg").write_bytes(data)
            rows.append(row)
        pq.write_table(pa.Table.from_pylist(rows), out / "samples.parquet")
        return len(rows)

    return work


def main() -> None:
    """Run one alternative and print what it took, as JSON."""
    from workzone.engine.peak_memory import peak_memory_bytes

    who, file, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if who == "unsynced":
        os.fsync = lambda fd: None

    def made(source: Path, target: Path) -> Callable[[], int]:
        if who in {"ours", "unsynced"}:
            return ours(source, target)
        return peer(source, target, streaming=who == "streaming")

    made(
        file.with_name(WARM), out.with_name(f"{out.name}-warm")
    )()  # what is imported on first use is not timed
    work = made(file, out)
    start = time.perf_counter()
    rows = work()
    seconds = time.perf_counter() - start
    print(json.dumps({"rows": rows, "seconds": seconds, "peak_mib": (peak_memory_bytes() or 0) / 2**20}))


if __name__ == "__main__":
    main()
