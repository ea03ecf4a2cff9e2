"""A hub on this machine: as much of Hugging Face's API as publishing uses, and faults by order.

Written after the calls of huggingface_hub 2.4.0; the real hub was not asked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LFS_NAMES = (".safetensors", ".onnx")
CUT = -1
HANG = -2


def git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass
class Repo:
    """One repository: its head and its files."""

    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"*.onnx lfs\n"})
    commits: int = 0
    private: bool = False
    gated: bool = False

    @property
    def sha(self) -> str:
        return hashlib.sha1(str(self.commits).encode(), usedforsecurity=False).hexdigest()


@dataclass
class Hub:
    """What the server knows, was asked, and shall do wrong."""

    url: str = ""
    token: str = "hf_writeTokenOfTheTest"
    repos: dict[str, Repo] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    """LFS objects, in no repository until a commit names them."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, str, int]] = field(default_factory=list)
    """(method, part of the path, status or CUT or HANG): each is used up by one request."""
    after_commit: Callable[[Repo], None] | None = None
    cut_after_commit: int = 0
    commit_headers: list[dict[str, Any]] = field(default_factory=list)
    yaml_warning: str = ""
    echo: str = ""
    """Said in every error."""
    released: threading.Event = field(default_factory=threading.Event)
    hanging: threading.Event = field(default_factory=threading.Event)

    def fault(self, method: str, path: str) -> int | None:
        for fault in self.faults:
            if fault[0] == method and fault[1] in path:
                self.faults.remove(fault)
                return fault[2]
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._any()

    def do_POST(self) -> None:
        self._any()

    def do_PUT(self) -> None:
        self._any()

    def _any(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.asked.append((self.command, path))
        body = self._body()
        fault = self.hub.fault(self.command, path)
        if fault == HANG:
            self.hub.hanging.set()
            self.hub.released.wait(60)
        if fault in (CUT, HANG):
            self.close_connection = True
            return
        if fault is not None:
            self._say(fault, {"error": f"ordered {self.hub.echo}"})
            return
        self._route(path, body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _route(self, path: str, body: bytes) -> None:
        writes = self.command == "POST"
        if writes and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._say(
                401,
                {"error": f"Invalid credentials {self.hub.echo}"},
                {"X-Error-Message": "Invalid credentials in Authorization header"},
            )
        elif path == "/api/validate-yaml":
            warnings = [{"message": self.hub.yaml_warning}] if self.hub.yaml_warning else []
            self._say(200, {"errors": [], "warnings": warnings})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif path.startswith("/lfs/"):
            oid = path.removeprefix("/lfs/")
            assert hashlib.sha256(body).hexdigest() == oid
            self.hub.stored[oid] = body
            self._say(200, {})
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._batch(json.loads(body))
        else:
            self._of_a_repo(path, body)

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repos:
            self._say(409, {"error": "exists"})
            return
        self.hub.repos[name] = Repo(private=asked["visibility"] != "public")
        self._say(200, {"url": f"{self.hub.url}/{name}", "name": name})

    def _batch(self, asked: dict[str, Any]) -> None:
        assert "basic" in asked["transfers"]
        objects = []
        for wanted in asked["objects"]:
            found: dict[str, Any] = dict(wanted)
            if wanted["oid"] not in self.hub.stored:
                found["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}"}}
            objects.append(found)
        self._say(200, {"transfer": "basic", "objects": objects})

    def _of_a_repo(self, path: str, body: bytes) -> None:
        owner, name, *rest = path.removeprefix("/api/models/").split("/")
        repo = self.hub.repos.get(f"{owner}/{name}")
        known = self.headers.get("Authorization") == f"Bearer {self.hub.token}"
        if repo is None or (repo.private and not known):
            self._say(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif rest in ([], ["revision", "main"]):
            self._info(f"{owner}/{name}", repo)
        elif rest == ["preupload", "main"]:
            self._preupload(repo, json.loads(body))
        elif rest == ["commit", "main"]:
            self._commit(repo, [json.loads(line) for line in body.splitlines()])
        else:
            self._say(404, {"error": "no such route"})

    def _info(self, name: str, repo: Repo) -> None:
        siblings = []
        for file, data in repo.files.items():
            sibling: dict[str, Any] = {"rfilename": file, "size": len(data), "blobId": git_blob(data)}
            if file.endswith(LFS_NAMES):
                sha256 = hashlib.sha256(data).hexdigest()
                sibling["lfs"] = {"size": len(data), "sha256": sha256, "pointerSize": 130}
            siblings.append(sibling)
        said = {"id": name, "sha": repo.sha, "private": repo.private, "gated": repo.gated, "disabled": False}
        self._say(200, {**said, "siblings": siblings})

    def _preupload(self, repo: Repo, asked: dict[str, Any]) -> None:
        files = []
        for file in asked["files"]:
            lfs, held = file["path"].endswith(LFS_NAMES), repo.files.get(file["path"])
            oid = None if held is None else hashlib.sha256(held).hexdigest() if lfs else git_blob(held)
            mode = "lfs" if lfs else "regular"
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._say(200, {"files": files})

    def _commit(self, repo: Repo, lines: list[dict[str, Any]]) -> None:
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repo.sha):
            self._say(412, {"error": "A commit has happened since. Please refresh and try again."})
            return
        files = dict(repo.files)
        for line in lines[1:]:
            path = line["value"]["path"]
            if line["key"] == "file":
                files[path] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                files[path] = self.hub.stored[line["value"]["oid"]]
            else:
                del files[path]
        repo.files, repo.commits = files, repo.commits + 1
        self.hub.commit_headers.append(header)
        sha = repo.sha
        if self.hub.after_commit is not None:
            self.hub.after_commit(repo)
        if self.hub.cut_after_commit:
            self.hub.cut_after_commit -= 1
            self.close_connection = True
            return
        self._say(
            200, {"success": True, "commitOid": sha, "commitUrl": f"{self.hub.url}/some/repo/commit/{sha}"}
        )

    def _say(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for key, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(key, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is killed is no fault of the server."""


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Yield a hub that listens on a port of its own; its threads end with it."""
    hub = Hub()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
