"""A miner's keys from HashiCorp Vault: one secret of a KV engine, version 2, with `hotkey` and `coldkeypub`.

Knows how to ask and what may come back; does not know what the fields hold (`keyfile`). Whoever answers at Vault's
address is not believed: no redirect is followed (a token sent elsewhere is lost), sizes and times are bounded, and
nothing of an answer is quoted. The environment's proxies, `.netrc` and `~/.vault-token` are not used: the token goes
to the address named and nowhere else.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from workzone.core.errors import ConfigError
from workzone.core.lazy import require
from workzone.serving.axon.keys.keyfile import EXTRA, forgetting_frames
from workzone.serving.axon.keys.keys import MinerKeys, keys_from_fields, password_from
from workzone.serving.axon.keys.time_limit import call_within
from workzone.serving.axon.keys.vault_transport import AnswerTooLarge, RefusedStatus, session
from workzone.serving.key_file import read_secret

TOKEN_VARIABLE = "VAULT_TOKEN"  # noqa: S105 - a name
_PATH = re.compile(r"[\w.-]{1,200}(?:/[\w.-]{1,200}){0,20}", re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
_MEANINGS: Mapping[int, str] = {
    400: "it takes the request for wrong (an AppRole's ids?)",
    401: "it does not accept the token",
    403: "the token is not accepted, is expired, or its policy does not allow to read this path (KV version 2 asks for "
    "'read' on MOUNT/data/PATH)",
    404: "there is nothing at this path and mount, its newest version is deleted, or the mount is a KV engine of "
    "version 1",
    429: "it is asked too often, or is a standby",
    472: "it is a standby of a disaster recovery cluster",
    473: "it is a performance standby",
    501: "it is not initialised",
    503: "it is sealed, or under maintenance; unseal it first",
}


@dataclass(frozen=True, slots=True)
class VaultSecret:
    """Where the secret lies and how to be let in; no secret itself.

    Attributes:
        url: `https://HOST[:PORT]`; `http` on this machine's own addresses only.
        path: Of the secret within its mount.
        mount: Of the KV engine.
        token_file: File of mode 0600 with a token; None: an AppRole, or the variable VAULT_TOKEN.
        role_id_file: File of mode 0600 with an AppRole's role id.
        secret_id_file: Likewise with its secret id.
        approle_mount: Where the AppRole method is mounted.
        namespace: Vault's namespace (Enterprise, HCP).
        ca_file: Certificates (PEM) of who signed Vault's own; None: those known on this machine.
        timeout_s: For everything together, seconds.

    Raises:
        ConfigError: A field is wrong, or more than one way to be let in is given.
    """

    url: str
    path: str
    mount: str = "secret"
    token_file: Path | None = None
    role_id_file: Path | None = None
    secret_id_file: Path | None = None
    approle_mount: str = "approle"
    namespace: str | None = None
    ca_file: Path | None = None
    timeout_s: float = 15.0

    def __post_init__(self) -> None:
        """Check what can be checked without asking."""
        _check_url(self.url)
        for what, text in (("path", self.path), ("mount", self.mount), ("AppRole mount", self.approle_mount),
                           ("namespace", self.namespace)):  # fmt: skip
            if text is not None and (_PATH.fullmatch(text) is None or {".", ".."} & set(text.split("/"))):
                raise ConfigError(
                    f"{text!r:.80} is no {what} of Vault: names of letters, digits, '_', '-', '.', with '/' between."
                )
        if (self.role_id_file is None) != (self.secret_id_file is None):
            raise ConfigError(
                "An AppRole has two ids: give a file for the role id and one for the secret id."
            )
        if self.token_file is not None and self.role_id_file is not None:
            raise ConfigError("Give a token's file or an AppRole's two files, not both.")
        if self.ca_file is not None and not self.ca_file.is_file():
            raise ConfigError(f"The certificates '{self.ca_file}' for Vault are not there, or are no file.")
        if not 0 < self.timeout_s <= 600:
            raise ConfigError(
                f"A time limit of {self.timeout_s!r} s for Vault: expected is more than 0, at most 600."
            )

    def __str__(self) -> str:
        """Return the words that name it in messages."""
        return f"Vault's secret '{self.mount}/{self.path}' at {self.url}"


@forgetting_frames
def keys_from_vault(secret: VaultSecret, password_file: Path | None = None) -> MinerKeys:
    """Read the secret and return the keys it holds.

    The secret has two fields, `hotkey` and `coldkeypub`, each the content of the file of that name:
    `vault kv put -mount=MOUNT PATH hotkey=@HOTKEYFILE coldkeypub=@coldkeypub.txt`. An encrypted hotkey is
    bytes, and is stored in base64: `base64 -w0 HOTKEYFILE | vault kv put … hotkey=- …`.

    Args:
        secret: Where it lies.
        password_file: Where the hotkey is encrypted: a file of mode 0600 with its password.

    Raises:
        ConfigError: Vault cannot be reached, refuses, or answers something else; says which, quoting nothing of it.
        MissingExtraError: The extra `axon` is not installed.
    """
    try:
        value = call_within(secret.timeout_s, lambda: _read(secret))
    except TimeoutError:
        value = None
    if value is None:
        raise ConfigError(
            f"{secret} did not answer within {secret.timeout_s:g} s. Check the address, or try again."
        )
    return keys_from_fields(value, str(secret), password_from(password_file))


def _read(secret: VaultSecret) -> Mapping[str, Any]:
    """Ask, and return the secret's fields."""
    hvac, requests, urllib3 = (require(module, EXTRA) for module in ("hvac", "requests", "urllib3"))
    certificates = True if secret.ca_file is None else str(secret.ca_file)
    failed = ""
    answer: object = None
    with session(certificates) as transport:
        client = hvac.Client(
            secret.url.rstrip("/"), token="", verify=certificates, timeout=secret.timeout_s, allow_redirects=False,
            session=transport, namespace=secret.namespace,
        )  # fmt: skip
        try:
            client.token = _token(secret, client)
            answer = client.secrets.kv.v2.read_secret_version(
                secret.path, mount_point=secret.mount, raise_on_deleted_version=True
            )
        except RefusedStatus as error:
            failed = _refusal(error.status)
        except AnswerTooLarge as error:
            failed = f"it answered more than {error.most} bytes, which no secret of a miner has"
        except requests.exceptions.SSLError:
            failed = (
                "its certificate is not valid for this address, or signed by somebody unknown here; name who signed "
                "it as ca_file"
            )
        except requests.exceptions.Timeout:
            failed = f"it did not answer within {secret.timeout_s:g} s"
        except requests.exceptions.ConnectionError:
            failed = "nobody answers there (is Vault running, and the address right?)"
        except RecursionError:
            failed = "its answer is nested too deeply"
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failed = f"the connection failed ({type(error).__name__})"
    if failed:
        raise ConfigError(f"{secret} was not read: {failed}.")
    return _fields(answer, secret)


def _token(secret: VaultSecret, client: Any) -> str:
    """Return the token that lets in, from wherever it is to come."""
    if secret.role_id_file is not None and secret.secret_id_file is not None:
        answer = client.auth.approle.login(
            _from_file(secret.role_id_file), _from_file(secret.secret_id_file),
            use_token=False, mount_point=secret.approle_mount,
        )  # fmt: skip
        auth = answer.get("auth") if isinstance(answer, dict) else None
        token = auth.get("client_token") if isinstance(auth, dict) else None
        if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
            raise ConfigError(
                f"{secret} was not read: the login with the AppRole gave no token. Is that Vault, and is its AppRole "
                f"method mounted at '{secret.approle_mount}'?"
            )
        return token
    if secret.token_file is not None:
        return _from_file(secret.token_file)
    token = os.environ.get(TOKEN_VARIABLE, "")
    if _TOKEN.fullmatch(token) is None:
        raise ConfigError(
            "Nothing lets into Vault: give token_file (of mode 0600), an AppRole's role_id_file and secret_id_file, or "
            f"the variable {TOKEN_VARIABLE}, which is not set or no token."
        )
    return token


def _from_file(path: Path) -> str:
    text = read_secret(path.expanduser(), 8192).strip()
    if _TOKEN.fullmatch(text) is None:
        raise ConfigError(
            f"'{path}' does not hold what lets into Vault: one word of at most 4096 printable characters."
        )
    return text


def _fields(answer: object, secret: VaultSecret) -> Mapping[str, Any]:
    """Return the secret's own fields from Vault's answer, each a text or an object."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise ConfigError(f"{secret} was not read: what answers there does not speak as Vault does.")
    fields, metadata = data.get("data"), data.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(fields, dict):
        raise ConfigError(
            f"{secret} was not read: the answer is not that of a KV engine of version 2 (no 'data' with 'metadata'). "
            f"Is '{secret.mount}' of version 1? 'vault kv enable-versioning {secret.mount}' makes it version 2."
        )
    return fields


def _refusal(status: int) -> str:
    if 300 <= status < 400:
        return (
            f"it sends on to another address (status {status}), which is not followed, because the token would go with "
            "it; give the active node's own address as url"
        )
    return f"status {status}: {_MEANINGS.get(status, 'something is wrong there; see its own log')}"


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = SplitResult("", "", "", "", ""), None, None
    plain = parts.scheme in {"http", "https"} and not (parts.query or parts.fragment or parts.path.strip("/"))
    if (
        not plain
        or not host
        or port == 0
        or re.fullmatch(r"[\w.:%\[\]-]{1,260}", parts.netloc, re.ASCII) is None
    ):
        # Not quoted: a user's name and password may stand in it.
        raise ConfigError(
            "The address of Vault is wrong: expected is https://HOST or https://HOST:PORT, without user, path or query."
        )
    if parts.scheme == "http" and not _is_this_machine(host):
        raise ConfigError(
            f"{url} would send the token in the clear; Vault is asked with https, or with http on this machine only."
        )


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
