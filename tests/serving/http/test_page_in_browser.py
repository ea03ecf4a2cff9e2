"""The page in a real browser, headless, beside a service that answers as told: what a person would read."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
from workzone.serving.http.page import content_security_policy, load_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
BUNDLE = "3f9c" * 16
MODEL = {
    "name": "streets",
    "bundle": BUNDLE,
    "policy": {
        "kind": "threshold",
        "rule": "The policy says none at a logit below -1.944, road work from 2.31, and defers what lies between.",
        "thresholds": [{"logit": -1.944, "probability": 0.083}, {"logit": 2.31, "probability": 0.931}],
    },
    "certificate": {
        "statement": "With confidence 95 %, at most 2 % of the pictures with road work that it answers get 'none'."
    },
    "card": "# streets\n\nTrained on 12,000 pictures.",
}
SURE = {
    "status": 200,
    "probability": 0.987,
    "verdict": "roadwork",
    "certified": True,
    "logit": 4.33,
    "reason": None,
    "stages": [
        {"name": "small", "verdict": "roadwork", "probability": 0.987, "latency_ms": 14.2, "error": None}
    ],
    "latency_ms": 16.9,
    "cached": False,
    "bundle": BUNDLE,
}
DEFERRED = SURE | {
    "probability": 0.412,
    "verdict": "defer",
    "certified": False,
    "logit": -0.36,
    "reason": "The second stage <img src=x onerror=alert(1)> did not answer in time, so a person has to look.",
    "stages": [
        {"name": "small", "verdict": "defer", "probability": 0.412, "latency_ms": 14.2, "error": None},
        {
            "name": "large",
            "verdict": None,
            "probability": None,
            "latency_ms": 250.0,
            "error": "later than 250 ms",
        },
    ],
    "latency_ms": 266.4,
}
LOOK = """
document.addEventListener("securitypolicyviolation", (event) => {
  document.body.dataset.violation = event.violatedDirective + " " + event.blockedURI;
});
(async () => {
  const settle = () => new Promise((done) => setTimeout(done, 300));
  await settle();
  if (KEY) {
    document.getElementById("key").value = KEY;
    document.getElementById("key-form").requestSubmit();
    await settle();
  }
  const canvas = document.createElement("canvas");
  canvas.width = 640; canvas.height = 420;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#9db8cf"; pen.fillRect(0, 0, 640, 210);
  pen.fillStyle = "#6a6a6a"; pen.fillRect(0, 210, 640, 210);
  pen.fillStyle = "#e8641b"; pen.fillRect(280, 180, 40, 130); pen.fillRect(420, 200, 36, 110);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg"));
  const moved = new DataTransfer();
  moved.items.add(new File([blob], "street.jpg", { type: "image/jpeg" }));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: moved, bubbles: true }));
})();
"""


@dataclass(frozen=True)
class Fake:
    """What the service says, and what it was sent."""

    predict: tuple[int, dict[str, Any]]
    key: str | None
    seen: list[tuple[str, str | None, bytes]]


class Handler(BaseHTTPRequestHandler):
    def __init__(self, fake: Fake, *arguments: Any) -> None:
        self.fake = fake
        super().__init__(*arguments)

    def log_message(self, *arguments: Any) -> None:
        pass

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer(self, status: int, document: dict[str, Any]) -> None:
        if self.fake.key is not None and self.headers["Authorization"] != f"Bearer {self.fake.key}":
            error = {"code": "unauthorized", "message": "A key is needed."}
            status, document = 401, {"error": error, "request_id": "r-0"}
        self.reply(status, json.dumps(document).encode(), Content_Type="application/json", Retry_After="7")

    def do_GET(self) -> None:
        if self.path == "/v1/model":
            self.answer(200, MODEL)
            return
        look = f"const KEY = {json.dumps(self.fake.key)};{LOOK}"
        html = load_page().html.decode() + f"<script>{look}</script>"
        policy = content_security_policy(html)
        self.reply(
            200, html.encode(), Content_Type="text/html; charset=utf-8", Content_Security_Policy=policy
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.fake.seen.append((self.path, self.headers["Content-Type"], body))
        self.answer(*self.fake.predict)


@pytest.fixture
def serve() -> Iterator[Any]:
    servers: list[ThreadingHTTPServer] = []

    def start(fake: Fake) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, fake))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def browse(url: str, profile: Path, *arguments: str) -> str:
    fixed = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    )
    quiet = f"--disable-component-update --disable-sync --hide-scrollbars --user-data-dir={profile}"
    command = [str(CHROMIUM), *fixed.split(), *quiet.split(), "--virtual-time-budget=4000", *arguments, url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def words(dom: str) -> str:
    """What is visible, as text; the script is not."""
    shown = re.sub(r"<(script|style)>.*?</\1>", " ", dom, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", shown))


def test_an_answer_is_shown_against_its_thresholds(serve: Any, tmp_path: Path) -> None:
    fake = Fake((200, {"request_id": "r-1", "results": [SURE]}), "wz_good", [])
    dom = browse(serve(fake), tmp_path, "--dump-dom")
    text = words(dom)
    assert "data-violation" not in dom
    for expected in ("Road work", "98.7 %", "8.3 %", "93.1 %", "certified", "14 ms", "r-1", "at most 2 %"):
        assert expected in text
    assert 'aria-label="Probability of road work 98.7 %, thresholds 8.3 % and 93.1 %"' in dom
    path, kind, body = fake.seen[-1]
    assert (path, kind, body[:2]) == ("/v1/predict", "image/jpeg", b"\xff\xd8")


def test_a_deferred_picture_says_why_and_markup_stays_text(serve: Any, tmp_path: Path) -> None:
    dom = browse(
        serve(Fake((200, {"request_id": "r", "results": [DEFERRED]}), None, [])), tmp_path, "--dump-dom"
    )
    assert "Deferred to a person" in words(dom)
    assert "no answer: later than 250 ms" in words(dom)
    assert "&lt;img src=x onerror=alert(1)&gt;" in dom
    assert "data-violation" not in dom


def test_a_refusal_is_told_with_when_to_come_back(serve: Any, tmp_path: Path) -> None:
    error = {"error": {"code": "overloaded", "message": "Too much is asked."}, "request_id": "r"}
    text = words(browse(serve(Fake((429, error), None, [])), tmp_path, "--dump-dom"))
    assert "Too much is asked. Try again in 7 s." in text
