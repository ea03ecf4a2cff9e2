"""Options that several commands of the subnet share: whose keys, and which chain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WALLETS = Path("~/.bittensor/wallets")
"""Where `btcli` puts wallets."""

Network = Annotated[str, typer.Option(help="finney, test, or a node's address (wss://…).")]
Netuid = Annotated[int | None, typer.Option(min=1, help="By default 72 on finney, 323 on test.")]
Wallet = Annotated[str | None, typer.Option(help="Name of the wallet.")]
Hotkey = Annotated[str, typer.Option(help="Name of the hotkey in the wallet.")]
WalletPath = Annotated[Path, typer.Option(help="Directory of the wallets.")]
HotkeyFile = Annotated[
    Path | None, typer.Option(help="JSON with `hotkey` and `coldkeypub` instead of a wallet, mode 0600.")
]
VaultFile = Annotated[
    Path | None, typer.Option("--vault", help="YAML that says where HashiCorp Vault keeps them instead.")
]
HotkeyPasswordFile = Annotated[Path | None, typer.Option(help="Of an encrypted hotkey, mode 0600.")]
