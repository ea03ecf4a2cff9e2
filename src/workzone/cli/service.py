"""What `workzone serve` puts together: the service, its records, and the server around it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workzone.cli.console import err, shown

if TYPE_CHECKING:
    from workzone.engine.live import LiveSettings
    from workzone.serving.http.server import ServerSettings, Tls
    from workzone.serving.limits import Limits
    from workzone.serving.recording import Keeper
    from workzone.serving.served import Served

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Records:
    """Where answers, pictures and logs go."""

    journal: Path | None
    retain_days: int
    pictures: Path | None
    keep: str
    picture_days: int
    logs: Path | None


def tls_of(certificate: Path | None, key: Path | None, password: Path | None) -> Tls | None:
    """Return what TLS is set up with; None: plain HTTP."""
    from workzone.core.errors import ConfigError
    from workzone.serving.http.server import Tls

    if certificate is None and key is None and password is None:
        return None
    if certificate is None or key is None:
        raise ConfigError("TLS needs both --tls-certificate and --tls-key.")
    tls = Tls(certificate, key, password)
    tls.check()
    return tls


def serve(
    bundle: Path,
    live: LiveSettings,
    settings: ServerSettings,
    limits: Limits,
    records: Records,
    keys: Path | None,
    bundle_root: Path | None,
    cache_mib: int,
) -> bool:
    """Put the parts together and run them; return whether it ended because it was told to."""
    import asyncio
    from contextlib import ExitStack

    from workzone.engine.cache import AnswerCache
    from workzone.serving.bundle_root import BundleRoot
    from workzone.serving.http.app import create_app
    from workzone.serving.http.context import make_context
    from workzone.serving.http.metrics import Metrics, metrics_app
    from workzone.serving.http.server import check_ports, serve
    from workzone.serving.key_ring import KeyRing
    from workzone.serving.logs import operational_logs
    from workzone.serving.opening import open_served
    from workzone.serving.performance import HourlySummary
    from workzone.serving.service import Service
    from workzone.storage.journal import Journal

    async def opened(path: Path) -> Served:
        return await open_served(path, live)

    ring = None if keys is None else KeyRing.open(keys)
    check_ports(settings)  # before a journal is made for a service that cannot listen
    keeper = keeper_of(records)

    async def main() -> bool:
        summary = HourlySummary()
        metrics = Metrics(summary)
        service = Service(
            cache=AnswerCache(cache_mib * MIB) if cache_mib else None,
            journal=journal,
            keeper=keeper,
            observer=metrics,
        )
        bundles = None if bundle_root is None else BundleRoot(bundle_root, opened)
        context = make_context(service, ring, metrics, limits=limits, bundles=bundles)
        looks = 0

        async def look_after() -> None:
            nonlocal looks
            if looks % 3600 == 0:
                await service.expire()
            looks += 1
            summary.log_if_due()

        try:
            return await serve(
                create_app(context),
                metrics_app(metrics),
                service,
                lambda: opened(bundle),
                settings,
                look_after=look_after,
                listening=lambda address: err.print(f"listening on {shown(address)}"),
            )
        finally:
            summary.log()

    with ExitStack() as stack:
        stack.enter_context(only_operational_logs())
        stack.enter_context(operational_logs(records.logs))
        journal = None
        if records.journal is not None:
            journal = stack.enter_context(Journal(records.journal, retain_days=records.retain_days))
        return asyncio.run(main())


@contextmanager
def only_operational_logs() -> Iterator[None]:
    """Take the command line's handler away: it redacts nothing, and its level would swallow errors."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    root.setLevel(logging.WARNING)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def keeper_of(records: Records) -> Keeper | None:
    """Return what keeps pictures; None: nothing does.

    Raises:
        ConfigError: There is a rule and no directory, or no such rule.
    """
    from workzone.core.errors import ConfigError
    from workzone.serving.recording import Keeper, parse_keep_rule
    from workzone.storage.kept_pictures import KeptPictures

    rule = parse_keep_rule(records.keep)
    if records.pictures is None:
        if rule is not None:
            raise ConfigError(
                f"--keep-pictures {records.keep} needs --pictures, a directory to keep them in."
            )
        return None
    return Keeper(KeptPictures(records.pictures, retain_days=records.picture_days), rule)
