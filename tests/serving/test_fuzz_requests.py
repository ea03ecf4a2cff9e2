"""Ten thousand requests that nobody would send: half from the API's description, half from damaged pictures.

Whatever comes, the service answers in its one form, a 500 is on record, and nothing is on record twice. What answers
here decodes with the real decoder and then has moods, by the picture's hash.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import warnings
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workzone.core.errors import DeadlineExceeded, ModelUnavailable, Overloaded
from workzone.imaging.decode import DecodeLimits, decode_image

_spec = spec_from_file_location("decode_fuzz", Path(__file__).parents[1] / "imaging" / "test_decode_fuzz.py")
assert _spec is not None
assert _spec.loader is not None
pictures = module_from_spec(_spec)
_spec.loader.exec_module(pictures)

LIMITS = DecodeLimits(max_bytes=1 << 20, max_pixels=250_000, max_side_px=2000)
MOODS = (RuntimeError("boom"), KeyError("x"), MemoryError(), TimeoutError(), ModelUnavailable("down"),
         Overloaded("full", 1.5), DeadlineExceeded("late"), "nan")  # fmt: skip
WHOLE = st.builds(
    bytes.__add__,
    st.sampled_from([seed for seeds in pictures.SEEDS.values() for seed in seeds]),
    st.binary(max_size=8),
)
"""Pictures that are whole, and have hashes of their own."""
DEADLINES = ["", "", "", "", "5000", "5000", "1", "x"]
STATED = {200, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503, 504}
COUNTS = [100, pytest.param(5000, marks=pytest.mark.slow)]


def make_moody(fakes: Any) -> Any:
    class Moody(fakes.FakeAnswerer):
        async def answer(self, data: bytes, *, deadline_s: float | None) -> Any:
            decode_image(data, LIMITS)
            digest = hashlib.sha256(data)
            mood = digest.digest()[0]
            if mood < len(MOODS) * 4 and isinstance(error := MOODS[mood // 4], Exception):
                raise error
            tag = b"nan" if mood < len(MOODS) * 4 else b"defer" if mood % 2 else b"plain"
            answer = await super().answer(fakes.picture(tag), deadline_s=deadline_s)
            return dataclasses.replace(answer, sha256=digest.hexdigest())

    return Moody()


@pytest.fixture
def fuzzed(fakes, tmp_path):
    """A service of moods, with keys and a directory of bundles; the headers of its admin."""
    from workzone.serving.bundle_root import BundleRoot
    from workzone.serving.key_file import add_key
    from workzone.serving.key_ring import KeyRing
    from workzone.serving.keys import Role
    from workzone.serving.limits import Limits

    _, token = add_key(tmp_path / "keys", "fuzz", Role.ADMIN, now=fakes.NOW)
    (tmp_path / "bundles" / "a").mkdir(parents=True)

    async def opened(_: Path) -> Any:
        return fakes.served(make_moody(fakes))

    bench = fakes.make_bench(
        keys=KeyRing.open(tmp_path / "keys"),
        limits=Limits(rate_per_s=1e9, burst=10**9),
        bundles=BundleRoot(tmp_path / "bundles", opened, available=lambda: None),
        start=False,
    )
    bench.journal.room = 10**9
    fakes.run(_start(bench, fakes))
    return bench, {"Authorization": f"Bearer {token}"}


async def _start(bench: Any, fakes: Any) -> None:
    bench.service.swap(fakes.served(make_moody(fakes)))


def check(status: int, identity: str | None, body: bytes, bench: Any, at: int) -> None:
    """Check one reply against what came on record with it, from record `at` on."""
    assert status in STATED, status
    assert identity
    mine = [record for record in bench.journal.records[at:] if record["request_id"] == identity]
    assert len(bench.journal.records) == at + len(mine)
    if status >= 400 and body:
        said = json.loads(body)
        assert {"request_id", "error"} <= set(said) <= {"request_id", "error", "results"}
        assert said["error"]["message"].isprintable()
        assert 0 < len(said["error"]["message"]) <= 500
    results = json.loads(body).get("results", []) if mine and body else []
    if status == 500:
        assert mine, "a 500 that is on no record"
    if status == 200 and results:
        given = Counter(
            (result["status"], result.get("sha256")) for result in results if result["status"] == 200
        )
        recorded = Counter((record["status"], record["sha256"]) for record in mine if record["status"] == 200)
        assert given == recorded, "each answer is on record, and once"
    assert len(mine) <= max(1, len(results))


@pytest.mark.parametrize("count", COUNTS)
def test_requests_made_from_the_description(fuzzed, count) -> None:
    """schemathesis: values that the description allows, and values that it forbids."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schemathesis = pytest.importorskip("schemathesis")
    bench, bearer = fuzzed
    schema = schemathesis.openapi.from_asgi("/openapi.json", bench.app, headers={"Host": "127.0.0.1"})
    modes = schemathesis.GenerationMode
    seen: Counter[str] = Counter()

    @settings(
        max_examples=count, suppress_health_check=list(HealthCheck), database=None, derandomize=count < 1000
    )
    @given(
        case=schema.as_strategy(modes.POSITIVE) | schema.as_strategy(modes.NEGATIVE),
        keyless=st.integers(0, 9),
    )
    def ask(case: Any, keyless: int) -> None:
        at = len(bench.journal.records)
        reply = case.call(base_url="http://127.0.0.1", headers={} if keyless == 7 else bearer)
        identity = (reply.headers.get("x-request-id") or [None])[0]
        seen[f"{reply.status_code}"] += 1
        check(reply.status_code, identity, reply.content, bench, at)

    ask()
    print(f"\nfrom the description: {sum(seen.values())} requests, {dict(sorted(seen.items()))}")  # noqa: T201
    assert sum(seen.values()) >= count
    assert len(seen) > 3


def form(parts: list[tuple[bytes, bytes]]) -> bytes:
    fields = [b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % part for part in parts]
    return b"".join(fields) + b"--b--\r\n"


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A content type and a body of it, of damaged pictures; sometimes the body is damaged too."""
    some = draw(st.lists(pictures.damaged() | WHOLE, min_size=1, max_size=3))
    details = draw(st.dictionaries(st.sampled_from(["id", "camera", "lat", "lon", "captured_at", "x"]),
                                   st.text(max_size=20) | st.floats() | st.none(), max_size=3))  # fmt: skip
    match draw(st.sampled_from(["raw", "form", "json"])):
        case "raw":
            kind, body = (
                draw(st.sampled_from(["image/jpeg", "image/png", "application/octet-stream"])),
                some[0],
            )
        case "form":
            kind = "multipart/form-data; boundary=b"
            texts = [
                (name.encode(), str(value).encode("utf-8", "replace")) for name, value in details.items()
            ]
            body = form([(b"image", picture) for picture in some] + (texts if draw(st.booleans()) else []))
        case _:
            kind = "application/json"
            listed = [{"image": base64.b64encode(picture).decode(), **details} for picture in some]
            body = json.dumps({"pictures": listed} if draw(st.booleans()) else listed[0]).encode()
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(body)))
        body = draw(
            st.sampled_from([body[:at], body[:at] + b"\x00\xff" + body[at:], body[:at] + body[at + 7 :]])
        )
    return kind, body


@pytest.mark.parametrize("count", COUNTS)
def test_requests_of_damaged_pictures(fuzzed, fakes, count) -> None:
    bench, bearer = fuzzed
    seen: Counter[int] = Counter()
    kept = [("host", "127.0.0.1"), *((name.lower(), value) for name, value in bearer.items())]

    @settings(
        max_examples=count, suppress_health_check=list(HealthCheck), database=None, derandomize=count < 1000
    )
    @given(
        sent=bodies(),
        pieces=st.integers(1, 4),
        cut=st.integers(0, 30),
        deadline=st.sampled_from(DEADLINES),
    )
    def ask(sent: tuple[str, bytes], pieces: int, cut: int, deadline: str) -> None:
        kind, body = sent
        size = max(1, -(-len(body) // pieces))
        chunks = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        headers = [*kept, ("content-type", kind)] + ([("x-deadline-ms", deadline)] if deadline else [])
        at = len(bench.journal.records)
        reply = fakes.run(fakes.call(bench.app, body=chunks, headers=headers, cut=cut == 0))
        seen[reply.status] += 1
        check(reply.status, reply.header("x-request-id"), reply.body, bench, at)

    ask()
    print(f"\nof damaged pictures: {sum(seen.values())} requests, {dict(sorted(seen.items()))}")  # noqa: T201
    assert sum(seen.values()) >= count
    assert ({200, 400, 422, 500, 503, 504} if count > 1000 else {200, 422}) <= set(seen)
