"""Bundles by name, and nothing by path."""

from __future__ import annotations

import asyncio

import pytest

from workzone.core.errors import BundleError
from workzone.serving.bundle_root import BundleRoot, available_bytes
from workzone.serving.faults import Code, Refused


@pytest.fixture
def root(tmp_path):
    (tmp_path / "bundles" / "demo").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "bundles" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "bundles" / "file").touch()
    (tmp_path / "bundles" / "demo" / "model.onnx").write_bytes(b"x" * 1000)
    return tmp_path / "bundles"


@pytest.mark.parametrize("name", ["", ".", "..", "../outside", "demo/../../outside", "/etc", "demo/", "a\x00b", ".hid",
                                  "demo\n", "x" * 101, "dèmo", "-rf"])  # fmt: skip
def test_what_is_no_name_is_refused(root, name) -> None:
    with pytest.raises(Refused) as caught:
        BundleRoot(root, None).path(name)
    assert caught.value.fault.code is Code.INVALID


@pytest.mark.parametrize("name", ["absent", "file", "link"])
def test_what_is_not_there_or_leads_out_is_not_found(root, name) -> None:
    with pytest.raises(Refused) as caught:
        BundleRoot(root, None).path(name)
    assert caught.value.fault.code is Code.NOT_FOUND


def test_one_at_a_time_and_only_what_fits(root, fakes) -> None:
    async def load() -> None:
        entered, release = asyncio.Event(), asyncio.Event()

        async def opened(path):
            entered.set()
            await release.wait()
            return fakes.served(fakes.FakeAnswerer(), path.name)

        bundles = BundleRoot(root, opened, available=lambda: 3000)
        first = asyncio.create_task(bundles.load("demo"))
        await entered.wait()
        with pytest.raises(Refused) as caught:
            await bundles.load("demo")
        assert caught.value.fault.code is Code.CONFLICT
        release.set()
        assert (await first).description.name == "demo"
        with pytest.raises(BundleError, match="MiB are free"):
            await BundleRoot(root, opened, available=lambda: 2999).load("demo")
        assert (
            await BundleRoot(root, opened, available=lambda: None).load("demo")
        ).description.name == "demo"

    fakes.run(load())


def test_the_machine_says_how_much_is_free() -> None:
    free = available_bytes()
    assert free is None or free > 0
