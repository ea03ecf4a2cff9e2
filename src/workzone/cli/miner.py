"""What `workzone mine` puts together: bundles, keys, the chain, records, and the server around them.

All that can be refused is refused before anything listens: the profile, the bundles, the keys, the address.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workzone.cli.console import err, shown
from workzone.cli.service import MIB, keeper_of, only_operational_logs
from workzone.cli.service import Records as RecordPaths

if TYPE_CHECKING:
    from workzone.engine.live import LiveSettings
    from workzone.serving.axon.address import Address
    from workzone.serving.axon.chain.chain import Chain
    from workzone.serving.axon.guard.challenge import GuardSettings
    from workzone.serving.axon.keys.keys import MinerKeys
    from workzone.serving.http.server import ServerSettings


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where the keys come from: exactly one of a wallet, a file, or Vault."""

    wallet: str | None
    wallet_path: Path
    hotkey: str
    hotkey_file: Path | None
    vault: Path | None
    password_file: Path | None

    def read(self) -> MinerKeys:
        """Read them.

        Raises:
            ConfigError: None or several are given, or what is given has no keys; quotes none.
        """
        from workzone.core.errors import ConfigError
        from workzone.serving.axon.keys.keys import keys_from_file, keys_from_wallet

        given = [one for one in (self.wallet, self.hotkey_file, self.vault) if one is not None]
        if len(given) != 1:
            raise ConfigError(
                f"{len(given)} sources of the keys are given; expected one of --wallet, --hotkey-file and --vault."
            )
        if self.hotkey_file is not None:
            return keys_from_file(self.hotkey_file, self.password_file)
        if self.vault is not None:
            from workzone.serving.axon.keys.vault import keys_from_vault
            from workzone.serving.axon.keys.vault_file import read_vault_file

            return keys_from_vault(read_vault_file(self.vault), self.password_file)
        assert self.wallet is not None
        return keys_from_wallet(self.wallet_path.expanduser(), self.wallet, self.hotkey, self.password_file)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the miner stands; `neurons`: in a rehearsal, with no chain."""

    network: str
    netuid: int | None
    neurons: Path | None
    external_ip: str | None
    external_port: int
    model_card: Path | None
    resync_s: float

    @property
    def where(self) -> str:
        """The network, for people to read."""
        if self.neurons is not None:
            return "in a rehearsal"
        # A node's address may end with a key.
        network = "/".join(self.network.split("/")[:3])
        return f"on {network} (netuid {netuid_of(self.network, self.netuid)})"

    def chain(self, keys: MinerKeys) -> Chain:
        """Return who says who is registered.

        Raises:
            ConfigError: The network is unknown, or its subnet's number is.
        """
        if self.neurons is not None:
            from workzone.serving.axon.chain.neuron_file import NeuronFile

            chain = NeuronFile(self.neurons, keys.hotkey_address)
            chain.fetch()  # a file that is wrong is refused now; a chain that is away is waited for
            return chain
        from workzone.serving.axon.chain.bittensor_chain import BittensorChain

        return BittensorChain(self.network, netuid_of(self.network, self.netuid), keys)

    def address(self) -> Address:
        """Return where validators reach the miner.

        Raises:
            ConfigError: It is not said and cannot be found out, or is none that can be called.
        """
        from workzone.serving.axon.address import Address, public_address

        if self.external_ip is None and self.neurons is None:
            return public_address(self.external_port)
        return Address(self.external_ip or "127.0.0.1", self.external_port)


def netuid_of(network: str, netuid: int | None) -> int:
    """Return the subnet's number on a network.

    Raises:
        ConfigError: It is not said, and not known for that network.
    """
    from workzone.core.errors import ConfigError
    from workzone.subnet.protocol import NETUIDS

    if netuid is not None:
        return netuid
    if network not in NETUIDS:
        raise ConfigError(f"The subnet's number on '{network:.80}' is not known; give it with --netuid.")
    return NETUIDS[network]


def _check_ports(server: ServerSettings) -> None:
    """Refuse ports that cannot be had, before the journal's directory is made for what would listen on them.

    Raises:
        ConfigError: They are one and the same, or cannot be listened on.
    """
    from workzone.core.errors import ConfigError
    from workzone.serving.http.server import check_ports

    if server.port == server.metrics_port:
        raise ConfigError(
            f"--port and --private-port are both {server.port}; what only you may ask needs a port of its own."
        )
    check_ports(server)


def serve_miner(
    paths: tuple[Path, Path | None],
    profile: str | None,
    source: KeySource,
    standing: Standing,
    record_paths: RecordPaths,
    cache_mib: int,
    live: LiveSettings,
    guard: GuardSettings,
    server: ServerSettings,
) -> bool:
    """Put the parts together and run them; return whether it ended because it was told to.

    Raises:
        WorkzoneError: Whatever speaks against beginning.
    """
    import asyncio
    from contextlib import ExitStack
    from datetime import UTC, datetime

    from workzone.engine.cache import AnswerCache
    from workzone.serving.axon.chain.watch import WatchSettings
    from workzone.serving.axon.health.health import HealthSettings
    from workzone.serving.axon.health.submission import submitted_at
    from workzone.serving.axon.mined import mined_bundle, profile_to_mine
    from workzone.serving.axon.miner import Location, Miner, Records, open_lanes
    from workzone.serving.logs import operational_logs
    from workzone.storage.journal import Journal

    under = profile_to_mine(profile, datetime.now(UTC).date())
    large = mined_bundle(paths[0], under, live.backend)
    small = None if paths[1] is None else mined_bundle(paths[1], under, live.backend)
    rehearsal = standing.neurons is not None
    keys = source.read()
    chain, external = standing.chain(keys), standing.address()
    location = Location(
        external, announce=not rehearsal, submitted=submitted_at(standing.model_card, large.created)
    )
    for warning in (*keys.warnings, None if rehearsal else external.warning):
        if warning is not None:
            err.print(f"[yellow]warning[/yellow] {shown(warning)}")
    _check_ports(server)
    keeper = keeper_of(record_paths)
    ports = iter(("validators", "probes and metrics, yours alone"))
    err.print(f"mining under {under.name}, {shown(standing.where)}, as {keys.hotkey_address}", soft_wrap=True)

    async def main() -> bool:
        cache = AnswerCache(cache_mib * MIB) if cache_mib else None
        miner = Miner(
            keys,
            chain,
            location,
            Records(cache, journal, keeper),
            guard=guard,
            watch=WatchSettings(resync_s=standing.resync_s),
            health=HealthSettings(),
        )
        return await miner.run(
            lambda: open_lanes(large, small, live, profile=under.name),
            server,
            listening=lambda address: err.print(
                f"listening on the port for {next(ports)}: {shown(address)}", soft_wrap=True
            ),
        )

    with ExitStack() as stack:
        stack.enter_context(only_operational_logs())
        stack.enter_context(operational_logs(record_paths.logs))
        journal = None
        if record_paths.journal is not None:
            journal = stack.enter_context(Journal(record_paths.journal, retain_days=record_paths.retain_days))
        return asyncio.run(main())
