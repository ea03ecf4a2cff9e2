"""Who may do what."""

from __future__ import annotations

import asyncio
import json

import pytest

from workzone.core.errors import BundleError
from workzone.serving.bundle_root import BundleRoot
from workzone.serving.key_file import add_key, revoke_key
from workzone.serving.key_ring import KeyRing
from workzone.serving.keys import Role

JSON = ("content-type", "application/json")


@pytest.fixture
def guarded(fakes, tmp_path):
    """A service with two keys: (bench, predict token, admin token, keys file)."""
    path = tmp_path / "keys.json"
    (_, predict), (_, admin) = (add_key(path, r.value, r, now=fakes.NOW) for r in (Role.PREDICT, Role.ADMIN))

    async def opened(bundle):
        if bundle.name == "broken":
            raise BundleError("/srv/private/broken was changed")
        return fakes.served(fakes.FakeAnswerer("b" * 64), bundle.name)

    for name in ("new", "broken"):
        (tmp_path / "bundles" / name).mkdir(parents=True)
    bench = fakes.make_bench(keys=KeyRing.open(path), bundles=BundleRoot(tmp_path / "bundles", opened))
    return bench, predict, admin, path


def bearer(token: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {token}")


def test_the_role_decides(guarded) -> None:
    bench, predict, admin, _ = guarded
    for token in (predict, admin):
        assert bench.ask(None, bearer(token)).status == 200
        assert bench.call("GET", "/v1/model", headers=[bearer(token)]).status == 200
    body = json.dumps({"bundle": "new"}).encode()
    refused = bench.call("PUT", "/v1/model", body=body, headers=[JSON, bearer(predict)])
    assert (refused.status, refused.code) == (403, "forbidden")
    assert bench.call("DELETE", f"/v1/pictures/{'0' * 64}", headers=[bearer(predict)]).status == 403
    assert bench.call("DELETE", f"/v1/pictures/{'0' * 64}", headers=[bearer(admin)]).status == 404
    assert {record["key"] for record in bench.journal.records} == {predict.split("_")[1], admin.split("_")[1]}


@pytest.mark.parametrize("make", [
    lambda t: [], lambda t: [("authorization", t)], lambda t: [("authorization", f"Basic {t}")],
    lambda t: [("authorization", "Bearer")], lambda t: [("authorization", f"Bearer {t}x")],
    lambda t: [("authorization", f"Bearer {t}")] * 2, lambda t: [("x-api-key", t)], lambda t: [("cookie", t)],
    lambda t: [("authorization", f"Bearer {t}, Bearer {t}")], lambda t: [("authorization", "Bearer \xff\xfe")],
])  # fmt: skip
def test_without_a_working_key_401_before_the_body_is_read(guarded, make) -> None:
    bench, predict, _, _ = guarded
    reply = bench.call(
        body=[b"x" * 10] * 3, headers=[("content-type", "image/jpeg"), *make(predict)], cut=True
    )
    assert (reply.status, reply.code) == (401, "unauthorized")
    assert reply.header("www-authenticate") == 'Bearer realm="workzone"'
    assert predict not in reply.body.decode()


def test_a_key_in_the_address_is_no_key(guarded) -> None:
    bench, predict, _, _ = guarded
    assert bench.ask(query=f"key={predict}").status == 401


def test_the_scheme_is_read_as_http_says(guarded) -> None:
    bench, predict, _, _ = guarded
    assert bench.ask(None, ("authorization", f"bEaReR   {predict}")).status == 200


def test_a_revoked_key_is_refused_at_once(guarded, fakes) -> None:
    bench, predict, _, path = guarded
    revoke_key(path, predict.split("_")[1], now=fakes.NOW)
    assert bench.ask(None, bearer(predict)).status == 401


def test_with_keys_any_host_and_origin_may_ask(guarded) -> None:
    bench, predict, _, _ = guarded
    assert (
        bench.ask(None, bearer(predict), ("host", "roads.example"), ("origin", "https://x.example")).status
        == 200
    )


def test_without_keys_nobody_administers(bench) -> None:
    assert bench.call("PUT", "/v1/model", body=b"{}", headers=[JSON]).status == 403
    assert bench.call("DELETE", f"/v1/pictures/{'0' * 64}").status == 403


def test_an_exchange_over_http_and_what_is_refused(guarded, fakes) -> None:
    bench, _, admin, _ = guarded

    def put(body: bytes, kind: str = "application/json"):
        return fakes.call(
            bench.app, "PUT", "/v1/model", body=body, headers=[("content-type", kind), bearer(admin)]
        )

    async def exchange() -> None:
        for body, status, kind in (
            (b"{", 400, "application/json"), (b'{"bundle": "../etc"}', 422, "application/json"),
            (b'{"bundle": "absent"}', 404, "application/json"), (b'{"bundle": 5}', 422, "application/json"),
            (b'{"bundle": "new", "x": 1}', 422, "application/json"), (b"x" * 5000, 413, "application/json"),
            (b'{"bundle": "new"}', 415, "text/plain"),
        ):  # fmt: skip
            assert (await put(body, kind)).status == status, body
        broken = await put(b'{"bundle": "broken"}')
        assert (broken.status, broken.code) == (422, "bundle_refused")
        assert "/srv/private" not in broken.body.decode()
        assert bench.service.current.answerer is bench.answerer, "the old one stays"
        done = await put(b'{"bundle": "new"}')
        assert (done.status, done.json()["name"], done.json()["bundle"]) == (200, "new", "b" * 64)
        await bench.service._slots.retired()
        assert bench.answerer.closed

    fakes.run(exchange())


def test_an_exchange_under_load_fails_no_request(guarded, fakes) -> None:
    bench, predict, admin, _ = guarded

    async def load() -> set[str]:
        head = [("content-type", "image/jpeg"), bearer(predict)]
        slow = [asyncio.create_task(fakes.call(bench.app, body=fakes.picture(b"slow%d" % i), headers=head))
                for i in range(20)]  # fmt: skip
        await bench.answerer.entered.wait()
        await fakes.call(
            bench.app, "PUT", "/v1/model", body=b'{"bundle": "new"}', headers=[JSON, bearer(admin)]
        )
        after = await fakes.call(bench.app, body=fakes.picture(), headers=head)
        bench.answerer.release.set()
        replies = [*await asyncio.gather(*slow), after]
        assert {reply.status for reply in replies} == {200}
        assert after.json()["results"][0]["bundle"] == "b" * 64
        return {reply.json()["results"][0]["bundle"] for reply in replies}

    assert fakes.run(load()) == {"a" * 64, "b" * 64}


def test_a_kept_picture_is_erased_by_its_hash(guarded) -> None:
    bench, _, admin, _ = guarded
    bench.store.kept["ab" * 32] = b"x"
    reply = bench.call("DELETE", f"/v1/pictures/{'ab' * 32}", headers=[bearer(admin)])
    assert (reply.status, reply.json()) == (200, {"sha256": "ab" * 32, "erased": True})
    assert bench.store.kept == {}
    assert bench.call("DELETE", f"/v1/pictures/{'AB' * 32}", headers=[bearer(admin)]).status == 422
    assert bench.call("DELETE", "/v1/pictures/etc", headers=[bearer(admin)]).status == 422


def test_the_model_is_described(bench) -> None:
    said = bench.call("GET", "/v1/model").json()
    assert said["policy"]["thresholds"] == [
        {"logit": -1.0, "probability": 0.2},
        {"logit": 2.0, "probability": 0.9},
    ]
    assert said["certificate"]["statement"].startswith("With confidence")
    assert (said["name"], said["card"]) == ("demo", "# card")


def test_without_a_bundle_root_nothing_is_exchanged(fakes, tmp_path) -> None:
    path = tmp_path / "keys.json"
    _, admin = add_key(path, "a", Role.ADMIN, now=fakes.NOW)
    bench = fakes.make_bench(keys=KeyRing.open(path))
    assert (
        bench.call("PUT", "/v1/model", body=b'{"bundle": "new"}', headers=[JSON, bearer(admin)]).status == 409
    )
