"""The Bittensor SDK, imported quietly, and the one request of the subnet in its terms.

Knows what the SDK does to a process that imports it (10.5): it makes directories in the home, silences every logger of
the process and takes their handlers, reads the command line where an environment variable says so, and prints what
strangers send. Does not know requests or keys.

The decision to question: the SDK's own logger is silenced for good. Its lines quote callers' text and tracebacks;
what is worth a line of a refused request, the guard says itself.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - its logger must exist before the SDK looks for loggers to silence
import functools
import hashlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workzone.core.lazy import check_installed, require
from workzone.subnet.protocol import NO_ANSWER, SYNAPSE

_LOGGER = "bittensor"
BODY_HASH = hashlib.sha3_256(b"").hexdigest()
"""What callers sign of the body: the hash of no fields, because the subnet's request requires none."""
MIN_VERSION = 7_002_000
"""SDKs from 7.2 on send nonces that are times; of older ones the SDK checks no age."""


@functools.cache
def bittensor() -> Any:
    """Import the SDK; takes seconds the first time.

    Raises:
        MissingExtraError: It is not installed.
    """
    check_installed("bittensor", "axon")
    os.environ["BT_NO_PARSE_CLI_ARGS"] = "1"  # asked again whenever the SDK makes a configuration
    before = os.environ.get("READ_ONLY")
    _silence()
    os.environ["READ_ONLY"] = "1"  # at import: no directories in the home, which may be read only
    try:
        with quietly():
            module = require("bittensor", "axon")
    finally:
        if before is None:
            del os.environ["READ_ONLY"]
        else:
            os.environ["READ_ONLY"] = before
    return module


@contextmanager
def quietly() -> Iterator[None]:
    """Do something with the SDK and leave the process's loggers as they were, and its warnings unsaid."""
    found = [logging.getLogger(), *_loggers()]
    before = [
        (logger, logger.level, logger.handlers[:], logger.propagate, logger.disabled) for logger in found
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level, handlers, propagate, disabled in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers
            logger.propagate, logger.disabled = propagate, disabled
        for logger in set(_loggers()).difference(found):  # as if just made; uvicorn's is given a handler
            logger.setLevel(logging.NOTSET)
            logger.handlers[:] = [one for one in logger.handlers if isinstance(one, logging.NullHandler)]
            logger.propagate = True


@functools.cache
def image_synapse() -> Any:
    """Return the class of the subnet's request: `image` in, `prediction` out.

    Raises:
        MissingExtraError: The SDK is not installed.
    """
    base = bittensor().Synapse

    class ImageSynapse(base):  # type: ignore[misc, valid-type]
        """The subnet's request, with two of the SDK's methods answered in advance.

        The SDK makes a JSON schema for every reply's headers (2 ms, the most of what it does) to learn that no field
        is required, and hashes no fields to learn `BODY_HASH`.
        """

        image: str = ""
        prediction: float = NO_ANSWER
        testnet_label: int = -1

        @property
        def body_hash(self) -> str:
            """What is signed of the body."""
            return BODY_HASH

        def get_required_fields(self) -> list[str]:
            """No field travels in the headers."""
            return []

        def deserialize(self) -> float:
            """Return the prediction, as the subnet's own class does."""
            return self.prediction

    if ImageSynapse.__name__ != SYNAPSE:
        raise AssertionError(f"The class is named {ImageSynapse.__name__}, the route {SYNAPSE}.")
    return ImageSynapse


def _loggers() -> list[logging.Logger]:
    return [one for one in logging.Logger.manager.loggerDict.values() if isinstance(one, logging.Logger)]


def _silence() -> None:
    """Drop what the SDK logs: by a filter, which stays where it sets levels and handlers again."""
    logger = logging.getLogger(_LOGGER)
    if not logger.filters:
        logger.addFilter(lambda _: False)
