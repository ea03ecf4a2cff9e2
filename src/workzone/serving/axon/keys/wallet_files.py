"""Keyfiles on this machine: read bounded, and only where nobody else can read or change them.

Knows paths and modes; does not know what a keyfile holds (`keyfile`). The check is made on the open descriptor, and
links are followed, as for every secret here: a mounted secret of an orchestrator is a link.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from workzone.core.errors import ConfigError, nearest
from workzone.serving.axon.keys.keyfile import MAX_KEYFILE_BYTES

_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")


@dataclass(frozen=True, slots=True)
class WalletFiles:
    """Where `btcli` puts a wallet.

    Attributes:
        wallets: Directory of all wallets; `~` is the user's home.
        name: The wallet's name (that of its coldkey).
        hotkey: The hotkey's name.

    Raises:
        ConfigError: A name is no single name of a file.
    """

    wallets: Path
    name: str
    hotkey: str

    def __post_init__(self) -> None:
        """Check that the names stay in their directory."""
        for what, name in (("wallet", self.name), ("hotkey", self.hotkey)):
            if _NAME.fullmatch(name) is None or name in {".", ".."}:
                raise ConfigError(
                    f"{name!r:.60} is no name of a {what}: it is one name, without '/'. Where the wallets are "
                    "is said with --wallet-path."
                )

    @property
    def directory(self) -> Path:
        """Of the one wallet."""
        return self.wallets.expanduser() / self.name

    @property
    def hotkey_path(self) -> Path:
        """The hotkey's keyfile."""
        return self.directory / "hotkeys" / self.hotkey

    @property
    def coldkeypub_path(self) -> Path:
        """The public half of the coldkey."""
        return self.directory / "coldkeypub.txt"

    @property
    def coldkey_path(self) -> Path:
        """The private coldkey, which should not be here."""
        return self.directory / "coldkey"

    def check_present(self) -> None:
        """Say what is missing, where it was looked for, and which command makes it.

        Raises:
            ConfigError: The wallet, its hotkey or its coldkeypub is missing.
        """
        wallets = self.wallets.expanduser()
        options = f"--wallet.name {shlex.quote(self.name)}"
        place = f"--wallet.path {shlex.quote(str(wallets))} (btcli is the package bittensor-cli)"
        make = f"btcli wallet new-hotkey {options} --wallet.hotkey {shlex.quote(self.hotkey)} {place}"
        make_public = f"btcli wallet regen-coldkeypub {options} --ss58-address ADDRESS"
        if not _present(self.directory):
            if _present(wallets):
                what = f"There is no wallet '{self.name}': '{self.directory}' was tried."
                what += f"{nearest(self.name, _names(wallets))} Name another with --wallet"
            else:
                what = f"The directory of the wallets '{wallets}' does not exist. Name another with --wallet-path"
            raise ConfigError(
                f"{what}, or make the wallet in two steps: first the public half of its coldkey, from the address: "
                f"{make_public} --wallet.path {shlex.quote(str(wallets))}; then a hotkey: {make}"
            )
        if not _present(self.hotkey_path):
            raise ConfigError(
                f"The wallet '{self.name}' has no hotkey '{self.hotkey}': '{self.hotkey_path}' was tried."
                f"{nearest(self.hotkey, _names(self.hotkey_path.parent))} Name another with --hotkey, or make one: "
                f"{make}"
            )
        if not _present(self.coldkeypub_path):
            raise ConfigError(
                f"The wallet '{self.name}' has no public coldkey: '{self.coldkeypub_path}' was tried. Copy that file "
                "(it is no secret) from the machine that has the coldkey, or make it from the address: "
                f"{make_public} {place}"
            )


def read_keyfile(path: Path, *, secret: bool) -> bytes:
    """Return a keyfile's bytes.

    Args:
        path: A regular file of this process's user or root.
        secret: True: nobody else may read or change it. False, for public keys: nobody else may change it.

    Raises:
        ConfigError: It cannot be read, is open to others, or is larger than `MAX_KEYFILE_BYTES`.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise ConfigError(f"'{path}' cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    try:
        _check_private(path, os.fstat(handle), secret=secret)
        with open(handle, "rb", closefd=False) as file:
            data = file.read(MAX_KEYFILE_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_KEYFILE_BYTES:
        raise ConfigError(f"'{path}' is larger than {MAX_KEYFILE_BYTES} bytes: it is no keyfile.")
    return data


def _check_private(path: Path, found: os.stat_result, *, secret: bool) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"'{path}' is not a regular file.")
    if found.st_mode & (0o077 if secret else 0o022):
        allowed = "readable and writable by its owner only" if secret else "writable by its owner only"
        raise ConfigError(
            f"'{path}' is open to other users (mode {stat.S_IMODE(found.st_mode):04o}); it must be {allowed}: "
            f"{'chmod 600' if secret else 'chmod go-w'} '{path}'"
        )
    if found.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"'{path}' belongs to user {found.st_uid}, not to the miner's user or root.")


def _present(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError(f"'{path}' cannot be looked at: {error.strerror or error}.") from None
    return True


def _names(directory: Path) -> list[str]:
    """Return what is there, to suggest from; a few, and nothing where it cannot be listed."""
    try:
        return sorted(entry.name for entry in directory.iterdir() if _NAME.fullmatch(entry.name))[:20]
    except OSError:
        return []
