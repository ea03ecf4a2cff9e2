"""`workzone mine`: answer the validators of Bittensor subnet 72."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workzone.cli.chain_options import (
    WALLETS,
    Hotkey,
    HotkeyFile,
    HotkeyPasswordFile,
    Netuid,
    Network,
    VaultFile,
    Wallet,
    WalletPath,
)
from workzone.cli.console import ExitCode
from workzone.cli.miner import KeySource, Standing, serve_miner
from workzone.cli.record_options import (
    Backend,
    CacheMib,
    Journal,
    KeepPictures,
    Logs,
    MaxPixels,
    PictureDays,
    Pictures,
    RetainDays,
)
from workzone.cli.service import MIB, Records

LargeBundle = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="The bundle that answers, where it is in time.")
]
SmallBundle = Annotated[Path | None, typer.Option(help="A cheaper one, for whom BUNDLE would be too late.")]
ProfileName = Annotated[
    str | None,
    typer.Option("--profile", help="Challenge profile; by default the one in force, as far as is known."),
]
NeuronsFile = Annotated[
    Path | None,
    typer.Option("--neurons", help="A file that says who is registered: a rehearsal without a chain."),
]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=1025, max=65534, help="Port that validators reach.")]
ExternalIp = Annotated[
    str | None, typer.Option(help="Announced address; by default looked up on the Internet.")
]
ExternalPort = Annotated[
    int | None, typer.Option(min=1025, max=65534, help="Announced port, where a router forwards another one.")
]
PrivateHost = Annotated[
    str, typer.Option(help="Address of the private port: loopback, or a network of your own.")
]
PrivatePort = Annotated[
    int, typer.Option(min=0, max=65535, help="Of /readyz, /livez and /metrics; 0: any free one.")
]
ModelCard = Annotated[
    Path | None, typer.Option(help="The published model_card.json: the model's age counts from it.")
]
Permit = Annotated[
    bool, typer.Option("--require-permit/--any-registered", help="Who may ask: validators, or anyone.")
]
Threads = Annotated[int | None, typer.Option(min=1, help="Of both networks together.")]
MaxBodyMib = Annotated[int, typer.Option(min=22, help="Of one request; a picture of 16 MiB needs 22.")]
Rate = Annotated[float, typer.Option(min=0.001, help="Requests a second of one address.")]
Burst = Annotated[int, typer.Option(min=1, help="Requests at once of one address.")]
ResyncS = Annotated[float, typer.Option(min=1, help="How often the table of neurons is read.")]
DrainS = Annotated[float, typer.Option(min=0.1, help="How long challenges in flight may take at the end.")]


def mine(
    bundle: LargeBundle,
    small: SmallBundle = None,
    profile: ProfileName = None,
    network: Network = "finney",
    netuid: Netuid = None,
    neurons: NeuronsFile = None,
    wallet: Wallet = None,
    hotkey: Hotkey = "default",
    wallet_path: WalletPath = WALLETS,
    hotkey_file: HotkeyFile = None,
    vault: VaultFile = None,
    hotkey_password_file: HotkeyPasswordFile = None,
    host: Host = "0.0.0.0",  # noqa: S104 - validators come from everywhere
    port: Port = 8091,
    external_ip: ExternalIp = None,
    external_port: ExternalPort = None,
    private_host: PrivateHost = "127.0.0.1",
    private_port: PrivatePort = 9091,
    model_card: ModelCard = None,
    require_permit: Permit = True,
    journal: Journal = None,
    retain_days: RetainDays = 400,
    keep_pictures: KeepPictures = "none",
    pictures: Pictures = None,
    picture_days: PictureDays = 30,
    logs: Logs = None,
    cache_mib: CacheMib = 64,
    threads: Threads = None,
    backend: Backend = None,
    max_body_mib: MaxBodyMib = 24,
    max_pixels: MaxPixels = 64_000_000,
    rate: Rate = 20.0,
    burst: Burst = 200,
    resync_s: ResyncS = 600.0,
    drain_s: DrainS = 10.0,
) -> None:
    """Answer the validators of subnet 72 until SIGTERM.

    Needs a bundle with an operating point (`workzone subnet point`), the hotkey and the public coldkey.
    """
    from workzone.core.lazy import check_installed

    for module in ("bittensor", "hvac", "fastapi", "uvicorn", "prometheus_client"):
        check_installed(module, "axon")
    from workzone.engine.live import LiveSettings
    from workzone.imaging.decode import DecodeLimits
    from workzone.serving.axon.guard.challenge import GuardSettings
    from workzone.serving.http.server import ServerSettings
    from workzone.serving.process_end import end_if_hung

    told = serve_miner(
        (bundle, small),
        profile,
        KeySource(wallet, wallet_path, hotkey, hotkey_file, vault, hotkey_password_file),
        Standing(network, netuid, neurons, external_ip, external_port or port, model_card, resync_s),
        Records(journal, retain_days, pictures, keep_pictures, picture_days, logs),
        cache_mib,
        LiveSettings(
            threads=threads,
            backend=backend,
            limits=DecodeLimits(max_bytes=max_body_mib * MIB, max_pixels=max_pixels),
        ),
        GuardSettings(max_body_mib * MIB, in_flight_bytes=max(256, 4 * max_body_mib) * MIB, rate_per_s=rate,
                      burst=burst, require_permit=require_permit),
        ServerSettings(host, port, private_host, private_port, drain_s=drain_s),
    )  # fmt: skip
    code = ExitCode.DONE if told else ExitCode.FAILED
    end_if_hung(code)
    raise typer.Exit(code)
