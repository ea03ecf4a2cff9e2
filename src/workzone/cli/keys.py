"""`workzone serve keys`: who may ask a service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workzone.cli.console import emit_json, err, out, shown

if TYPE_CHECKING:
    from workzone.serving.keys import Key

app = typer.Typer(help="Who may ask: add, list and revoke keys.", no_args_is_help=True)

KeysPath = Annotated[
    Path, typer.Option("--keys", envvar="WORKZONE_KEYS", help="File of the keys, mode 0600; made if absent.")
]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Whose it is, such as 'cameras'.")],
    keys: KeysPath,
    role: Annotated[str, typer.Option(help="predict or admin.")] = "predict",
    json: Json = False,
) -> None:
    """Make a key and print it: this once, it is kept nowhere."""
    from workzone.core.errors import ConfigError, nearest
    from workzone.serving.key_file import add_key
    from workzone.serving.keys import Role, utc_now

    if role not in list(Role):
        raise ConfigError(f"There is no role '{role[:40]}'.{nearest(role[:40], Role)}")
    key, token = add_key(keys, name, Role(role), now=utc_now())
    if json:
        emit_json({**_said(key), "token": token})
        return
    out.print(token, markup=False)
    err.print(f"key {key.id} ({key.role}) for {shown(key.name)}; a running service takes it at once")


@app.command("list")
def list_keys(keys: KeysPath, json: Json = False) -> None:
    """Print the keys, without their secrets."""
    from workzone.serving.key_file import read_keys

    found = read_keys(keys)
    if json:
        emit_json([_said(key) for key in found])
        return
    for key in found:
        state = "works" if key.revoked is None else f"revoked {key.revoked.isoformat()}"
        out.print(f"{key.id}  {key.role}  {shown(key.name)}  made {key.created.isoformat()}  {state}")


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `list` prints it.")],
    keys: KeysPath,
    json: Json = False,
) -> None:
    """Let a key work no longer; a running service follows at once."""
    from workzone.serving.key_file import revoke_key
    from workzone.serving.keys import utc_now

    key = revoke_key(keys, key_id, now=utc_now())
    if json:
        emit_json(_said(key))
    else:
        out.print(f"revoked {key.id} ({shown(key.name)})")


def _said(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": str(key.role),
        "created": key.created.isoformat(),
        "revoked": None if key.revoked is None else key.revoked.isoformat(),
    }
