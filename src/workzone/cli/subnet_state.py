"""`workzone subnet state`: does the subnet pay, before anything is spent on it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from workzone.cli.chain_options import Netuid, Network
from workzone.cli.console import ExitCode, emit_json, out
from workzone.cli.miner import netuid_of

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


def state(network: Network = "finney", netuid: Netuid = None, as_json: AsJson = False) -> None:
    """Ask the chain who validates, how much of the miners' share is burnt, and what a registration costs.

    Exits with 3 where all is burnt, or the chain does not say.
    """
    from workzone.serving.axon.chain.bittensor_chain import BittensorChain
    from workzone.serving.axon.chain.survey import survey
    from workzone.subnet.profiles import in_force

    number = netuid_of(network, netuid)
    found = survey(BittensorChain(network, number, None))
    profile = in_force(datetime.now(UTC).date())
    if as_json:
        emit_json(
            {
                "network": network,
                "netuid": number,
                **asdict(found),
                "pays": found.pays,
                "known_profile": profile.name,
            }
        )
    else:
        burnt = "not known" if found.burnt_share is None else f"{found.burnt_share:.1%}"
        price = "not known" if found.price_tao is None else f"{found.price_tao:g} TAO"
        rows = {
            "block": f"{found.block}",
            "registered": f"{found.neurons}, of which {found.validators} may validate",
            "burnt of the miners' share": burnt,
            "price of a registration": price,
            "challenge profile, last known": f"{profile.name} (last seen {profile.last_seen.isoformat()})",
        }
        for name, value in rows.items():
            out.print(f"{name:<32}{value}")
        out.print(found.sentence)
    if not found.pays:
        raise typer.Exit(ExitCode.GATE_NOT_MET)
