"""The real command under load: bundles exchanged, SIGTERM, SIGKILL, and a disk that is full."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

UNLIMITED = ("--rate", 1e9, "--burst", 1_000_000, "--cache-mib", 0)


@pytest.fixture
def keys(tmp_path):
    """A keys file and the headers of its admin."""
    from workzone.serving.key_file import add_key
    from workzone.serving.keys import Role, utc_now

    path = tmp_path / "keys.json"
    _, token = add_key(path, "load", Role.ADMIN, now=utc_now())
    return path, {"Authorization": f"Bearer {token}"}


def logit_of(builders, seed: int, bias: float, wire) -> float:
    picture = np.asarray(Image.open(io.BytesIO(wire.png(seed))).convert("RGB"))
    return builders.expected_logit(picture, builders.PREPROCESSING) - builders.BIAS + bias


def check_on_record(heard, journal: list[dict]) -> None:
    """Every reply is in the journal, once and as it was given."""
    found = {record["request_id"]: record for record in journal}
    assert len(found) == len(journal), "an answer is on record twice"
    for identity, _, reply in heard:
        [result] = reply.json()["results"]
        record = found[identity]
        for name in ("sha256", "bundle", "logit", "probability", "verdict"):
            assert record[name] == result[name], identity


def test_exchanges_and_a_sigterm_fail_no_request(wire, two_bundles, colour_builders, keys, tmp_path) -> None:
    """Each answer names the bundle that gave it: its logit is that bundle's. Callers go when readiness says so."""
    from workzone.bundle.reader import open_bundle

    path, bearer = keys
    digests = {open_bundle(two_bundles / name).digest: bias for name, bias in
               (("one", colour_builders.BIAS), ("two", colour_builders.BIAS + 0.2))}  # fmt: skip
    options = (
        "--journal",
        "journal",
        "--keys",
        path,
        "--bundle-root",
        two_bundles,
        "--grace-s",
        3,
        *UNLIMITED,
    )
    with wire.command(tmp_path / "run", two_bundles / "one", *options) as service:
        load = wire.Load(service.address, bearer)
        with load:
            load.until(20)
            for name in ("two", "one", "two", "one", "two"):
                body = json.dumps({"bundle": name}).encode()
                swapped = service.ask(
                    "PUT", "/v1/model", body=body, headers={"Content-Type": "application/json", **bearer}
                )
                assert swapped.status == 200, swapped.body
                load.until(20)
            service.process.send_signal(signal.SIGTERM)
            wire.eventually(
                lambda: service.ask().status == 503
            )  # a load balancer looks, and sends nothing more
            load.until(8)  # in the grace
            load.stop()
        assert service.process.wait(wire.PATIENCE_S) == 0
    assert load.failed == []
    assert {reply.status for _, _, reply in load.heard} == {200}
    named = [reply.json()["results"][0] for _, _, reply in load.heard]
    assert {result["bundle"] for result in named} == set(digests), "both were asked"
    for (_, seed, _), result in zip(load.heard, named, strict=True):
        expected = logit_of(colour_builders, seed, digests[result["bundle"]], wire)
        assert result["logit"] == pytest.approx(expected, abs=0.02)
    check_on_record(load.heard, wire.records(tmp_path / "run" / "journal"))


def test_after_sigkill_every_reply_is_in_a_whole_journal(wire, colour_bundle, tmp_path) -> None:
    from workzone.storage.journal import Journal, read_journal

    journal = tmp_path / "journal"
    with (
        wire.command(tmp_path / "run", colour_bundle, "--journal", journal, *UNLIMITED) as service,
        wire.Load(service.address) as load,
    ):
        load.until(50)
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
    assert len(load.failed) == load.callers, "each lost one request, and no more"
    assert {reply.status for _, _, reply in load.heard} == {200}
    # The kernel may cut a write at a page's end: that line was not acknowledged, and opening sets it aside.
    damages: list = []
    found = list(read_journal(journal, damages.append))
    assert len(damages) <= 1
    check_on_record(load.heard, found)
    assert len(found) <= len(load.heard) + load.callers
    with Journal(journal) as mended:
        mended.append({"after": "the kill"})
    assert list(read_journal(journal, lambda _: None))[-1] == {"after": "the kill"}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 512 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs", str(disk)], capture_output=True, check=False
    ) if os.geteuid() == 0 and Path("/bin/mount").exists() else None  # fmt: skip
    if mounted is None or mounted.returncode != 0:
        pytest.skip(
            "a file system may not be mounted here; tests/storage/test_journal.py injects the error instead"
        )
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_503_until_there_is_space(wire, small_disk, colour_bundle, tmp_path) -> None:
    """A real ENOSPC, under the journal, the logs and the kept pictures at once."""
    filler = small_disk / "filler"
    filler.write_bytes(bytes(400 << 10))
    journal = small_disk / "journal"
    options = ("--journal", journal, "--logs", small_disk / "logs", "--pictures", small_disk / "pictures",
               "--keep-pictures", "sample=1", *UNLIMITED)  # fmt: skip
    given: list[str] = []
    with wire.command(tmp_path / "run", colour_bundle, *options) as service:

        def ask(number: int) -> int:
            reply = service.predict(wire.png(number), X_Request_Id=f"n-{number}")
            if reply.status == 200:
                given.append(f"n-{number}")
            else:
                assert (reply.status, reply.code) == (503, "journal_unavailable")
                assert reply.headers["retry-after"] == "10"
                assert "results" not in reply.json()
            return reply.status

        number = 0
        while ask(number) == 200:
            number += 1
            assert number < 1000, "the disk did not fill"
        assert number > 0
        full = [ask(1000 + n) for n in range(10)]
        assert 503 in full
        assert service.ask(path="/livez").status == 200
        assert b"workzone_journal_errors_total 0.0" not in wire.ask(service.metrics, path="/metrics").body
        filler.unlink()
        assert [ask(2000 + n) for n in range(20)] == [200] * 20, service.said
        assert service.end() == 0
    found = [record["request_id"] for record in wire.records(journal)]
    assert set(given) <= set(found)
    assert len(found) == len(set(found))
