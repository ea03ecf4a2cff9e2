"""Keeps Lightning's own voice out of ours: its infos about logging, workers and devices, for one call."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning_utilities")
# Advice, not faults: our loaders need no workers on small machines, and validation runs once an epoch.
_ADVICE = (
    r".*does not have many workers.*",
    r".*smaller than the logging interval.*",
    r".*treespec.*is deprecated.*",
    r".*[Cc]hecking for .* GPU.*",
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's infos and advice, and put everything back afterwards; errors come through."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            for pattern in _ADVICE:
                warnings.filterwarnings("ignore", message=pattern)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def own_torch_state() -> Iterator[None]:
    """Use as many threads as this process may run on; restore threads and random state afterwards.

    OMP_NUM_THREADS, which torch follows by itself, overrules it.
    """
    threads = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_num_threads(threads)
