"""`workzone bench`: what this machine gives, before one buys it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workzone.cli.console import emit_json, err, out, shown
from workzone.core.errors import DataError

if TYPE_CHECKING:
    from workzone.engine.live import LiveBundle
    from workzone.engine.load import Load

app = typer.Typer(help="Measure this machine.", no_args_is_help=True)

MIB = 1 << 20
MOST_PICTURES = 128
"""Of a directory, taken evenly: enough that no two in a row are alike, and little memory."""
RENDERED = 12
CALLERS = [1, 8]


@dataclass(frozen=True, slots=True)
class _Pictures:
    data: list[bytes]
    origin: str
    n_unreadable: int


@app.callback()
def bench() -> None:
    """Measure this machine."""


@app.command()
def serve(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory of the bundle.")],
    pictures: Annotated[
        Path | None, typer.Option(help="Directory of pictures; by default rendered streets in three sizes.")
    ] = None,
    concurrency: Annotated[
        list[int] | None,
        typer.Option(min=1, max=1024, help="Callers at once; may be given again. By default 1 and 8."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="Of each number of callers.")] = 10.0,
    backend: Annotated[str | None, typer.Option(help="Runtime; by default the bundle's.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the network.")] = None,
    max_batch: Annotated[int | None, typer.Option(min=1, help="By default, what is measured to pay.")] = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Measure throughput, latency, memory and best batch of a bundle here, by the path that a service takes.

    In this process and without the cache: each caller asks again as soon as it is answered. HTTP comes on top.
    """
    from workzone.engine.live import LiveSettings, open_live
    from workzone.engine.load import ask_live

    callers = concurrency or CALLERS
    settings = LiveSettings(
        threads=threads,
        max_batch=max_batch,
        backend=backend,
        queue_size=max(64, *callers),
    )
    begun = time.perf_counter()
    live = open_live(bundle, settings)
    opened_s = time.perf_counter() - begun
    asked = _pictures(pictures, live, settings)
    if not json:
        err.print(f"[dim]{seconds * len(callers):.0f} s of load on {len(asked.data)} pictures[/dim]")
    loads = ask_live(live, asked.data, callers=callers, seconds=seconds)
    document = _document(bundle, live, settings, asked, loads, opened_s)
    if json:
        emit_json(document)
    else:
        _print(document)


def _pictures(directory: Path | None, live: LiveBundle, settings: Any) -> _Pictures:
    from workzone.engine.load import readable

    if directory is None:
        return _rendered()
    from workzone.engine.batch import find_pictures
    from workzone.imaging.files import read_file

    paths = _evenly(find_pictures([directory]))
    data = []
    for path in paths:
        with suppress(DataError):  # counted with those that cannot be decoded
            data.append(read_file(path, settings.limits.max_bytes))
    good = readable(live.bundle.preprocessing, data, settings.limits)
    return _Pictures(good, str(directory), len(paths) - len(good))


def _rendered() -> _Pictures:
    """Render in a process of its own: drawing takes more memory than answering, and memory is measured here."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from workzone.data.street_pictures import SIZES_PX, street_pictures

    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        data = other.submit(street_pictures, RENDERED).result()
    sizes = ", ".join(f"{width} x {height}" for width, height in SIZES_PX)
    return _Pictures(data, f"rendered, {sizes}", 0)


def _evenly(paths: Sequence[Path]) -> list[Path]:
    step = max(1.0, len(paths) / MOST_PICTURES)
    return [paths[int(place * step)] for place in range(min(len(paths), MOST_PICTURES))]


def _document(
    bundle: Path, live: LiveBundle, settings: Any, asked: _Pictures, loads: Sequence[Load], opened_s: float
) -> dict[str, Any]:
    from dataclasses import asdict

    from workzone.engine.peak_memory import peak_memory_bytes
    from workzone.engine.threads import usable_threads

    peak = peak_memory_bytes()
    return {
        "bundle": str(bundle),
        "digest": live.bundle.digest,
        "backend": settings.backend,
        "processors": usable_threads(),
        "threads": settings.threads or usable_threads(),
        "opened_s": opened_s,
        "pictures": {
            "from": asked.origin,
            "n": len(asked.data),
            "unreadable": asked.n_unreadable,
            "mean_kib": sum(map(len, asked.data)) / len(asked.data) / 1024,
        },
        "loads": [asdict(load) for load in loads],
        "best_batch": live.warm_up.best_batch,
        "max_batch": settings.max_batch,
        "batches": [
            {"size": size, "ms": 1000 * seconds_of, "ms_per_picture": 1000 * seconds_of / size}
            for size, seconds_of in live.warm_up.seconds_per_batch
        ],
        "peak_memory_mib": None if peak is None else peak / MIB,
    }


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    pictures = document["pictures"]
    out.print(
        f"Bundle {document['digest'][:16]}, {document['backend']}, {document['threads']} threads on "
        f"{document['processors']} processors; opened in {document['opened_s']:.1f} s."
    )
    unreadable = f", {pictures['unreadable']} left out as unreadable" if pictures["unreadable"] else ""
    out.print(
        f"{pictures['n']} pictures ({shown(pictures['from'])}; {pictures['mean_kib']:.0f} KiB on average){unreadable}."
    )
    table = Table("callers", "pictures/s", "p50 ms", "p95 ms", "p99 ms", "answers")
    for column in table.columns:
        column.justify = "right"
    for load in document["loads"]:
        latencies = ["–" if one["ms"] is None else f"{one['ms']:.1f}" for one in load["latencies"]]
        table.add_row(str(load["callers"]), f"{load['per_second']:.1f}", *latencies, f"{load['answers']:,}")
    out.print(table)
    sizes = ", ".join(f"{batch['size']}: {batch['ms_per_picture']:.2f}" for batch in document["batches"])
    out.print(f"Best batch: {document['best_batch']} (network, ms a picture by batch: {sizes}).")
    if document["peak_memory_mib"] is not None:
        out.print(f"Peak memory of this process: {document['peak_memory_mib']:.0f} MiB.")
