"""`workzone subnet rehearsal` and `ask`: try a miner without a chain, or see from elsewhere whether it answers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from workzone.cli.chain_options import (
    WALLETS,
    Hotkey,
    HotkeyFile,
    HotkeyPasswordFile,
    VaultFile,
    Wallet,
    WalletPath,
)
from workzone.cli.console import ExitCode, emit_json, out, shown
from workzone.cli.miner import KeySource

MAX_PICTURE_BYTES = 16 << 20
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


def rehearsal(
    folder: Annotated[Path, typer.Argument(help="A new directory.")] = Path("rehearsal"),
    as_json: AsJson = False,
) -> None:
    """Write throwaway keys of a miner and a validator, and the file of neurons that names both.

    With them `workzone mine` and `workzone subnet ask` play the subnet on one machine. Never send coins to these keys.
    """
    from workzone.serving.axon.rehearsal import write_rehearsal

    made = write_rehearsal(folder)
    if as_json:
        emit_json({"folder": str(made.folder), "miner": made.miner, "validator": made.validator})
        return
    where = shown(made.folder)
    out.print(f"workzone mine BUNDLE --profile NAME --neurons {where}/neurons.json --hotkey-file {where}/miner.json "
              "--host 127.0.0.1")  # fmt: skip
    out.print(f"workzone subnet ask 127.0.0.1:8091 PICTURE... --receiver {made.miner} "
              f"--hotkey-file {where}/validator.json")  # fmt: skip


def ask(
    address: Annotated[str, typer.Argument(metavar="IP:PORT", help="Of the miner.")],
    pictures: Annotated[list[Path], typer.Argument(help="Files, each asked about once.")],
    receiver: Annotated[str, typer.Option(help="SS58 address of the miner's hotkey.")],
    wallet: Wallet = None,
    hotkey: Hotkey = "default",
    wallet_path: WalletPath = WALLETS,
    hotkey_file: HotkeyFile = None,
    vault: VaultFile = None,
    hotkey_password_file: HotkeyPasswordFile = None,
    timeout_s: Annotated[float, typer.Option(min=0.1, max=60, help="How long to wait.")] = 9.0,
    as_json: AsJson = False,
) -> None:
    """Ask a miner as a validator does, signed by a hotkey that it knows. Exits with 3 if a picture got no answer."""
    from workzone.serving.axon.address import parse_address
    from workzone.serving.axon.client import ask_axon

    target = parse_address(address)
    keys = KeySource(wallet, wallet_path, hotkey, hotkey_file, vault, hotkey_password_file).read()
    told: list[dict[str, Any]] = []
    for path in pictures:
        reply = ask_axon(target, receiver, keys, _read(path), timeout_s=timeout_s)
        told.append({"image": str(path), **asdict(reply)})
        if not as_json:
            said = "no answer" if reply.prediction is None else f"{reply.prediction:.3f}"
            why = f"  {reply.status} {reply.message}".rstrip() if reply.prediction is None else ""
            out.print(f"{shown(path)}  {said}  {1000 * reply.seconds:.0f} ms{shown(why)}")
    if as_json:
        emit_json(told)
    if any(one["prediction"] is None for one in told):
        raise typer.Exit(ExitCode.GATE_NOT_MET)


def _read(path: Path) -> bytes:
    from workzone.core.errors import DataError

    try:
        with path.open("rb") as file:
            data = file.read(MAX_PICTURE_BYTES + 1)
    except OSError as error:
        raise DataError(f"The picture '{path}' cannot be read: {error.strerror}.") from error
    if len(data) > MAX_PICTURE_BYTES:
        raise DataError(f"'{path}' has more than {MAX_PICTURE_BYTES >> 20} MiB, more than validators send.")
    return data
