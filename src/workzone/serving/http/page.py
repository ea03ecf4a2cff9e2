"""The page at `/`: one picture in, the answer against the thresholds out.

Knows how the one HTML file is served: its content security policy and the other headers that keep it from loading,
running or sending anything elsewhere. Does not know the answers: the page asks `v1/model` and `v1/predict` as any
other client does, with the key that its user types.

The decision to question: script and style stand in the file and are allowed by their SHA-256, not by a nonce, so
that the page is the same bytes for everyone and may be cached; whoever edits it needs to do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from fastapi import APIRouter, Request, Response

__all__ = ["Page", "content_security_policy", "load_page", "router"]


@dataclass(frozen=True, slots=True)
class Page:
    """The page as it is sent."""

    html: bytes
    """UTF-8."""
    policy: str
    """The value of `Content-Security-Policy`."""
    tag: str
    """A strong entity tag, quotes included."""


def content_security_policy(html: str) -> str:
    """Return the policy under which `html` works and nothing else does.

    Source: Content Security Policy Level 3, W3C, section 6.7.3.3 (hashes of inline elements).

    Args:
        html: A page whose `<script>` and `<style>` elements are inline and have no attributes.
    """
    parts = (
        "default-src 'none'",
        f"script-src {_sources(html, 'script')}",
        f"style-src {_sources(html, 'style')}",
        "img-src blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return "; ".join(parts)


@cache
def load_page() -> Page:
    """Return the page, read once."""
    html = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    # Browsers hash the text as parsed, with line ends normalised: read_text did the same.
    tag = hashlib.sha256(html.encode()).hexdigest()[:32]
    return Page(html.encode(), content_security_policy(html), f'"{tag}"')


router = APIRouter()


@router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
async def show_page(request: Request) -> Response:
    """Return the page, or 304 where the browser has it. It holds nothing secret, so it needs no key."""
    page = load_page()
    headers = {
        "Content-Security-Policy": page.policy,
        "Cache-Control": "no-cache",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "ETag": page.tag,
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    if request.headers.get("if-none-match") == page.tag:
        return Response(status_code=304, headers=headers)
    return Response(page.html, media_type="text/html; charset=utf-8", headers=headers)


def _sources(html: str, element: str) -> str:
    bodies = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
    digests = (hashlib.sha256(body.encode()).digest() for body in bodies)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests) or "'none'"
