"""From a directory to what is served: a bundle or a cascade, whichever it is.

Knows which opener and which description belong together; does not know what is done with them.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from workzone.bundle.cascade import is_cascade
from workzone.engine.live import LiveSettings, open_live
from workzone.engine.live_cascade import open_live_cascade
from workzone.serving.served import Served, describe_bundle, describe_cascade


async def open_served(path: Path, settings: LiveSettings) -> Served:
    """Open the bundle or cascade in a directory, in a thread: the event loop answers meanwhile.

    Raises:
        BundleError: It was changed, is incomplete, or gives other answers than it was sealed with.
        ConfigError: There is no such backend.
    """
    return await asyncio.to_thread(_open, path, settings)


def _open(path: Path, settings: LiveSettings) -> Served:
    if is_cascade(path):
        live = open_live_cascade(path, settings)
        return Served(live.answerer, describe_cascade(live.artifact))
    opened = open_live(path, settings)
    return Served(opened, describe_bundle(opened.bundle))
