"""`workzone subnet card|publish|register`: from a bundle to servers on this machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer.testing

from workzone.bundle.manifest import BackboneInfo, OperatingPoint
from workzone.bundle.writer import write_bundle
from workzone.cli import subnet_publish
from workzone.core.errors import ArtifactError, ConfigError
from workzone.serving.axon.health.submission import submitted_at
from workzone.serving.axon.keys import keys as miner_keys

_spec = spec_from_file_location(
    "hub_server", Path(__file__).parents[1] / "subnet" / "publishing" / "hub_server.py"
)
assert _spec is not None
assert _spec.loader is not None
hub_server = module_from_spec(_spec)
sys.modules[_spec.name] = hub_server
_spec.loader.exec_module(hub_server)

ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
REPO = "someone/road-work"
CARD = """# It

## Data

Rendered pictures.

## Limits

- It knows no map.
"""
METRICS = {
    "measures": [
        {"name": "accuracy", "estimate": 0.9159, "low": 0.89, "high": 0.94, "reason": None},
        {"name": "mcc_at_half", "estimate": 0.8378, "low": 0.79, "high": 0.88},
        {"name": "auroc", "estimate": None, "reason": "one class"},
        {"name": "something_else", "estimate": 0.1},
        "no row",
    ]
}


@pytest.fixture
def command() -> Any:
    """Run a command of the module; what it raises on purpose comes through, as to the error boundary of the whole."""
    app = typer.Typer()
    for function in (subnet_publish.card, subnet_publish.publish, subnet_publish.register):
        app.command()(function)
    runner = typer.testing.CliRunner()

    def call(*arguments: object) -> Any:
        said = runner.invoke(app, [str(a) for a in arguments])
        if said.exception is not None and not isinstance(said.exception, SystemExit):
            raise said.exception
        return said

    return call


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, colour_builders: Any) -> Path:
    root = tmp_path_factory.mktemp("published")
    parts = dataclasses.replace(
        colour_builders.make_parts(root / "parts"),
        backbone=BackboneInfo(name="dinov2/vit-b", licence="Apache-2.0"),
        operating_point=OperatingPoint(profile="2026-01", threshold=0.25),
        metrics=METRICS,
        card=CARD,
    )
    return write_bundle(root / "bundle", parts).path


@pytest.fixture
def server() -> Iterator[Any]:
    pytest.importorskip("huggingface_hub")
    with hub_server.running_hub() as hub:
        yield hub


@pytest.fixture
def token(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    path = tmp_path / "token"
    path.write_text(server.token + "\n")
    path.chmod(0o600)
    return path


def test_the_card_and_the_readme_are_printed_and_written(command: Any, bundle: Path, tmp_path: Path) -> None:
    said = command(
        "card", bundle, "--submitted-by", ALICE, "--name", "Cones", "--model-version", "2.0.1",
        "--submission-time", 1_790_000_000, "--out", tmp_path / "o", "--json",
    )  # fmt: skip
    answer = json.loads(said.stdout)
    assert answer["card"] == {
        "model_name": "Cones",
        "description": "Says whether a street picture shows road work.",
        "version": "2.0.1",
        "submitted_by": ALICE,
        "submission_time": 1_790_000_000,
    }
    assert json.loads((tmp_path / "o" / "model_card.json").read_text()) == answer["card"]
    readme = (tmp_path / "o" / "README.md").read_text()
    assert readme == answer["readme"]
    for fact in (
        "| mcc_at_half | 0.8378 | 0.7900 to 0.8800 |\n| accuracy | 0.9159 | 0.8900 to 0.9400 |",
        "logit 0.25, the operating point for the challenge profile `2026-01`",
        "Rendered pictures.",
        "- It knows no map.",
        'base_model: "facebook/dinov2-base"',
    ):
        assert fact in readme
    assert "auroc" not in readme
    assert "something_else" not in readme


def test_without_json_people_read_both(command: Any, bundle: Path) -> None:
    said = command("card", bundle, "--submitted-by", ALICE)
    assert '"model_name": "mean-colour"' in said.stdout
    assert "# mean-colour" in said.stdout


def test_a_card_of_the_future_is_refused(command: Any, bundle: Path) -> None:
    with pytest.raises(ConfigError, match="is in the future"):
        command("card", bundle, "--submitted-by", ALICE, "--submission-time", 4_000_000_000)


def test_a_dry_run_shows_exactly_what_would_be_sent_and_asks_nobody(
    command: Any, bundle: Path, server: Any, token: Path
) -> None:
    arguments = (
        "publish",
        bundle,
        "--repo",
        REPO,
        "--submitted-by",
        ALICE,
        "--submission-time",
        1_790_000_000,
    )
    dry = json.loads(command(*arguments, "--dry-run", "--json", "--endpoint", server.url).stdout)
    assert server.asked == []
    assert (dry["dry_run"], dry["published"]) == (True, None)
    real = json.loads(command(*arguments, "--json", "--endpoint", server.url, "--token-file", token).stdout)
    held = {k: v for k, v in server.repos[REPO].files.items() if k != ".gitattributes"}
    assert dry["files"] == real["files"]
    assert {f["name"]: (f["bytes"], f["sha256"]) for f in dry["files"]} == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in held.items()
    }
    assert dry["documents"] == {
        name: held[name].decode() for name in ("README.md", "model_card.json", "preprocessor_config.json")
    }
    assert real["published"]["commit"] == server.repos[REPO].sha
    assert held["model.onnx"] == (bundle / "model.onnx").read_bytes()
    assert held["CARD.md"].decode() == CARD
    assert "Apache License" in held["LICENSE"].decode()
    assert "config.json" not in held
    assert "does not say which network" in dry["without_transformers"]
    assert server.commit_headers[0]["summary"] == "mean-colour 1.0.0"


def test_people_read_what_was_published_and_what_was_deleted(
    command: Any, bundle: Path, server: Any, token: Path
) -> None:
    server.repos[REPO] = hub_server.Repo({"config.json": b"{}", "mine.txt": b"x"})
    said = command(
        "publish", bundle, "--repo", REPO, "--submitted-by", ALICE, "--endpoint", server.url, "--token-file", token
    )  # fmt: skip
    assert f"published {server.url}/{REPO}" in said.stdout
    assert "Deleted of the earlier version: config.json." in said.stdout
    assert "Left as they were: mine.txt." in said.stdout
    dry = command("publish", bundle, "--repo", REPO, "--submitted-by", ALICE, "--dry-run")
    assert "Nothing was sent." in dry.stdout
    assert '"model_name": "mean-colour"' in dry.stdout


def test_the_environments_token_is_used(
    command: Any, bundle: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("publish", bundle, "--repo", REPO, "--submitted-by", ALICE, "--endpoint", server.url)
    monkeypatch.setenv("HF_TOKEN", server.token)
    assert command(*arguments).exit_code == 0
    monkeypatch.setenv("HF_TOKEN", " ")
    with pytest.raises(ConfigError, match="There is no token of the hub: set HF_TOKEN"):
        command(*arguments)


def test_a_tokens_file_that_is_none_is_refused_before_anything_is_asked(
    command: Any, bundle: Path, server: Any, token: Path, tmp_path: Path
) -> None:
    arguments = ("publish", bundle, "--repo", REPO, "--submitted-by", ALICE, "--endpoint", server.url)
    with pytest.raises(ConfigError, match="cannot be read"):
        command(*arguments, "--token-file", tmp_path / "absent")
    token.write_bytes(b"\xff" * 10_000)
    with pytest.raises(ConfigError, match="The token has"):
        command(*arguments, "--token-file", token)
    assert server.asked == []


def test_a_tokens_file_for_all_to_read_is_remarked(
    command: Any, bundle: Path, server: Any, token: Path
) -> None:
    token.chmod(0o644)
    said = command(
        "publish", bundle, "--repo", REPO, "--submitted-by", ALICE, "--endpoint", server.url, "--token-file", token
    )  # fmt: skip
    assert "may be read by others: chmod 600" in said.stderr


def test_the_token_is_nowhere(
    command: Any, bundle: Path, server: Any, token: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = ("publish", bundle, "--repo", REPO, "--submitted-by", ALICE, "--endpoint", server.url)
    with caplog.at_level(logging.DEBUG):
        said = command(*arguments, "--token-file", token)
        server.echo = server.token
        server.faults = [("POST", "/preupload/", 403)]
        with pytest.raises(ConfigError) as caught:
            command(*arguments, "--token-file", token, "--model-version", "1.0.1")
    assert server.token not in said.output + said.stderr + caplog.text + repr(caught.value)
    assert "[redacted]" in str(caught.value)


def test_a_licence_that_must_be_given_is_asked_for(
    command: Any, colour_bundle_made: Path, tmp_path: Path
) -> None:
    arguments = ("card", colour_bundle_made, "--submitted-by", ALICE, "--without-point", "--json")
    with pytest.raises(ConfigError, match=r"licence is 'CC0-1\.0'.*--licence-file"):
        command(*arguments)
    for content in (b"", b" \n", b"\xff\xfe", b"x" * ((1 << 20) + 1)):
        (tmp_path / "L").write_bytes(content)
        with pytest.raises(ConfigError, match="licence's text"):
            command(*arguments, "--licence-file", tmp_path / "L")
    with pytest.raises(ConfigError, match="cannot be read"):
        command(*arguments, "--licence-file", tmp_path / "absent")
    (tmp_path / "L").write_text("CC0: no rights reserved")
    answer = json.loads(command(*arguments, "--licence-file", tmp_path / "L").stdout)
    assert 'license: "cc0-1.0"' in answer["readme"]
    # Platt's map of the fixture, of slope 1.5 and intercept 0.1
    assert "no operating point" in answer["notes"][0]
    assert (
        "turns at logit 0, and the bundle's own probability is one half at logit -0.0667."
        in answer["notes"][0]
    )


@pytest.mark.parametrize("more", [("card",), ("publish", "--repo", REPO, "--dry-run")])
def test_a_bundle_without_an_operating_point_is_refused(
    command: Any, colour_bundle_made: Path, more: tuple[str, ...]
) -> None:
    with pytest.raises(
        ConfigError, match=r"no operating point.*workzone subnet point BUNDLE.*--without-point"
    ):
        command(*more, colour_bundle_made, "--submitted-by", ALICE)


def test_a_publication_keeps_exactly_what_was_published_once_it_was(
    command: Any, bundle: Path, server: Any, token: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    arguments = (
        "publish",
        bundle,
        "--repo",
        REPO,
        "--submitted-by",
        ALICE,
        "--endpoint",
        server.url,
        "--out",
        kept,
    )
    dry = json.loads(command(*arguments, "--dry-run", "--json").stdout)
    assert dry["out"] is None
    server.faults = [("POST", "/commit/", 403)]
    with pytest.raises(ConfigError):
        command(*arguments, "--token-file", token)
    assert not kept.exists()
    said = command(*arguments, "--token-file", token)
    assert f"Written: {kept / 'model_card.json'}" in " ".join(said.stdout.replace("\n", "").split())
    held = server.repos[REPO].files
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {
        name: held[name] for name in ("model_card.json", "README.md")
    }
    assert (
        submitted_at(kept / "model_card.json", datetime.min.replace(tzinfo=UTC)).timestamp()
        == (json.loads(held["model_card.json"])["submission_time"])
    )
    real = json.loads(command(*arguments, "--token-file", token, "--model-version", "1.0.1", "--json").stdout)
    assert real["out"] == str(kept)
    newer = server.repos[REPO].files["model_card.json"]
    assert b"1.0.1" in newer
    assert (kept / "model_card.json").read_bytes() == newer


def test_one_that_was_not_kept_says_how_and_makes_no_second_commit(
    command: Any, bundle: Path, server: Any, token: Path, tmp_path: Path
) -> None:
    arguments = (
        "publish", bundle, "--repo", REPO, "--submitted-by", ALICE, "--endpoint", server.url, "--token-file", token,
    )  # fmt: skip
    said = " ".join(command(*arguments).stdout.split())
    when = json.loads(server.repos[REPO].files["model_card.json"])["submission_time"]
    assert f"--submission-time {when} --out DIR writes it." in said
    command(*arguments, "--submission-time", when, "--out", tmp_path / "kept")
    assert server.repos[REPO].commits == 1
    assert (tmp_path / "kept" / "model_card.json").read_bytes() == server.repos[REPO].files["model_card.json"]


def test_where_nothing_can_be_kept_nothing_is_sent(
    command: Any, bundle: Path, server: Any, token: Path, tmp_path: Path
) -> None:
    arguments = (
        "publish",
        bundle,
        "--repo",
        REPO,
        "--submitted-by",
        ALICE,
        "--endpoint",
        server.url,
        "--out",
    )
    (tmp_path / "README.md").write_text("of a project")
    with pytest.raises(ConfigError, match=r"without a model_card.json beside it"):
        command(*arguments, tmp_path, "--token-file", token)
    for place in (token, token / "below"):
        with pytest.raises(ConfigError, match="no writable directory"):
            command(*arguments, place, "--token-file", token)
    assert server.asked == []
    assert (tmp_path / "README.md").read_text() == "of a project"


def test_a_publication_that_cannot_be_kept_after_all_is_said_to_be_published(
    command: Any, bundle: Path, server: Any, token: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept" / "model_card.json" / "in the way").mkdir(parents=True)
    arguments = ("publish", bundle, "--repo", REPO, "--submitted-by", ALICE, "--endpoint", server.url)
    with pytest.raises(ArtifactError, match=r"It was published: .* Take them from the repository") as caught:
        command(*arguments, "--token-file", token, "--out", tmp_path / "kept")
    assert server.repos[REPO].sha[:12] in str(caught.value)


def test_a_card_replaces_none(command: Any, bundle: Path, tmp_path: Path) -> None:
    arguments = ("card", bundle, "--submitted-by", ALICE, "--out")
    said = command(*arguments, tmp_path / "o")
    assert f"Written: {tmp_path / 'o' / 'model_card.json'}" in said.stderr.replace("\n", "")
    before = (tmp_path / "o" / "model_card.json").read_bytes()
    with pytest.raises(ConfigError, match=r"model_card.json' exists, and may be the published one"):
        command(*arguments, tmp_path / "o", "--name", "Another")
    assert (tmp_path / "o" / "model_card.json").read_bytes() == before
    (tmp_path / "README.md").write_text("of a project")
    with pytest.raises(ConfigError, match=r"README.md' exists"):
        command(*arguments, tmp_path)
    assert not (tmp_path / "model_card.json").exists()


def test_a_repository_that_validators_cannot_read_is_refused_first(command: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names with a dot"):
        command("publish", tmp_path, "--repo", "a/b.c", "--submitted-by", ALICE, "--dry-run")


class _Pair:
    def __init__(self) -> None:
        self.signed: list[bytes] = []

    def sign(self, message: bytes) -> bytes:
        self.signed.append(message)
        return bytes(range(64))


@pytest.fixture
def signer(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Keys of both sources, as `serving.axon.keys` gives them; `asked` says how they were asked for."""
    keys = SimpleNamespace(hotkey_address=ALICE, hotkey=_Pair(), warnings=("Mode 644.",), asked=[])

    def read(*arguments: object) -> SimpleNamespace:
        keys.asked.append(arguments)
        return keys

    monkeypatch.setattr(miner_keys, "keys_from_wallet", read)
    monkeypatch.setattr(miner_keys, "keys_from_file", read)
    return keys


@pytest.fixture
def natix() -> Iterator[SimpleNamespace]:
    """A registration server that succeeds at once, or says `status`."""
    state = SimpleNamespace(asked=[], status="succeeded", url="")

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            state.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._say({"detail": "queued"})

        def do_GET(self) -> None:
            self._say({"status": state.status if state.asked else "pending"})

        def _say(self, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/participants"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_registration_is_signed_by_the_wallets_hotkey_and_sent(
    command: Any, natix: SimpleNamespace, signer: SimpleNamespace, tmp_path: Path
) -> None:
    arguments = ("register", "--uid", 88, "--repo", REPO, "--wallet", "miner", "--hotkey", "hot")
    said = command(*arguments, "--wallet-path", tmp_path, "--server", natix.url, "--json")
    answer = json.loads(said.stdout)
    assert signer.asked == [(tmp_path, "miner", "hot", None)]
    assert natix.asked == [answer["request"]]
    assert answer["request"]["message"].encode() == signer.hotkey.signed[0]
    assert answer["request"]["natix_public_key"] == ALICE
    assert (answer["status"], answer["dry_run"]) == ("succeeded", False)
    assert (answer["notes"], said.stderr) == (["Mode 644."], "")
    natix.asked.clear()
    said = command(*arguments, "--server", natix.url)
    assert "Mode 644." in said.stderr
    assert f"registered UID 88 with {REPO}" in said.stdout


def test_a_failed_registration_is_an_error(
    command: Any, natix: SimpleNamespace, signer: SimpleNamespace
) -> None:
    natix.status = "failed"
    with pytest.raises(ArtifactError, match="has failed"):
        command("register", "--uid", 1, "--repo", REPO, "--wallet", "m", "--server", natix.url)


def test_a_dry_run_shows_the_signed_request_and_sends_nothing(
    command: Any, natix: SimpleNamespace, signer: SimpleNamespace, tmp_path: Path
) -> None:
    arguments = (
        "register",
        "--uid",
        88,
        "--repo",
        REPO,
        "--hotkey-file",
        tmp_path / "k",
        "--server",
        natix.url,
    )
    answer = json.loads(command(*arguments, "--dry-run", "--json").stdout)
    assert answer["request"]["natix_signature"] == bytes(range(64)).hex()
    assert (answer["status"], answer["dry_run"]) == (None, True)
    said = command(*arguments, "--dry-run")
    assert f"POST {natix.url}/register" in said.stdout
    assert bytes(range(64)).hex() in said.stdout
    assert "Nothing was sent." in said.stdout
    assert natix.asked == []
    assert signer.asked[0] == (tmp_path / "k", None)


def test_it_must_be_said_once_whose_hotkey_signs(command: Any, tmp_path: Path) -> None:
    for sources in ((), ("--wallet", "m", "--hotkey-file", tmp_path / "k")):
        with pytest.raises(ConfigError, match="sources of the keys"):
            command("register", "--uid", 1, "--repo", REPO, *sources)


def test_an_unencrypted_server_is_refused_before_a_key_is_read(command: Any, signer: SimpleNamespace) -> None:
    with pytest.raises(ConfigError, match="registration server"):
        command("register", "--uid", 1, "--repo", REPO, "--wallet", "m", "--server", "http://natix.network")
    assert signer.asked == []
