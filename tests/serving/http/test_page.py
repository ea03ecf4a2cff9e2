"""The page loads nothing from elsewhere, runs only its own script, and never writes what it is told as markup."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
from fastapi import FastAPI
from fastapi.testclient import TestClient

from workzone.serving.http.page import content_security_policy, load_page, router

HTML = load_page().html.decode()
VOID = {"meta", "link", "input", "img", "br"}


class Elements(HTMLParser):
    """Elements with their attributes, text by element, and whether all were closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data


PAGE = Elements(HTML)
SCRIPT = PAGE.text["script"]


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.include_router(router)
    return TestClient(app)


def directives(policy: str) -> dict[str, list[str]]:
    return {part.split()[0]: part.split()[1:] for part in policy.split(";")}


def test_every_element_is_closed_and_every_id_is_there_once() -> None:
    assert PAGE.open == []
    ids = [attributes["id"] for _, attributes in PAGE.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'byId\("([\w-]+)"\)', SCRIPT)) <= set(ids)
    assert {attributes["for"] for tag, attributes in PAGE.found if "for" in attributes} <= set(ids)


def test_nothing_comes_from_outside() -> None:
    assert not re.search(r"(?:[a-z]+:)?//[a-z0-9]", re.sub(r"\s//.*", "", HTML), re.I)
    for tag, attributes in PAGE.found:
        for name in ("src", "href", "action", "formaction", "srcset", "poster"):
            assert attributes.get(name) in (None, "data:,"), (tag, name)
    assert "@import" not in HTML
    assert "url(" not in HTML


def test_no_markup_runs_or_styles_in_line() -> None:
    for tag, attributes in PAGE.found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        assert tag not in {"iframe", "object", "embed", "base"}


def test_answers_are_text_never_markup() -> None:
    for sink in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "DOMParser",
    ):
        assert sink not in SCRIPT
    assert not re.search(r"set(?:Timeout|Interval)\(\s*[\"'`]", SCRIPT)


def test_the_key_stays_in_memory() -> None:
    for store in ("localStorage", "sessionStorage", "indexedDB", "cookie", "location", "history."):
        assert store not in SCRIPT
    key = next(attributes for _, attributes in PAGE.found if attributes.get("id") == "key")
    assert (key["type"], key["autocomplete"]) == ("password", "off")
    assert "name" not in key  # a form that is sent without script would not carry it


def test_the_policy_allows_this_script_and_style_alone(client: TestClient) -> None:
    reply = client.get("/")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    allowed = directives(reply.headers["content-security-policy"])
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        assert [tag for tag, _ in PAGE.found].count(element) == 1
        digest = base64.b64encode(hashlib.sha256(PAGE.text[element].encode()).digest()).decode()
        assert allowed[directive] == [f"'sha256-{digest}'"]
    assert allowed["default-src"] == allowed["form-action"] == allowed["frame-ancestors"] == ["'none'"]
    assert allowed["connect-src"] == ["'self'"]
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "same-origin"


def test_a_page_without_script_may_run_none() -> None:
    assert directives(content_security_policy("<p>nothing</p>"))["script-src"] == ["'none'"]


def test_a_page_that_the_browser_has_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/")
    second = client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")
    assert client.head("/").headers["etag"] == first.headers["etag"]
    assert client.get("/", headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_page_is_no_part_of_the_api(client: TestClient) -> None:
    assert client.get("/openapi.json").json()["paths"] == {}


def test_the_script_is_javascript(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    path = tmp_path / "page.js"
    path.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run([node, "--check", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
