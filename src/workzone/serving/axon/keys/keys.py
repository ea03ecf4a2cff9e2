"""The two keys a miner has: the hotkey, which signs, and the public half of the coldkey.

Knows where keys come from on this machine; does not know Vault (`vault`) or the chain. A `MinerKeys` stands where the
SDK asks for a wallet: it has what `bt.Axon` and `serve_axon` touch, and nothing that could reach a coldkey's private
half, which never belongs on a miner. It cannot be copied or pickled, and shows addresses only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex

from workzone.core.errors import ConfigError
from workzone.core.lazy import require
from workzone.serving.axon.keys.keyfile import (
    EXTRA,
    decrypt,
    forgetting_frames,
    hotkey_pair,
    keyfile_bytes,
    parse_object,
    public_pair,
)
from workzone.serving.axon.keys.wallet_files import WalletFiles, read_keyfile
from workzone.serving.key_file import read_secret

if TYPE_CHECKING:
    from bittensor_wallet import Keypair

_FIELDS = ("hotkey", "coldkeypub")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class MinerKeys:
    """What a miner signs with and is known by; takes a wallet's place in the SDK.

    Attributes:
        hotkey: The pair that signs answers and the announcement of the address.
        coldkeypub: The public half of the coldkey that owns the hotkey.
        source: Where they came from, for people; never key material.
        warnings: What the operator should mend although the keys work, each a sentence.

    Raises:
        ConfigError: The hotkey cannot sign, or the coldkey can.
    """

    hotkey: Keypair
    coldkeypub: Keypair
    source: str = "memory"
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check which of the two can sign."""
        if not _can_sign(self.hotkey):
            raise ConfigError(
                f"The hotkey {self.hotkey_address} has no private half, so it cannot sign answers."
            )
        if _can_sign(self.coldkeypub):
            raise ConfigError(
                f"The coldkey {self.coldkey_address} came with its private half; a miner takes its address only."
            )

    @property
    def hotkey_address(self) -> str:
        """SS58 address of the hotkey."""
        return str(self.hotkey.ss58_address)

    @property
    def coldkey_address(self) -> str:
        """SS58 address of the coldkey."""
        return str(self.coldkeypub.ss58_address)

    def unlock_hotkey(self) -> Keypair:
        """Return the hotkey, as a wallet does after asking for its password; here that was done on reading."""
        return self.hotkey

    def __repr__(self) -> str:
        """Return the two addresses and the source."""
        return f"MinerKeys(hotkey={self.hotkey_address}, coldkey={self.coldkey_address}, from {self.source})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        """Refuse to be copied or pickled: key material would leave this object.

        Raises:
            TypeError: Always.
        """
        raise TypeError("MinerKeys are neither copied nor pickled: pass the object itself")


@forgetting_frames
def keys_from_wallet(path: Path, name: str, hotkey: str, password_file: Path | None = None) -> MinerKeys:
    """Read PATH/NAME/hotkeys/HOTKEY and PATH/NAME/coldkeypub.txt, where `btcli` puts them.

    Args:
        path: The directory of the wallets, `~/.bittensor/wallets` by custom.
        name: The wallet.
        hotkey: The hotkey's name.
        password_file: Where the hotkey is encrypted: a file of mode 0600 with its password.

    Raises:
        ConfigError: Something is missing, open to others, encrypted, changed, or no keyfile; says which and what to do.
        MissingExtraError: The extra `axon` is not installed.
    """
    files = WalletFiles(path, name, hotkey)
    files.check_present()
    where = f"the hotkey '{files.hotkey_path}'"
    data = decrypt(read_keyfile(files.hotkey_path, secret=True), password_from(password_file), where)
    pair = hotkey_pair(parse_object(data, where), where)
    public = public_from(read_keyfile(files.coldkeypub_path, secret=False), f"'{files.coldkeypub_path}'")
    return made(pair, public, f"wallet '{files.directory}'", _coldkey_warnings(files.coldkey_path))


@forgetting_frames
def keys_from_file(path: Path, password_file: Path | None = None) -> MinerKeys:
    """Read one JSON file: `hotkey` (a keyfile's content) and `coldkeypub` (that of coldkeypub.txt, or the address).

    An encrypted keyfile holds bytes, not text: it stands there in base64.

    Args:
        path: A file that nobody else may read (mode 0600).
        password_file: Where the hotkey is encrypted: a file of mode 0600 with its password.

    Raises:
        ConfigError: It is open to others, or not such a file.
        MissingExtraError: The extra `axon` is not installed.
    """
    where = f"'{path}'"
    value = parse_object(read_keyfile(path.expanduser(), secret=True), where)
    return keys_from_fields(value, where, password_from(password_file))


def keys_from_fields(
    value: Mapping[str, Any], source: str, password: Callable[[], str] | None = None
) -> MinerKeys:
    """Return the keys of a mapping with `hotkey` and `coldkeypub`, each a keyfile's content as text, base64 or object.

    Raises:
        ConfigError: It has other fields, or one of them is not what it should be; quotes neither.
    """
    if set(value) != set(_FIELDS):
        more = len(set(value) - set(_FIELDS))
        missing = "', '".join(name for name in _FIELDS if name not in value)
        found = f"lacks '{missing}'" if missing else f"has {more} further field{'s' * (more > 1)}"
        raise ConfigError(f"{source} {found}; expected are 'hotkey' and 'coldkeypub', nothing else.")
    hotkey, coldkeypub = value["hotkey"], value["coldkeypub"]
    where = f"{source}, field 'hotkey'"
    if isinstance(hotkey, str):
        hotkey = parse_object(decrypt(keyfile_bytes(hotkey, where), password, where), where)
    if not isinstance(hotkey, dict):
        raise ConfigError(f"{where} is neither the text nor the JSON object of a keyfile.")
    public_where = f"{source}, field 'coldkeypub'"
    if isinstance(coldkeypub, str):
        public = public_from(coldkeypub.encode("utf-8", "replace"), public_where)
    elif isinstance(coldkeypub, dict):
        public = public_pair(coldkeypub, public_where)
    else:
        raise ConfigError(f"{public_where} is neither an address nor the content of coldkeypub.txt.")
    return made(hotkey_pair(hotkey, where), public, source)


def public_from(data: bytes, source: str) -> Keypair:
    """Return the public key of a `coldkeypub.txt`, or of a bare address.

    Raises:
        ConfigError: It is neither.
    """
    text = data.strip()
    if text.isalnum():
        return public_pair(text.decode("ascii"), source)
    return public_pair(parse_object(data, source), source)


def made(hotkey: Keypair, coldkeypub: Keypair, source: str, warnings: tuple[str, ...] = ()) -> MinerKeys:
    """Return the keys, with a warning where both are one."""
    if hotkey.ss58_address == coldkeypub.ss58_address:
        warnings += (
            "The hotkey is the coldkey: who takes this machine takes the coins. Make a hotkey of its own: btcli wallet "
            "new-hotkey",
        )
    return MinerKeys(hotkey, coldkeypub, source, warnings)


def _coldkey_warnings(path: Path) -> tuple[str, ...]:
    if not (path.exists() or path.is_symlink()):
        return ()
    return (
        f"The private coldkey '{path}' is on this machine. It does not belong on a miner, which needs coldkeypub.txt "
        "only: keep it elsewhere, and delete it here.",
    )


def password_from(file: Path | None) -> Callable[[], str] | None:
    """Return what reads the password when it is needed; None without a file."""
    return None if file is None else partial(_read_password, file)


def _read_password(file: Path) -> str:
    password = read_secret(file.expanduser())
    if not password:
        raise ConfigError(f"'{file}' holds no password.")
    return password


def _can_sign(pair: Keypair) -> bool:
    try:
        pair.sign(b"workzone")
    except require("bittensor_wallet", EXTRA).errors.ConfigurationError:
        return False
    return True
