"""The SDK is imported without its side effects; each is asserted in a process that imports it anew."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workzone.subnet.protocol import SYNAPSE

IMPORT = """
import json, logging, os, sys, warnings
warnings.simplefilter("error")
root, ours, cold = logging.getLogger(), logging.getLogger("workzone.inference"), logging.getLogger("asyncio")
handler = logging.StreamHandler(sys.stderr)
root.addHandler(handler), ours.addHandler(logging.NullHandler())
root.setLevel("INFO"), ours.setLevel("DEBUG")
def state():
    return [(l.level, len(l.handlers), l.propagate, l.disabled) for l in (root, ours, cold)]
before = state()
from workzone.serving.axon.sdk import bittensor, image_synapse
sdk = bittensor()
from workzone.serving.axon.address import Address
from workzone.serving.axon.guard.application import GuardSettings, AxonObserver, axon_application
from workzone.serving.axon.keys.keys import MinerKeys
from bittensor_wallet import Keypair
pair = Keypair.create_from_seed("0x" + "11" * 32)
keys = MinerKeys(pair, Keypair(ss58_address=pair.ss58_address))
axon_application(keys, lambda: None, None, GuardSettings(), AxonObserver(), external=Address("127.0.0.1", 8091))
assert state() == before, (before, state())
assert not [n for n in ("uvicorn", "uvicorn.error", "uvicorn.access") if logging.getLogger(n).handlers]
assert "READ_ONLY" not in os.environ
for level in ("trace", "debug", "info", "success", "warning", "error", "critical"):
    getattr(sdk.logging, level)("what a stranger sent")
sdk.logging.set_trace(True)
sdk.logging.error("what a stranger sent")
print("done")
"""


@pytest.mark.slow
def test_importing_changes_nothing_of_the_process_and_prints_nothing(tmp_path: Path) -> None:
    """Another import of seconds, with a home that is empty and a command line that the SDK would take as its own."""
    environment = {**os.environ, "HOME": str(tmp_path), "BT_NO_PARSE_CLI_ARGS": "0"}
    environment.pop("READ_ONLY", None)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, "--logging.trace", "--wallet.name", "x", "--axon.port", "not a port"],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    assert list(tmp_path.iterdir()) == []


def test_the_sdks_logger_says_nothing_at_any_level(sdk, capfd, caplog) -> None:
    from workzone.serving.axon.sdk import quietly

    sdk.logging.error("what a stranger sent")
    with quietly():
        sdk.logging.set_warning(True)  # sets every logger's level, its own too
        sdk.logging.critical("what a stranger sent")
        sdk.logging.set_default()
    time.sleep(0.05)  # its lines are written by a thread
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_loggers_are_left_as_they_were(sdk) -> None:
    from workzone.serving.axon.sdk import quietly

    logger = logging.getLogger("workzone.inference")
    handler = logging.NullHandler()
    logger.addHandler(handler)
    before = (logger.level, logger.handlers[:], logging.getLogger().level)
    try:
        with quietly():
            sdk.logging.set_warning(True)
            sdk.logging.set_default()
            assert logger.level == logging.CRITICAL, "what is undone here"
        assert (logger.level, logger.handlers[:], logging.getLogger().level) == before
    finally:
        logger.removeHandler(handler)


def test_the_class_is_named_as_the_route(sdk) -> None:
    from workzone.serving.axon.sdk import image_synapse

    kind = image_synapse()
    assert kind.__name__ == SYNAPSE
    assert issubclass(kind, sdk.Synapse)
    made = kind(image="AAAA", prediction=0.25)
    assert made.deserialize() == 0.25
    json.loads(made.model_dump_json())


def test_what_the_class_answers_in_advance_is_what_the_sdk_finds(sdk) -> None:
    from workzone.serving.axon.sdk import image_synapse

    made = image_synapse()(image="AAAA")
    with pytest.warns(DeprecationWarning, match="model_fields"):  # the SDK's, of Pydantic
        assert sdk.Synapse.body_hash.fget(made) == made.body_hash
    assert sdk.Synapse.get_required_fields(made) == made.get_required_fields()
