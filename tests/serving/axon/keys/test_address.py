from __future__ import annotations

import ipaddress
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workzone.core.errors import ConfigError
from workzone.serving.axon.address import Address, public_address


@pytest.mark.parametrize(("ip", "written"), [
    ("8.8.8.8", "8.8.8.8:8091"), ("2A00:1450::0008", "[2a00:1450::8]:8091"), ("::ffff:8.8.8.8", "8.8.8.8:8091"),
])  # fmt: skip
def test_an_address_is_brought_into_its_canonical_writing(ip: str, written: str) -> None:
    address = Address(ip, 8091)
    assert str(address) == written
    assert address.warning is None
    assert address == Address(address.ip, 8091)


@pytest.mark.parametrize("ip", [
    "", "localhost", "example.org", "1.2.3", "01.2.3.4", "1.2.3.4 ", "256.1.1.1", "1.2.3.4:80", "fe80::1%eth0", "1",
    "::g", 5, None, b"1.2.3.4",
])  # fmt: skip
def test_what_is_no_address_is_refused(ip: object) -> None:
    with pytest.raises(ConfigError, match="is no IP address"):
        Address(ip, 8091)  # type: ignore[arg-type]


@pytest.mark.parametrize("ip", ["0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "::ffff:0.0.0.0"])
def test_an_address_of_any_or_many_is_refused(ip: str) -> None:
    with pytest.raises(ConfigError, match=r"no address that can be called.*--external-ip"):
        Address(ip, 8091)


@pytest.mark.parametrize("ip", [
    "127.0.0.1", "::1", "10.0.0.1", "192.168.1.2", "172.16.0.1", "169.254.1.1", "100.64.0.1", "fd00::1", "fe80::1",
    "203.0.113.7",
])  # fmt: skip
def test_an_address_nobody_elsewhere_reaches_is_warned_of(ip: str) -> None:
    warning = Address(ip, 8091).warning
    assert warning is not None
    assert ip in warning
    assert "--external-ip" in warning


@pytest.mark.parametrize("port", [0, -1, 80, 1024, 65535, 65536, True, 8091.0, "8091", None])
def test_a_port_the_sdk_does_not_take_is_refused(port: object) -> None:
    with pytest.raises(ConfigError, match="1025 to 65534"):
        Address("8.8.8.8", port)  # type: ignore[arg-type]


def test_the_ports_at_the_ends_are_those_of_the_sdk() -> None:
    from types import SimpleNamespace

    from workzone.serving.axon.sdk import bittensor

    check = bittensor().Axon.check_config

    def taken_by_the_sdk(port: int) -> bool:
        try:
            check(SimpleNamespace(axon=SimpleNamespace(port=port, external_port=port)))
        except AssertionError:
            return False
        return True

    def taken(port: int) -> bool:
        try:
            Address("8.8.8.8", port)
        except ConfigError:
            return False
        return True

    ports = (1, 1023, 1024, 1025, 1026, 8091, 65533, 65534, 65535, 65536)
    assert [taken(port) for port in ports] == [taken_by_the_sdk(port) for port in ports]


@given(st.ip_addresses())
def test_every_address_is_taken_in_one_writing_or_refused(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    try:
        address = Address(str(ip), 8091)
    except ConfigError:
        assert (
            ip.is_unspecified
            or ip.is_multicast
            or str(ip) == "255.255.255.255"
            or getattr(ip, "ipv4_mapped", None)
        )
        return
    assert Address(ip.exploded, 8091) == address


def test_the_own_address_is_looked_up() -> None:
    assert public_address(8091, lambda: "8.8.4.4\n") == Address("8.8.4.4", 8091)


@pytest.mark.parametrize("answer", [
    "", "10.0.0.1", "127.0.0.1", "0.0.0.0", "<html>", "8" * 10_000, None, 7, "203.0.113.7",
])  # fmt: skip
def test_an_answer_that_is_no_public_address_is_refused(answer: object) -> None:
    with pytest.raises(ConfigError, match=r"no service gave a public one.*--external-ip.*port 8091"):
        public_address(8091, lambda: answer)  # type: ignore[arg-type, return-value]


def test_a_look_up_that_fails_or_hangs_names_the_way_on() -> None:
    def fail() -> str:
        raise OSError("no route")

    with pytest.raises(ConfigError, match=r"failed \(OSError\).*--external-ip"):
        public_address(8091, fail)
    end = threading.Event()
    try:
        with pytest.raises(ConfigError, match=r"within 0.05 s.*--external-ip"):
            public_address(8091, lambda: str(end.wait()), timeout_s=0.05)
    finally:
        end.set()
    with pytest.raises(ConfigError, match="1025 to 65534"):
        public_address(80, lambda: "8.8.8.8")


def test_the_sdks_look_up_is_the_one_used(monkeypatch) -> None:
    from workzone.serving.axon.sdk import bittensor

    monkeypatch.setattr(bittensor().utils.networking, "get_external_ip", lambda: "8.8.8.8")
    assert public_address(8091) == Address("8.8.8.8", 8091)
