"""Only a commit is fetched, the token comes from the environment and stays out of messages. No network."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import workzone.data.importers.hub as module
from workzone.core.errors import ConfigError, DataError, MissingExtraError
from workzone.data.importers.hub import download_dataset

COMMIT = "0123456789abcdef" * 2 + "01234567"
REPOSITORY = "natix-network-org/roadwork"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Stands in for huggingface_hub; `calls` is what it was asked, `error` what it raises."""
    fake = SimpleNamespace(calls=[], error=None)

    def snapshot_download(*arguments, **settings):
        fake.calls.append((arguments, settings))
        if fake.error is not None:
            raise fake.error
        return str(tmp_path)

    fake.snapshot_download = snapshot_download
    monkeypatch.setattr(module, "require", lambda name, extra: fake)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return fake


def test_a_commit_is_fetched_without_a_token_unless_the_environment_has_one(
    hub, tmp_path, monkeypatch, observer
):
    assert download_dataset(REPOSITORY, COMMIT, observer=observer) == tmp_path
    (arguments, settings) = hub.calls[0]
    assert arguments == (REPOSITORY,)
    assert settings == {
        "repo_type": "dataset", "revision": COMMIT, "allow_patterns": ["*.parquet"], "token": False,
    }  # fmt: skip
    assert COMMIT[:12] in observer.notes[0]
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    download_dataset(REPOSITORY, COMMIT, observer=observer)
    assert hub.calls[1][1]["token"] == "hf_secret"
    assert not any("hf_secret" in note for note in observer.notes)


@pytest.mark.parametrize("revision", [None, "main", "v1.0", COMMIT[:12], COMMIT.upper(), COMMIT + "0", ""])
def test_whatever_is_no_commit_is_refused_before_anything_is_fetched(hub, revision):
    with pytest.raises(ConfigError, match=r"expected a commit of 40 hexadecimal digits.*/commits"):
        download_dataset(REPOSITORY, revision)
    assert hub.calls == []


@pytest.mark.parametrize("name", ["roadwork", "../../etc/passwd", "a/b/c", "-a/b", "a/" + "b" * 200, ""])
def test_whatever_is_no_repository_is_refused(hub, name):
    with pytest.raises(ConfigError, match="expected OWNER/NAME"):
        download_dataset(name, COMMIT)
    assert hub.calls == []


def test_a_failure_is_explained_without_the_token(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.error = ConnectionError("401 for url: https://hub\nauthorization: Bearer hf_secret")
    with pytest.raises(DataError, match=r"cannot be fetched: ConnectionError: 401.*HF_TOKEN") as raised:
        download_dataset(REPOSITORY, COMMIT)
    assert "hf_secret" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_without_the_package_the_extra_is_named(monkeypatch):
    def missing(name, extra):
        raise MissingExtraError(name, extra)

    monkeypatch.setattr(module, "require", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'workzone\[hub\]'"):
        download_dataset(REPOSITORY, COMMIT)


def test_the_real_package_offline_says_what_is_wrong(monkeypatch, tmp_path):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"cannot be fetched.*network"):
        download_dataset(REPOSITORY, COMMIT)
