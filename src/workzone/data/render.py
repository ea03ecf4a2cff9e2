"""A data set of rendered street scenes: sequences by seed and number, drawn by several processes.

The same arguments give the same bytes whatever the number of workers. An interrupted render leaves nothing
and starts over: a sequence takes a fraction of a second.
"""

from __future__ import annotations

import io
import math
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workzone.core.errors import ConfigError
from workzone.core.observer import NullObserver, Observer
from workzone.core.types import Label
from workzone.data.dataset import DataSet, write_dataset
from workzone.data.ordered import ordered_map
from workzone.data.scenes.compose import render_sequence
from workzone.data.scenes.world import Frame, Shift, WorldSpec
from workzone.data.schema import NewBox, NewSample
from workzone.data.writer import check_free
from workzone.storage.hashing import sha256_json

RENDERED_LICENCE = "Apache-2.0"
JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class _Job:
    index: int
    label: Label


def render_dataset(
    out: Path,
    *,
    sequences: int,
    frames: int,
    seed: int,
    roadwork_share: float = 0.5,
    spec: WorldSpec | None = None,
    shift: Shift = Shift.NONE,
    workers: int = 1,
    overwrite: bool = False,
    observer: Observer | None = None,
) -> DataSet:
    """Render sequences into a data set; each is a group of its own.

    Args:
        out: Where the data set goes.
        sequences: How many; the share with road work is exact, to one.
        frames: Near-identical pictures of each.
        seed: Another seed draws other scenes, in groups of other names.
        roadwork_share: Share of sequences with road work, in [0, 1].
        spec: The world; by default the usual one.
        shift: How the world is changed, for tests of drift; overrules that of `spec`.
        workers: Processes; 1 draws in this one. More need an importable main module.
        overwrite: Replace a data set at `out`.
        observer: Told of progress.

    Raises:
        ConfigError: `out` is taken, or a number is out of range.
    """
    if sequences < 1 or frames < 1 or workers < 1 or not 0 <= roadwork_share <= 1:
        raise ConfigError(
            f"Cannot render {sequences} sequences of {frames} frames ({roadwork_share} with road work) "
            f"by {workers} workers. Counts start at 1; the share lies in [0, 1]."
        )
    check_free(out, overwrite=overwrite)
    spec = replace(spec or WorldSpec(), roadwork_share=roadwork_share)
    if shift is not Shift.NONE:
        spec = replace(spec, shift=shift)
    world = _world_name(spec)
    jobs = [_Job(i, label) for i, label in enumerate(sequence_labels(sequences, roadwork_share))]
    draw = partial(_draw, seed, frames, spec, f"{world}-{seed}")
    return write_dataset(
        out,
        _samples(draw, jobs, workers),
        name=f"rendered-{world}",
        revision=rendered_revision(seed, sequences, frames),
        licence=RENDERED_LICENCE,
        overwrite=overwrite,
        total=sequences * frames,
        observer=observer or NullObserver(),
    )


def rendered_revision(seed: int, sequences: int, frames: int) -> str:
    """Return the revision of a rendered data set, by which it is told from another."""
    return f"seed{seed}-{sequences}x{frames}"


def sequence_labels(sequences: int, roadwork_share: float) -> list[Label]:
    """Return the label of each sequence, road work spread evenly: any first n hold their share, to one.

    A longer data set of the same seed begins with the same labels, so a group's name keeps its meaning.
    """
    so_far = [math.floor(i * roadwork_share + 0.5) for i in range(sequences + 1)]
    return [Label.ROADWORK if after > before else Label.NONE for before, after in pairwise(so_far)]


def encode_jpeg(image_rgb_u8: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> bytes:
    """Return a baseline JPEG of RGB pixels; the same pixels give the same bytes on one installation."""
    buffer = io.BytesIO()
    Image.fromarray(image_rgb_u8).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def _world_name(spec: WorldSpec) -> str:
    """Groups of different worlds must not share names: the specification is part of them."""
    return f"{spec.shift}-{sha256_json(asdict(replace(spec, roadwork_share=0.5)))[:8]}"


def _samples(draw: partial[list[NewSample]], jobs: list[_Job], workers: int) -> Iterator[NewSample]:
    if workers == 1:
        for job in jobs:
            yield from draw(job)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks of its parent
    with ProcessPoolExecutor(workers, context, initializer=_use_one_thread) as executor:
        for samples in ordered_map(executor, draw, jobs, in_flight=4 * workers):
            yield from samples


def _use_one_thread() -> None:
    """In a worker: the processes share the cores already."""
    cv2.setNumThreads(1)


def _draw(seed: int, frames: int, spec: WorldSpec, prefix: str, job: _Job) -> list[NewSample]:
    drawn = render_sequence(seed, job.index, job.label, frames, spec)
    group = f"{prefix}-{job.index:06d}"
    return [_sample(frame, job.label, group, f"{group}/{i}", spec.shift) for i, frame in enumerate(drawn)]


def _sample(frame: Frame, label: Label, group: str, origin: str, shift: Shift) -> NewSample:
    height, width = frame.image_rgb_u8.shape[:2]
    return NewSample(
        image=encode_jpeg(frame.image_rgb_u8),
        label=label,
        width_px=width,
        height_px=height,
        group=group,
        source="rendered" if shift is Shift.NONE else f"rendered-{shift}",
        camera=frame.camera,
        daytime=str(frame.daytime),
        weather=str(frame.weather),
        environment=str(frame.environment),
        caption=frame.caption,
        synthetic=True,
        licence=RENDERED_LICENCE,
        boxes=tuple(
            NewBox(
                type=box.type,
                category=box.category.value,
                x_px=float(box.x_px),
                y_px=float(box.y_px),
                width_px=float(box.width_px),
                height_px=float(box.height_px),
                visible=float(box.visible),
            )
            for box in frame.boxes
        ),
        origin=origin,
    )
