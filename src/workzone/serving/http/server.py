"""From listening to leaving: one process, one event loop, two ports, and an end in order.

Knows sockets and signals; does not know what answers: it is given a way to open it. The ports listen before the model
is loaded, so that the probes tell of the start, and a load balancer hears of the end before the ports close.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from workzone.core.errors import ConfigError
from workzone.serving.http.slow_clients import BoundedH11Protocol
from workzone.serving.key_file import check_private, read_secret
from workzone.serving.logs import ERRORS
from workzone.serving.served import Served
from workzone.serving.service import Service

_LOOK_EVERY_S = 1.0
_CLOSE_S = 5.0
_LOG = logging.getLogger(ERRORS)
_HINTS = {
    errno.EADDRINUSE: " Is another one running?",
    errno.EADDRNOTAVAIL: " It can listen only on an address of this machine.",
}


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate chain and its private key, in PEM."""

    certificate: Path
    key: Path
    password_file: Path | None = None

    def check(self) -> None:
        """Load them once, to say what is wrong before anything else is done.

        Raises:
            ConfigError: A file is missing or unfit, or others may read the key.
        """
        check_private(self.key)
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                self.certificate, self.key, self.password() or ""
            )
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"TLS cannot be set up with '{self.certificate}' and '{self.key}': {error.strerror or error}."
            ) from error

    def password(self) -> str | None:
        """The key's password."""
        return None if self.password_file is None else read_secret(self.password_file)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where and how long.

    Attributes:
        host: Address to listen on.
        port: Of the API; 0: any free one.
        metrics_port: Of `/metrics`; None: it is not served.
        metrics_host: Address of `/metrics`; another than loopback only in a container, behind a network of its own.
        tls: Certificate and key; None: plain HTTP.
        grace_s: How long requests are still taken after the order to stop, while load balancers hear of it.
        drain_s: How long requests in flight may then take.
        connections: The most at once; more get 503 from the server itself, and far more are hung up on. Half of the
            1024 descriptors that a process usually has: the journal needs one for its next file.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    tls: Tls | None = None
    grace_s: float = 0.0
    drain_s: float = 30.0
    connections: int = 512


class _Server(uvicorn.Server):
    """Leaves signals to `serve`, which has more to do at the end than to close."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Any,
    metrics: Any,
    service: Service,
    open_first: Callable[[], Awaitable[Served]],
    settings: ServerSettings,
    *,
    look_after: Callable[[], Awaitable[None]] | None = None,
    listening: Callable[[str], None] = lambda _: None,
) -> bool:
    """Serve until SIGTERM, SIGINT, or the service fails.

    Args:
        app: The API.
        metrics: The application of the metrics port.
        service: What the API is over.
        open_first: Opens what is to answer; called once the ports listen.
        settings: Where and how long.
        look_after: Called each second, for what has to be done now and then.
        listening: Told each address.

    Returns:
        Whether it ended because it was told to; else it failed and must be restarted.

    Raises:
        ConfigError: A port cannot be had.
        WorkzoneError: What `open_first` raises.
    """
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        servers = [_listen(stack, app, settings, settings.host, settings.port, listening)]
        if settings.metrics_port is not None:
            plain = ServerSettings(connections=64)
            servers.append(
                _listen(stack, metrics, plain, settings.metrics_host, settings.metrics_port, listening)
            )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
            stack.callback(loop.remove_signal_handler, number)
        running = [asyncio.create_task(server.serve(sockets=[sock])) for server, sock in servers]
        try:
            await _until_told(service, open_first, stop, running, look_after)
        finally:
            await _leave(service, settings, [server for server, _ in servers], running)
    return stop.is_set()


async def _until_told(
    service: Service,
    open_first: Callable[[], Awaitable[Served]],
    stop: asyncio.Event,
    running: list[asyncio.Task[None]],
    look_after: Callable[[], Awaitable[None]] | None,
) -> None:
    """Return when told to stop, when the service has failed, or when a server ended; raise what opening raises."""
    opening = asyncio.ensure_future(_open(service, open_first))
    ends = [asyncio.ensure_future(wait) for wait in (stop.wait(), service.readiness.failed())]
    looking = asyncio.create_task(_look(service, look_after))
    try:
        done, _ = await asyncio.wait({opening, looking, *ends, *running}, return_when=asyncio.FIRST_COMPLETED)
        while done == {opening} and opening.exception() is None:
            done, _ = await asyncio.wait({looking, *ends, *running}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (opening, looking, *ends):
            task.cancel()
        await asyncio.gather(opening, looking, *ends, return_exceptions=True)


async def _open(service: Service, open_first: Callable[[], Awaitable[Served]]) -> None:
    service.swap(await open_first())


async def _look(service: Service, look_after: Callable[[], Awaitable[None]] | None) -> None:
    """See, also while nobody asks, whether the model has died."""
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        service.check()
        if look_after is not None:
            try:
                await look_after()
            except Exception:  # noqa: BLE001 - housekeeping must not end the service
                _LOG.exception("housekeeping_failed")


async def _leave(
    service: Service,
    settings: ServerSettings,
    servers: list[_Server],
    running: list[asyncio.Task[None]],
) -> None:
    """Say so, keep answering for the grace, stop listening, finish what is in flight, close."""
    was_answering = service.check()
    service.begin_drain()
    if was_answering and settings.grace_s > 0:
        await asyncio.sleep(settings.grace_s)
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*running, return_exceptions=True)
    if not await service.drain(settings.drain_s):
        _LOG.error("drain_cut_short: requests were still in flight after %g s", settings.drain_s)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_S):  # a hung model must not keep the process from ending
            await service.aclose()


def _listen(
    stack: AsyncExitStack,
    app: Any,
    settings: ServerSettings,
    host: str,
    port: int,
    listening: Callable[[str], None],
) -> tuple[_Server, socket.socket]:
    sock = _bind(host, port)
    # asyncio does it only for a socket that names its protocol. Head and body are written apart, so without it each
    # answer waits for the caller's delayed acknowledgement: 40 ms. Connections inherit it.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stack.callback(sock.close)
    shown = f"[{host}]" if ":" in host else host
    listening(f"{'https' if settings.tls else 'http'}://{shown}:{sock.getsockname()[1]}")
    return _Server(_config(app, settings)), sock


def check_ports(settings: ServerSettings) -> None:
    """Have the ports once, and let them go: what cannot listen is refused before anything is made for it.

    Raises:
        ConfigError: A port cannot be had.
    """
    with ExitStack() as stack:
        stack.enter_context(_bind(settings.host, settings.port))
        if settings.metrics_port is not None:
            stack.enter_context(_bind(settings.metrics_host, settings.metrics_port))


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "")
        raise ConfigError(
            f"The service cannot listen on {host}:{port}: {error.strerror or error}.{hint}"
        ) from error


def _config(app: Any, settings: ServerSettings) -> uvicorn.Config:
    tls = settings.tls
    return uvicorn.Config(
        app,
        http=BoundedH11Protocol,  # h11 bounds the size of headers, this the time for them
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here trusts a forwarded address
        limit_concurrency=settings.connections,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
        h11_max_incomplete_event_size=32 * 1024,
        ssl_certfile=None if tls is None else tls.certificate,
        ssl_keyfile=None if tls is None else tls.key,
        ssl_keyfile_password=None if tls is None else tls.password(),
    )
