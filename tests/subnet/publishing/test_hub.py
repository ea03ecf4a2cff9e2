"""Publishing against a hub on this machine: one commit or nothing, whatever breaks on the way."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from workzone.core.errors import ArtifactError, ConfigError, MissingExtraError
from workzone.subnet.publishing.hub import Published, RepoFile, check_token, publish
from workzone.subnet.publishing.hub_failures import Retries
from workzone.subnet.publishing.remote import check_server, redacted

hub_client = pytest.importorskip("huggingface_hub")

_spec = spec_from_file_location("hub_server", Path(__file__).with_name("hub_server.py"))
assert _spec is not None
assert _spec.loader is not None
hub_server = module_from_spec(_spec)
sys.modules[_spec.name] = hub_server
_spec.loader.exec_module(hub_server)
CUT, HANG = hub_server.CUT, hub_server.HANG

REPO = "someone/road-work"
WEIGHTS = bytes(range(256)) * 4000
OURS = ("model_card.json", "README.md", "model.safetensors", "model.onnx", "config.json")


class Listener:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[int] = []

    def progress(self, task: str, done: int, total: int | None) -> None:
        assert (task, total) == ("publish", 3)
        self.steps.append(done)

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def server() -> Iterator[Any]:
    with hub_server.running_hub() as hub:
        yield hub


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The hub's client has retries of its own: they need no time here, and neither do ours."""
    waited: list[float] = []
    http = sys.modules[hub_client.get_session.__module__]
    shim = type("Time", (), {"sleep": staticmethod(waited.append), "time": staticmethod(http.time.time)})
    monkeypatch.setattr(http, "time", shim)
    return waited


@pytest.fixture
def files(tmp_path: Path) -> list[RepoFile]:
    (tmp_path / "weights").write_bytes(WEIGHTS)
    return [
        RepoFile.of("model_card.json", b'{"version": "1.0.0"}\n'),
        RepoFile.of("README.md", b"---\nlicense: mit\n---\n# It\n"),
        RepoFile.of("model.safetensors", tmp_path / "weights"),
    ]


def send(server: Any, files: list[RepoFile], **changes: Any) -> Published:
    options: dict[str, Any] = {
        "token": server.token,
        "message": "Version 1.0.0",
        "ours": OURS,
        "endpoint": server.url,
        "retries": Retries(3, lambda _: None),
        "timeout_s": 5.0,
    }
    return publish(REPO, files, **(options | changes))


def held(server: Any) -> dict[str, bytes]:
    repo = server.repos.get(REPO)
    return {} if repo is None else {k: v for k, v in repo.files.items() if k != ".gitattributes"}


def content(files: list[RepoFile]) -> dict[str, bytes]:
    return {f.name: f.content if isinstance(f.content, bytes) else f.content.read_bytes() for f in files}


def test_a_file_is_measured_and_hashed(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(WEIGHTS)
    for file in (RepoFile.of("a", WEIGHTS), RepoFile.of("a", tmp_path / "f")):
        assert (file.size, file.sha256) == (len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())


def test_a_new_repository_gets_everything_in_one_commit(server: Any, files: list[RepoFile]) -> None:
    listener = Listener()
    published = send(server, files, observer=listener)
    repo = server.repos[REPO]
    assert held(server) == content(files)
    assert (repo.commits, repo.private) == (1, False)
    assert published == Published(REPO, f"{server.url}/{REPO}", repo.sha, True, (), ())
    assert [path for method, path in server.asked if method == "PUT"] == [f"/lfs/{files[2].sha256}"]
    assert server.commit_headers[0]["summary"] == "Version 1.0.0"
    assert listener.steps == [0, 1, 2, 3]
    assert listener.notes == []


def test_what_the_hub_says_of_the_readme_is_passed_on(server: Any, files: list[RepoFile]) -> None:
    server.yaml_warning = "unknown field"
    listener = Listener()
    send(server, files, observer=listener)
    assert len(listener.notes) == 1
    assert "unknown field" in listener.notes[0]


def test_an_old_version_is_replaced_whole_and_what_is_not_ours_stays(
    server: Any, files: list[RepoFile]
) -> None:
    old = {"config.json": b"{}", "model.safetensors": b"old", "NOTES.txt": b"mine", ".gitattributes": b""}
    server.repos[REPO] = hub_server.Repo(old)
    published = send(server, files)
    assert held(server) == {**content(files), "NOTES.txt": b"mine"}
    assert (published.deleted, published.foreign, published.created) == (
        ("config.json",),
        ("NOTES.txt",),
        False,
    )
    assert server.repos[REPO].commits == 1


def test_the_same_again_makes_no_commit(server: Any, files: list[RepoFile]) -> None:
    first = send(server, files)
    again = send(server, files)
    assert (again.commit, server.repos[REPO].commits, again.created) == (first.commit, 1, False)


STEPS = [
    ("GET", f"/api/models/{REPO}"),
    ("POST", "/api/repos/create"),
    ("POST", "/api/validate-yaml"),
    ("POST", "/preupload/"),
    ("POST", "/objects/batch"),
    ("PUT", "/lfs/"),
    ("POST", "/commit/"),
]


@pytest.mark.parametrize("fault", [503, CUT], ids=["503", "cut"])
@pytest.mark.parametrize(("method", "path"), STEPS)
def test_what_passes_is_tried_again(
    server: Any, files: list[RepoFile], waits: list[float], method: str, path: str, fault: int
) -> None:
    server.faults = [(method, path, fault)]
    published = send(server, files)
    assert server.faults == []
    assert published.created
    assert held(server) == content(files)
    assert server.repos[REPO].commits == 1


def test_a_commit_whose_answer_is_lost_is_not_made_twice(server: Any, files: list[RepoFile]) -> None:
    server.cut_after_commit = 1
    listener = Listener()
    published = send(server, files, observer=listener)
    assert (server.repos[REPO].commits, published.commit) == (1, server.repos[REPO].sha)
    assert "trying again in 2 s (2 of 3)" in listener.notes[0]


@pytest.mark.parametrize(
    ("method", "path", "fault"), [(*step, CUT) for step in STEPS] + [(*STEPS[1], 500), (*STEPS[-1], 500)]
)
def test_what_never_passes_leaves_nothing_half_published(
    server: Any, files: list[RepoFile], waits: list[float], method: str, path: str, fault: int
) -> None:
    server.faults = [(method, path, fault)] * 40
    waited: list[float] = []
    with pytest.raises(ArtifactError) as caught:
        send(server, files, retries=Retries(3, waited.append))
    assert waited == [2.0, 4.0]
    assert held(server) == {}
    said = str(caught.value)
    if path == "/commit/":
        assert "there with all its files, or not at all" in said
        assert "The repository was made for it" in said
    elif REPO in server.repos:
        assert f"The repository '{REPO}' was made and is empty" in said
    else:
        assert "Nothing was published." in said


def test_an_old_version_survives_a_failure_unchanged(
    server: Any, files: list[RepoFile], waits: list[float]
) -> None:
    server.repos[REPO] = hub_server.Repo({"model_card.json": b"old", "config.json": b"{}"})
    server.faults = [("PUT", "/lfs/", 500)] * 40
    with pytest.raises(ArtifactError, match="Nothing was published"):
        send(server, files)
    assert held(server) == {"model_card.json": b"old", "config.json": b"{}"}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412, 422, 429])
def test_a_refusal_is_not_tried_again(
    server: Any, files: list[RepoFile], waits: list[float], status: int
) -> None:
    server.faults = [("POST", "/commit/", status)] * 2
    kind = ConfigError if status == 403 else ArtifactError
    with pytest.raises(kind) as caught:
        send(server, files)
    assert len([1 for method, path in server.asked if "/commit/" in path]) == 1
    assert f"The repository '{REPO}' was made and is empty" in str(caught.value)
    assert held(server) == {}


def test_a_commit_of_somebody_else_meanwhile_is_no_ground_to_overwrite(
    server: Any, files: list[RepoFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.repos[REPO] = hub_server.Repo()
    create = hub_client.HfApi.create_commit

    def late(self: Any, *arguments: Any, **options: Any) -> Any:
        server.repos[REPO].commits += 1
        return create(self, *arguments, **options)

    monkeypatch.setattr(hub_client.HfApi, "create_commit", late)
    with pytest.raises(ArtifactError, match="was changed while it was published to"):
        send(server, files)
    assert held(server) == {}


def test_a_server_that_hangs_is_given_up(server: Any, files: list[RepoFile]) -> None:
    server.faults = [("POST", "/api/repos/create", HANG)] * 3
    with pytest.raises(ArtifactError, match="cannot be reached, or broke off"):
        send(server, files, timeout_s=0.2, retries=Retries(2, lambda _: None))
    assert server.repos == {}


def test_no_server_is_a_sentence(files: list[RepoFile], waits: list[float]) -> None:
    with pytest.raises(ArtifactError, match=r"cannot be reached, or broke off.*Nothing was published"):
        publish(
            REPO,
            files,
            token="x" * 20,
            message="m",
            endpoint="http://127.0.0.1:9",
            retries=Retries(1),
            timeout_s=1,
        )


@pytest.mark.parametrize("lie", ["lacks", "other", "size", "moved"])
def test_a_hub_that_does_not_hold_what_it_took_is_found_out(
    server: Any, files: list[RepoFile], lie: str
) -> None:
    def after(repo: Any) -> None:
        if lie == "lacks":
            del repo.files["model.safetensors"]
        elif lie == "other":
            repo.files["model.safetensors"] = WEIGHTS[::-1]
        elif lie == "size":
            repo.files["README.md"] += b" "
        else:
            repo.commits += 1

    server.after_commit = after
    said = {
        "lacks": "lacks 'model",
        "other": "another content of 'model",
        "size": "another content of 'README",
    }
    with pytest.raises(ArtifactError, match=said.get(lie, "its head is")):
        send(server, files)


def test_a_reading_that_lags_is_waited_for(server: Any, files: list[RepoFile]) -> None:
    def hide(repo: Any) -> None:
        repo.private = True

    def show(_: float) -> None:
        server.repos[REPO].private = False

    server.after_commit = hide
    assert send(server, files, retries=Retries(2, show)).created
    server.repos.clear()
    with pytest.raises(ArtifactError, match="without an account it cannot be read"):
        send(server, files)


def test_a_commit_that_cannot_be_checked_is_said_to_be_made(server: Any, files: list[RepoFile]) -> None:
    def break_down(_: Any) -> None:
        server.faults = [("GET", "/api/models/", 500)] * 9

    server.after_commit = break_down
    with pytest.raises(
        ArtifactError, match=r"The hub took the commit \w{12}, but whether others can read it"
    ):
        send(server, files)
    assert held(server) == content(files)


@pytest.mark.parametrize("state", ["private", "gated"])
def test_a_repository_that_validators_cannot_read_is_refused_first(
    server: Any, files: list[RepoFile], state: str
) -> None:
    server.repos[REPO] = hub_server.Repo(**{state: True})
    with pytest.raises(ConfigError, match=f"is {state}; validators read it without"):
        send(server, files)
    assert server.repos[REPO].commits == 0


def test_a_wrong_token_is_refused_and_the_token_never_shown(
    server: Any, files: list[RepoFile], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "hf_plantedSecret0123456789"
    server.echo = f"for {secret} \x1b[2J"
    listener = Listener()
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(ConfigError, match="does not take the token") as caught,
    ):
        send(server, files, token=secret, observer=listener)
    server.faults = [("POST", "/commit/", 500)] * 9
    server.echo = f"for {server.token} \x1b[2J"
    with pytest.raises(ArtifactError) as second:
        send(server, files, observer=listener)
    assert "[redacted]" in str(caught.value) + str(second.value)
    captured = capfd.readouterr()
    seen = f"{caught.value!r}{second.value!r}{listener.notes}{captured.out}{captured.err}{caplog.text}"
    for planted in (secret, server.token):
        assert planted not in seen
    assert "\x1b" not in str(second.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "token", ["", "short", "a b c d e f g h", "x" * 501, "tokén-of-nine", "hf_abc\ndefgh"]
)
def test_what_is_no_token_is_refused_unseen(token: str) -> None:
    with pytest.raises(ConfigError, match="The token has") as caught:
        check_token(token)
    assert not token or token not in str(caught.value)


def test_white_space_around_a_token_is_let_pass() -> None:
    assert check_token(" hf_abcdefgh\n") == "hf_abcdefgh"


@pytest.mark.parametrize(
    "url",
    [
        "http://huggingface.co",
        "http://127.0.0.1.evil.org",
        "ftp://huggingface.co",
        "huggingface.co",
        "https://",
        "https://user:pass@huggingface.co",
        "https://huggingface.co/?a=b",
        "https://huggingface.co/#a",
        "https://hugging face.co",
        "https://h:99999",
        "https://h\n.co",
    ],
)
def test_an_address_that_is_not_encrypted_or_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no address for a hub") as caught:
        check_server(url, "a hub")
    assert "pass" not in str(caught.value).split("expected")[0]


@pytest.mark.parametrize(
    "url", ["https://hub.org/a/", "http://localhost:80", "http://[::1]:5", "http://127.0.0.1"]
)
def test_an_address_that_is_taken(url: str) -> None:
    assert check_server(url, "a hub") == url.rstrip("/")


def test_what_is_shown_is_bounded_and_clean() -> None:
    said = redacted("a\x00b\r\nc \u202e" + "x" * 10_000, longest=50)
    assert said.startswith("a b c x")
    assert len(said) == 51
    assert redacted("the token is T0KEN", ["T0KEN"]) == "the token is [redacted]"


def test_without_the_hubs_client_the_extra_is_named(
    files: list[RepoFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"workzone\[hub\]"):
        publish(REPO, files, token="x" * 20, message="m")


def test_the_hubs_client_is_left_as_it_was(server: Any, files: list[RepoFile]) -> None:
    log = logging.getLogger("huggingface_hub")
    before = log.level, hub_client.utils.are_progress_bars_disabled()
    send(server, files)
    assert (log.level, hub_client.utils.are_progress_bars_disabled()) == before
    assert hub_client.get_session().timeout.read is None


@pytest.mark.parametrize(("method", "path"), [s for s in STEPS if s[0] != "GET"])
def test_a_kill_leaves_the_old_version_or_an_empty_repository(
    server: Any, tmp_path: Path, method: str, path: str
) -> None:
    (tmp_path / "weights").write_bytes(WEIGHTS)
    program = textwrap.dedent(
        f"""
        from pathlib import Path
        from workzone.subnet.publishing.hub import RepoFile, publish
        files = [RepoFile.of("README.md", b"# It"), RepoFile.of("model.safetensors", Path("weights"))]
        publish({REPO!r}, files, token={server.token!r}, message="m", endpoint={server.url!r})
        """
    )
    server.faults = [(method, path, HANG)]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf")}
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment)
    try:
        assert server.hanging.wait(60)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert held(server) == {}
    assert json.dumps(server.commit_headers) == "[]"
