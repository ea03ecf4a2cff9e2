"""What a keyfile holds: a hotkey's pair, or a coldkey's public half, each checked against its own address.

Knows the content, from wherever it came (`wallet_files`, `vault`); opens nothing. The pair is made from the one field
that suffices and then compared with the address beside it, because the SDK does not compare: a keyfile edited by hand
would sign as somebody else. No complaint quotes what stands in a keyfile, and none carries the frames that read it,
whose variables hold the key.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from workzone.core.errors import ArtifactError, ConfigError, WorkzoneError
from workzone.core.lazy import require
from workzone.storage.jsonfile import parse_json

if TYPE_CHECKING:
    from bittensor_wallet import Keypair

P = ParamSpec("P")
T = TypeVar("T")

EXTRA = "axon"
MAX_KEYFILE_BYTES = 64 << 10
"""A keyfile is about 600 bytes; encrypted, up to some thousand."""

_SHAPES: Mapping[str, re.Pattern[str]] = {
    "secretSeed": re.compile(r"(?:0x)?[0-9a-fA-F]{64}"),
    "secretPhrase": re.compile(r"[a-z]{3,8}(?: [a-z]{3,8}){11,23}"),
    "privateKey": re.compile(r"(?:0x)?(?:[0-9a-fA-F]{64}){1,2}"),
}
"""The fields with a private half, in the order in which they are tried; any one of them suffices."""
_PRIVATE = "', '".join(_SHAPES)
_CRYPTO_TYPES = (0, 1)
"""Ed25519 and sr25519."""
_SS58_FORMAT = 42
_NACL = b"$NACL"
_NACL_LEAST = len(_NACL) + 24 + 16
"""Mark, nonce and authenticator: with less, the SDK panics instead of raising."""
_PACKED = (b"{", _NACL, b"$ANSIBLE_VAULT")
"""What a keyfile begins with that may stand somewhere as base64."""


def forgetting_frames(function: Callable[P, T]) -> Callable[P, T]:
    """Let a `WorkzoneError` out of `function` without the frames and causes below it.

    Their variables hold key material, which a traceback printed with its local variables would show, as some loggers
    do. `function` itself must not be given any.
    """

    @wraps(function)
    def forgetting(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except WorkzoneError as error:
            failed = error
        failed.__cause__ = failed.__context__ = None
        raise failed.with_traceback(None)

    return forgetting


def parse_object(data: bytes, source: str) -> dict[str, Any]:
    """Return a JSON object that may hold key material; complaints quote nothing of it.

    Raises:
        ConfigError: It is no JSON object, or larger than `MAX_KEYFILE_BYTES`.
    """
    if len(data) > MAX_KEYFILE_BYTES:
        raise ConfigError(f"{source} is larger than {MAX_KEYFILE_BYTES} bytes; a keyfile is smaller.")
    try:
        value = parse_json(data, source)
    except ArtifactError:
        value = None
    if not isinstance(value, dict):
        raise ConfigError(
            f"{source} is not a JSON object; expected is what 'btcli' writes. A bare seed or mnemonic is not read: "
            "make the keyfile with 'btcli wallet regen-hotkey'."
        )
    return value


def is_encrypted(data: bytes) -> bool:
    """Return whether a keyfile's bytes are encrypted, in any of the SDK's ways."""
    return bool(require("bittensor_wallet", EXTRA).keyfile.keyfile_data_is_encrypted(data))


def decrypt(data: bytes, password: Callable[[], str] | None, source: str) -> bytes:
    """Return a keyfile's plain content; unencrypted content comes back as it is.

    Takes some seconds where there is a password: its hash is meant to be slow.

    Args:
        data: The keyfile's bytes.
        password: Reads the password when it is needed; None: there is none.
        source: Names the keyfile in complaints.

    Raises:
        ConfigError: It is encrypted and there is no password, the password is wrong, or the file is cut short.
    """
    if not is_encrypted(data):
        return data
    if password is None:
        raise ConfigError(
            f"{source} is encrypted. Give its password in a file of mode 0600 with --hotkey-password-file, or store "
            "it unencrypted (bittensor_wallet: Wallet(…).hotkey_file.decrypt()): a hotkey is commonly protected by its "
            "file's mode alone."
        )
    if data.startswith(_NACL) and len(data) < _NACL_LEAST:
        raise ConfigError(f"{source} is cut short: an encrypted keyfile has more than {len(data)} bytes.")
    wallet = require("bittensor_wallet", EXTRA)
    opened = None
    secret = password()
    with (
        _nothing_printed(),
        suppress(wallet.errors.KeyFileError, wallet.errors.PasswordError, ValueError, TypeError),
    ):
        opened = bytes(wallet.keyfile.decrypt_keyfile_data(data, secret, None))
    if opened is None:
        raise ConfigError(
            f"{source} does not open with the password given: the password is wrong, or the keyfile was changed."
        )
    return opened


@contextmanager
def _nothing_printed() -> Iterator[None]:
    """Keep standard output free of what the SDK says while it decrypts, by Python's way and by the descriptor's.

    For a moment nothing else of this process reaches it either: for the start, where one thread runs.
    """
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        try:
            kept = os.dup(1)
        except OSError:  # closed: nothing can be printed
            yield
            return
        try:
            os.dup2(nowhere.fileno(), 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def keyfile_bytes(text: str, source: str) -> bytes:
    """Return a keyfile's bytes from a text: its content, or that in base64, which alone can hold an encrypted one.

    Raises:
        ConfigError: An encrypted keyfile's bytes were taken for text, which spoils them.
    """
    if text.startswith(_NACL.decode()):
        raise ConfigError(
            f"{source} holds an encrypted keyfile as text, which cannot hold its bytes. Store them in base64: "
            "base64 -w0 HOTKEYFILE"
        )
    try:
        packed = base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        packed = b""
    # A lone surrogate is no keyfile either way.
    return packed if packed.startswith(_PACKED) else text.encode("utf-8", "replace")


def hotkey_pair(value: Mapping[str, Any], source: str) -> Keypair:
    """Return the pair of a hotkey's keyfile, which signs as the address that stands there.

    Raises:
        ConfigError: Nothing private is there, a field is not what it should be, or address and key disagree.
    """
    address = _address(value, source)
    crypto = value.get("cryptoType", 1)
    if isinstance(crypto, bool) or crypto not in _CRYPTO_TYPES:
        raise ConfigError(f"{source}: its 'cryptoType' is neither 0 (ed25519) nor 1 (sr25519).")
    field = next((name for name in _SHAPES if value.get(name) is not None), None)
    if field is None:
        raise ConfigError(
            f"{source} holds no private half ('{_PRIVATE}'): it is a public key (hotkeypub?). A miner "
            "signs with its hotkey; give the keyfile itself."
        )
    text = value[field]
    if not isinstance(text, str) or _SHAPES[field].fullmatch(text) is None:
        raise ConfigError(f"{source}: its '{field}' is not what a keyfile has there.")
    pair = _made(field, text, int(crypto))
    if pair is None:
        raise ConfigError(f"{source}: no key can be made of its '{field}' (a mistyped word or digit?).")
    _check_same(pair, address, value, source)
    return pair


def public_pair(value: Mapping[str, Any] | str, source: str) -> Keypair:
    """Return a public key from its address, or from the content of a `coldkeypub.txt`.

    Raises:
        ConfigError: There is no valid address, or something private beside it.
    """
    if isinstance(value, str):
        value = {"ss58Address": value.strip()}
    private = "', '".join(name for name in _SHAPES if value.get(name) is not None)
    if private:
        raise ConfigError(
            f"{source} holds a private key ('{private}'). A miner needs the coldkey's public half only: "
            "take the private one off this machine, and give coldkeypub.txt or the address."
        )
    address = _address(value, source)
    pair = require("bittensor_wallet", EXTRA).Keypair(ss58_address=address)
    _check_same(pair, address, value, source)
    return pair  # type: ignore[no-any-return]


def is_address(address: str) -> bool:
    """Return whether this is a key's SS58 address on this network, its checksum right.

    Raises:
        MissingExtraError: The extra `axon` is not installed.
    """
    known = require("bittensor_wallet", EXTRA).utils
    return bool(
        re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{46,48}", address)
        and known.is_valid_ss58_address(address)
        and known.get_ss58_format(address) == _SS58_FORMAT
    )


def _address(value: Mapping[str, Any], source: str) -> str:
    """Return the checked SS58 address."""
    address = value.get("ss58Address")
    if not isinstance(address, str) or not is_address(address):
        raise ConfigError(
            f"{source}: its 'ss58Address' is missing or no valid address of this network (48 letters, the first a 5)."
        )
    return address


def _made(field: str, text: str, crypto: int) -> Keypair | None:
    kind = require("bittensor_wallet", EXTRA).Keypair
    make = {
        "secretSeed": kind.create_from_seed,
        "secretPhrase": kind.create_from_mnemonic,
        "privateKey": kind.create_from_private_key,
    }[field]
    try:
        return make(text, crypto)  # type: ignore[no-any-return]
    except (ValueError, TypeError, OverflowError):
        return None  # what it says may quote the key


def _check_same(pair: Keypair, address: str, value: Mapping[str, Any], source: str) -> None:
    if pair.ss58_address != address:
        raise ConfigError(
            f"{source}: its key belongs to {pair.ss58_address}, but its 'ss58Address' is {address}. One of the two was "
            "changed; restore the keyfile, or make it anew with 'btcli wallet regen-hotkey'."
        )
    public = value.get("publicKey")
    if public is not None and public != f"0x{bytes(pair.public_key or b'').hex()}":
        raise ConfigError(f"{source}: its 'publicKey' is not that of its 'ss58Address' {address}.")
