"""A cascade that answers many callers at once: every stage a `LiveBundle`, behind a breaker and a deadline.

Knows how a cascade's directory becomes answerers; what they do together is `engine.cascade`'s.

The decision a reader would question: the threads are divided. Stages run at the same time, one picture being asked
of the second while the next is asked of the first, and each runtime would start a thread per processor. Together
they get no more than one bundle alone; letting them take turns on all instead would let a second stage that hangs
stop the first, which is what breakers are there to prevent. What is left over goes to the earliest stages, because
every picture passes them. Nothing of this was measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from workzone.bundle.cascade import CascadeBundle, open_cascade
from workzone.engine.cascade import Cascade, join_stages
from workzone.engine.live import LiveSettings, open_live
from workzone.engine.threads import usable_threads


@dataclass(frozen=True, slots=True)
class LiveCascade:
    """What answers, and what it was made from."""

    answerer: Cascade
    artifact: CascadeBundle


def open_live_cascade(
    path: Path, settings: LiveSettings, *, clock: Callable[[], float] = time.monotonic
) -> LiveCascade:
    """Open a cascade: verify it, run every stage's golden pictures, warm each up, and return what answers.

    Takes seconds and needs no event loop: a service that swaps calls it in a thread.

    Args:
        path: The cascade's directory.
        settings: How each stage is served; `threads` and `decode_threads` are of all stages together.
        clock: Of deadlines and latencies; must be the event loop's.

    Raises:
        BundleError: It or a stage was changed, is incomplete, or gives other answers than it was sealed with.
        ConfigError: There is no such backend.
    """
    artifact = open_cascade(path)
    n_stages = len(artifact.stages)
    threads = share_threads(settings.threads or usable_threads(), n_stages)
    decoders = share_threads(settings.decode_threads or usable_threads(), n_stages)
    answerers = [
        open_live(bundle.path, replace(settings, threads=mine, decode_threads=decoding), clock=clock)
        for bundle, mine, decoding in zip(artifact.stages, threads, decoders, strict=True)
    ]
    return LiveCascade(join_stages(artifact, answerers, clock=clock), artifact)


def share_threads(threads: int, n_stages: int) -> tuple[int, ...]:
    """Divide threads among stages: each gets at least one, and an earlier one what is left over.

    >>> share_threads(5, 3), share_threads(1, 2)
    ((2, 2, 1), (1, 1))
    """
    each, more = divmod(threads, n_stages)
    return tuple(max(1, each + (stage < more)) for stage in range(n_stages))
