"""`workzone subnet card`, `publish` and `register`: a bundle becomes a miner's public, registered model."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from workzone.cli.console import ConsoleObserver, emit_json, err, out, shown
from workzone.cli.miner import KeySource
from workzone.cli.subnet_documents import (
    check_new,
    check_replaceable,
    documents_of,
    keep_published,
    print_kept,
    write_documents,
)

if TYPE_CHECKING:
    from workzone.phases.publication import Publication
    from workzone.subnet.publishing.card import ModelCard
    from workzone.subnet.publishing.hub import Published
    from workzone.subnet.publishing.registration import Registered, Registration

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Directory of the bundle.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show exactly what would be sent; send nothing.")]
SubmittedBy = Annotated[str, typer.Option(metavar="ADDRESS", help="SS58 address of the miner's hotkey.")]
ModelName = Annotated[
    str | None, typer.Option(help="Of the model, another than any other miner's; default: the bundle's.")
]
ModelVersion = Annotated[str, typer.Option(help="X.Y.Z; raise it with every submission.")]
Description = Annotated[str, typer.Option(help="In a sentence or two.")]
SubmissionTime = Annotated[
    int | None, typer.Option(help="Unix seconds, not in the future; default: now.", show_default=False)
]
LicenceFile = Annotated[
    Path | None, typer.Option(help="Text of the backbone's licence; needed unless that is Apache-2.0.")
]
WithoutPoint = Annotated[
    bool,
    typer.Option(
        "--without-point", help="Take a bundle without an operating point: its answer turns at logit 0."
    ),
]
AsOnnx = Annotated[bool, typer.Option("--onnx", help="Publish model.onnx even if transformers has a class.")]
DEFAULT_DESCRIPTION = "Says whether a street picture shows road work."
MAX_TOKEN_BYTES = 4096
_DOCUMENTS = (".json", "README.md")


def card(
    bundle: BundlePath,
    submitted_by: SubmittedBy,
    name: ModelName = None,
    model_version: ModelVersion = "1.0.0",
    description: Description = DEFAULT_DESCRIPTION,
    submission_time: SubmissionTime = None,
    licence_file: LicenceFile = None,
    onnx: AsOnnx = False,
    without_point: WithoutPoint = False,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write both files into this directory, too; replaces none."),
    ] = None,
    json: Json = False,
) -> None:
    """Make model_card.json and README.md of a bundle's public repository, and print them.

    They are a preview with a submission_time of their own: the published ones are what `publish --out` writes.
    """
    from workzone.bundle.reader import open_bundle
    from workzone.phases.publication import build_publication
    from workzone.subnet.publishing.readme import README_NAME

    if out_dir is not None:
        check_new(out_dir)
    opened = open_bundle(bundle)
    submission = _card(
        name or opened.manifest.name, description, model_version, submitted_by, submission_time
    )
    with tempfile.TemporaryDirectory() as scratch:
        made = build_publication(
            opened,
            submission,
            Path(scratch),
            licence=licence_file,
            as_onnx=onnx,
            without_point=without_point,
        )
        texts = documents_of(made)
    written = () if out_dir is None else write_documents(out_dir, texts)
    if json:
        emit_json(
            {
                "card": _fields(submission),
                "readme": texts[README_NAME],
                "notes": list(made.notes),
                "out": None if out_dir is None else str(out_dir),
            }
        )
        return
    _print_notes(made.notes)
    for key, text in texts.items():
        err.print(f"[bold]{key}[/bold]")
        out.print(text, markup=False)
    for path in written:
        err.print(f"Written: {shown(path)}")


def publish(
    bundle: BundlePath,
    repo: Annotated[str, typer.Option(metavar="OWNER/NAME", help="Public model repository on the hub.")],
    submitted_by: SubmittedBy,
    name: ModelName = None,
    model_version: ModelVersion = "1.0.0",
    description: Description = DEFAULT_DESCRIPTION,
    submission_time: SubmissionTime = None,
    licence_file: LicenceFile = None,
    onnx: AsOnnx = False,
    without_point: WithoutPoint = False,
    out_dir: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Once it is published, write its model_card.json (for mine --model-card) and README.md here.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the hub's token; default: the environment's HF_TOKEN.")
    ] = None,
    endpoint: Annotated[
        str, typer.Option(envvar="HF_ENDPOINT", help="Of the hub.")
    ] = "https://huggingface.co",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Publish a bundle's model in one commit: card, README, weights and licence.

    Where transformers has a class that says what the bundle says, it is published with a config.json, the operating
    point in its weights; else as model.onnx, and it says why.
    """
    from workzone.bundle.reader import open_bundle
    from workzone.phases.publication import OURS, build_publication
    from workzone.subnet.publishing.card import check_repo
    from workzone.subnet.publishing.hub import publish as send

    check_repo(repo)
    if out_dir is not None and not dry_run:
        check_replaceable(out_dir)
    notes: list[str] = []
    token = None if dry_run else _token(token_file, notes)
    opened = open_bundle(bundle)
    submission = _card(
        name or opened.manifest.name, description, model_version, submitted_by, submission_time
    )
    with tempfile.TemporaryDirectory() as scratch, ConsoleObserver(quiet=json) as observer:
        made = build_publication(
            opened,
            submission,
            Path(scratch),
            repo=repo,
            licence=licence_file,
            as_onnx=onnx,
            without_point=without_point,
        )
        notes += made.notes
        published = None
        if token is not None:
            message = f"{submission.model_name} {submission.version}"
            published = send(
                repo,
                made.files,
                token=token,
                message=message,
                ours=OURS,
                endpoint=endpoint,
                observer=observer,
            )
        written = keep_published(published, made, out_dir)
        if json:
            emit_json({**_said(repo, made, published, notes), "out": None if not written else str(out_dir)})
        else:
            _print_notes(notes)
            _print_publication(repo, made, published)
            if published is not None:
                print_kept(written, made)


def register(
    uid: Annotated[int, typer.Option(help="Of the miner on the subnet.")],
    repo: Annotated[str, typer.Option(metavar="OWNER/NAME", help="The published model's repository.")],
    wallet: Wallet = None,
    hotkey: Hotkey = "default",
    wallet_path: WalletPath = WALLETS,
    hotkey_file: HotkeyFile = None,
    vault: VaultFile = None,
    hotkey_password_file: HotkeyPasswordFile = None,
    server: Annotated[
        str, typer.Option(help="Base address; /register and /registration-status/UID are below it.")
    ] = "https://hydra.natix.network/participants",
    timeout_s: Annotated[
        float,
        typer.Option(min=1, max=3600, help="The most that sending and asking for the outcome may take."),
    ] = 180.0,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Register a published model with NATIX, signed by the hotkey, and wait until it has succeeded or failed.

    --dry-run shows the request with its signature: whoever has that could register in your name.
    """
    from workzone.subnet.publishing.registration import Patience, sign_registration
    from workzone.subnet.publishing.registration import register as send
    from workzone.subnet.publishing.remote import check_server

    check_server(server, "the registration server")
    keys = KeySource(wallet, wallet_path, hotkey, hotkey_file, vault, hotkey_password_file).read()
    if not json:
        _print_notes(keys.warnings)
    request = sign_registration(uid, repo, keys.hotkey_address, keys.hotkey.sign, int(time.time()))
    said = None
    if not dry_run:
        with ConsoleObserver(quiet=json) as observer:
            said = send(request, server=server, patience=Patience(total_s=timeout_s), observer=observer)
    _show_registration(request, server, said, keys.warnings, json=json)


def _card(name: str, description: str, version: str, by: str, submitted: int | None) -> ModelCard:
    from workzone.core.errors import ConfigError
    from workzone.subnet.publishing.card import ModelCard

    now = int(time.time())
    if submitted is not None and submitted > now:
        raise ConfigError(
            f"--submission-time {submitted} is in the future; validators refuse it. It is {now} now."
        )
    return ModelCard(name, description, version, by, now if submitted is None else submitted)


def _token(path: Path | None, notes: list[str]) -> str:
    """Return the hub's token from a file, or from the environment; never from the command line.

    A remark on the file is added to `notes`.
    """
    from workzone.core.errors import ConfigError
    from workzone.subnet.publishing.hub import check_token

    if path is None:
        value = os.environ.get("HF_TOKEN", "")
        if not value.strip():
            raise ConfigError(
                "There is no token of the hub: set HF_TOKEN, or give --token-file. Make one with write access at "
                "https://huggingface.co/settings/tokens. (--dry-run needs none.)"
            )
        return check_token(value)
    try:
        with path.open("rb") as handle:
            mode, data = os.fstat(handle.fileno()).st_mode, handle.read(MAX_TOKEN_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"The token's file '{path}' cannot be read: {error.strerror}.") from error
    if mode & 0o077:
        notes.append(f"The token's file '{path}' may be read by others: chmod 600 it.")
    return check_token(data.decode("ascii", "replace"))


def _fields(submission: ModelCard) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(submission)


def _said(repo: str, made: Publication, published: Published | None, notes: list[str]) -> dict[str, Any]:
    from dataclasses import asdict

    facts = made.transformers
    return {
        "repo": repo,
        "dry_run": published is None,
        "card": _fields(made.card),
        "files": [{"name": f.name, "bytes": f.size, "sha256": f.sha256} for f in made.files],
        "documents": {f.name: made.text(f.name) for f in made.files if f.name.endswith(_DOCUMENTS)},
        "transformers": None if isinstance(facts, str) else asdict(facts),
        "without_transformers": facts if isinstance(facts, str) else None,
        "notes": notes,
        "published": None if published is None else asdict(published),
    }


def _print_publication(repo: str, made: Publication, published: Published | None) -> None:
    from rich.table import Table

    table = Table("file", "bytes", "sha256", box=None)
    for file in made.files:
        table.add_row(shown(file.name), f"{file.size:,}", file.sha256)
    out.print(table)
    if published is None:
        for file in made.files:
            if file.name.endswith(_DOCUMENTS):
                out.print(f"\n[bold]{shown(file.name)}[/bold]")
                out.print(made.text(file.name), markup=False)
        out.print(f"Nothing was sent. These would be one commit to the public repository '{shown(repo)}'.")
        out.print("Of an earlier version, files of ours that are not among these would be deleted with it.")
        return
    out.print(f"[green]published[/green] {shown(published.url)}  commit {shown(published.commit[:12])}")
    if published.deleted:
        out.print(f"Deleted of the earlier version: {shown(', '.join(published.deleted))}.")
    if published.foreign:
        out.print(f"Left as they were: {shown(', '.join(published.foreign))}.")


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        err.print(f"[yellow]note[/yellow] {shown(note)}")


def _show_registration(
    request: Registration, server: str, said: Registered | None, notes: Sequence[str], *, json: bool
) -> None:
    from dataclasses import asdict

    if json:
        emit_json(
            {
                "server": server,
                "dry_run": said is None,
                "request": asdict(request),
                "status": None if said is None else "succeeded",
                "said": None if said is None else said.said,
                "as_before": None if said is None else said.as_before,
                "notes": list(notes),
            }
        )
    elif said is None:
        out.print(f"POST {shown(server.rstrip('/'))}/register", markup=False)
        out.print_json(data=asdict(request))
        out.print("Nothing was sent.")
    else:
        out.print(f"[green]registered[/green] UID {request.uid} with {shown(request.model_repo)}")
        out.print(f"The server says: {shown(said.said)}")
        if said.as_before:
            out.print("It said the same before this request, and may speak of an earlier registration.")
