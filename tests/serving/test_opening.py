"""A bundle or a cascade, from its directory to answers over HTTP, with stages up and down."""

from __future__ import annotations

import json

import pytest

from workzone.bundle.cascade import open_cascade
from workzone.engine.breaker import BreakerState
from workzone.engine.cache import AnswerCache
from workzone.engine.live import LiveBundle, LiveSettings
from workzone.policy.cascade import PATH_ASSUMPTION
from workzone.serving.bundle_root import BundleRoot
from workzone.serving.http.metrics import metrics_app
from workzone.serving.opening import open_served
from workzone.serving.served import describe_cascade

HEAD = [("content-type", "image/png")]
SETTINGS = LiveSettings(threads=1, max_batch=1)


def open_circuit(cascade, number: int) -> None:
    breaker = cascade.stages[number].breaker
    for _ in range(5):
        breaker.failed(breaker.admit())
    assert breaker.state is BreakerState.OPEN


@pytest.fixture
def pictures(colour_builders) -> dict[str, bytes]:
    b = colour_builders
    colours = {"orange": b.ORANGE, "blue": b.BLUE, "grey": b.GREY, "light": b.LIGHT, "middle": b.MIDDLE}
    return {name: b.encoded(b.plain(colour)) for name, colour in colours.items()}


async def ask(fakes, bench, picture: bytes):
    reply = await fakes.call(bench.app, body=picture, headers=HEAD)
    if reply.status != 200:
        return reply.status, reply.code
    said = reply.json()["results"][0]
    return said["verdict"], [stage["name"] for stage in said["stages"]], said["certified"], said.get("reason")


def test_a_bundle_opens_as_a_bundle(colour_bundle, fakes) -> None:
    async def opened() -> None:
        served = await open_served(colour_bundle, SETTINGS)
        assert isinstance(served.answerer, LiveBundle)
        assert served.description.policy_kind == "threshold"
        assert served.description.bundle == served.answerer.identity
        await served.aclose()

    fakes.run(opened())


def test_a_cascade_says_which_stages_ran_why_and_whether_it_was_certified(
    colour_builders, fakes, tmp_path, pictures
) -> None:
    path = colour_builders.make_cascade(tmp_path)
    bench = fakes.make_bench(start=False, cache=AnswerCache(1 << 20))

    async def life() -> None:
        served = await open_served(path, SETTINGS)
        bench.service.swap(served)
        said = {name: await ask(fakes, bench, picture) for name, picture in pictures.items()}
        assert said["orange"] == ("roadwork", ["small"], True, None)
        assert said["blue"] == ("none", ["small"], True, None)
        assert said["grey"] == ("none", ["small", "big"], True, None)
        assert said["light"] == ("roadwork", ["small", "big"], True, None)
        assert said["middle"][:3] == ("defer", ["small", "big"], True)
        assert said["middle"][3].startswith("The policy defers this picture.")
        shown = (await fakes.call(metrics_app(bench.metrics), "GET", "/metrics")).body.decode()
        assert 'workzone_stage_state{stage="big"} 0.0' in shown
        await bench.service.aclose()
        assert all(stage.answerer._closing for stage in served.answerer.stages)

    fakes.run(life())
    assert [record["status"] for record in bench.journal.records] == [200] * 5
    assert [len(record["stages"]) for record in bench.journal.records] == [1, 1, 2, 2, 2]


@pytest.mark.parametrize("first_alone", [False, True])
def test_with_the_second_stage_out_it_defers_and_says_why(
    colour_builders, fakes, tmp_path, pictures, first_alone
) -> None:
    path = colour_builders.make_cascade(tmp_path, first_alone=first_alone)
    bench = fakes.make_bench(start=False, cache=AnswerCache(1 << 20))

    async def life() -> None:
        served = await open_served(path, SETTINGS)
        bench.service.swap(served)
        open_circuit(served.answerer, 1)
        verdict, stages, certified, reason = await ask(fakes, bench, pictures["grey"])
        assert (verdict, stages, certified) == ("defer", ["small"], first_alone)
        assert "stage 'big' was not asked: its circuit is open" in reason
        verdict, stages, certified, reason = await ask(fakes, bench, pictures["orange"])
        assert (verdict, stages, certified) == (
            "roadwork" if first_alone else "defer",
            ["small"],
            first_alone,
        )
        assert first_alone or "the path of 'small' has no certificate" in reason
        shown = (await fakes.call(metrics_app(bench.metrics), "GET", "/metrics")).body.decode()
        assert 'workzone_stage_state{stage="big"} 2.0' in shown
        assert (await fakes.call(bench.app, "GET", "/readyz")).status == 200
        breaker = served.answerer.stages[1].breaker
        breaker._opened_at -= 61  # a minute passes: one request is let through, and finds it whole
        assert await ask(fakes, bench, pictures["grey"]) == ("none", ["small", "big"], True, None)
        assert breaker.state is BreakerState.CLOSED
        assert await ask(fakes, bench, pictures["orange"]) == ("roadwork", ["small"], True, None)
        await bench.service.aclose()

    fakes.run(life())


def test_with_the_first_stage_out_there_is_no_answer_and_it_is_not_ready(
    colour_builders, fakes, tmp_path, pictures
) -> None:
    path = colour_builders.make_cascade(tmp_path, first_alone=True)
    bench = fakes.make_bench(start=False)

    async def life() -> None:
        served = await open_served(path, SETTINGS)
        bench.service.swap(served)
        assert (await fakes.call(bench.app, "GET", "/readyz")).status == 200
        open_circuit(served.answerer, 0)
        for picture in pictures.values():
            assert await ask(fakes, bench, picture) == (503, "unavailable")
        assert (await fakes.call(bench.app, "GET", "/readyz")).status == 503
        assert (await fakes.call(bench.app, "GET", "/livez")).status == 200
        await bench.service.aclose()

    fakes.run(life())
    assert {record["status"] for record in bench.journal.records} == {503}


def test_a_cascade_is_described_with_the_promise_of_every_path(colour_builders, fakes, tmp_path) -> None:
    cascade = open_cascade(colour_builders.make_cascade(tmp_path))
    said = describe_cascade(cascade)
    assert (said.name, said.bundle, said.policy_kind) == ("colours", cascade.digest, "cascade")
    assert said.statement == cascade.paths[1].certificate.statement
    assert said.certificate["path_assumption"] == PATH_ASSUMPTION
    assert [path["n_stages"] for path in said.certificate["paths"]] == [1, 2]
    assert said.certificate["paths"][0]["certificate"] is None
    for words in (cascade.paths[0].refusal, said.statement, PATH_ASSUMPTION, cascade.stages[1].card):
        assert words in said.card
    assert "then about what it defers 'big'" in said.rule
    bench = fakes.make_bench(start=False)

    async def shown() -> dict:
        bench.service.swap(await open_served(cascade.path, SETTINGS))
        reply = await fakes.call(bench.app, "GET", "/v1/model")
        await bench.service.aclose()
        assert reply.status == 200
        return json.loads(reply.body)

    model = fakes.run(shown())
    assert model["policy"]["kind"] == "cascade"
    assert model["certificate"]["statement"] == said.statement


def test_bundles_and_cascades_are_exchanged_by_name(colour_builders, fakes, tmp_path, pictures) -> None:
    root = tmp_path / "root"
    colour_builders.make_cascade(root)  # holds `small`, `big` and `cascade`
    bench = fakes.make_bench(start=False)

    async def life() -> None:
        bundles = BundleRoot(root, lambda path: open_served(path, SETTINGS))
        bench.service.swap(await bundles.load("small"))
        assert (await ask(fakes, bench, pictures["grey"]))[:2] == ("defer", ["model"])
        old = bench.service.current
        bench.service.swap(await bundles.load("cascade"))
        assert (await ask(fakes, bench, pictures["grey"]))[:2] == ("none", ["small", "big"])
        assert bench.service.current is not old
        bench.service.swap(await bundles.load("big"))
        assert (await ask(fakes, bench, pictures["grey"]))[:2] == ("none", ["model"])
        await bench.service.aclose()

    fakes.run(life())


def test_a_cascades_memory_is_that_of_all_its_stages(colour_builders, fakes, tmp_path) -> None:
    from workzone.core.errors import BundleError

    root = tmp_path / "root"
    path = colour_builders.make_cascade(root)
    needed = 3 * sum((path / "stages" / name / "model.onnx").stat().st_size for name in ("small", "big"))

    async def load(free: int):
        async def opened(_):
            return fakes.served(fakes.FakeAnswerer())

        return await BundleRoot(root, opened, available=lambda: free).load("cascade")

    fakes.run(load(needed))
    with pytest.raises(BundleError, match="MiB are free"):
        fakes.run(load(needed - 1))
