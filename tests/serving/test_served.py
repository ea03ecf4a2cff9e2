"""A real bundle, from its description to an answer over HTTP."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from workzone.bundle.reader import open_bundle
from workzone.engine.live import LiveSettings, open_live
from workzone.serving.http.schemas import model_said
from workzone.serving.served import Served, describe_bundle


def jpeg(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "JPEG", quality=95)
    return out.getvalue()


def test_a_bundle_is_described_with_its_promise(colour_bundle) -> None:
    bundle = open_bundle(colour_bundle)
    said = describe_bundle(bundle)
    assert (said.name, said.bundle) == (bundle.manifest.name, bundle.digest)
    assert [t.logit for t in said.thresholds] == [bundle.policy.t_lo, bundle.policy.t_hi]
    expected = bundle.calibrator.apply([bundle.policy.t_lo, bundle.policy.t_hi])
    assert [t.probability for t in said.thresholds] == pytest.approx(list(expected))
    reply = json.loads(model_said(said).model_dump_json())
    assert reply["certificate"]["statement"] == bundle.policy.certificate.statement
    assert reply["certificate"]["record"]["claims"][0]["n"] == bundle.policy.certificate.claims[0].n
    assert reply["policy"]["rule"] == bundle.policy.rule


def test_a_bundle_answers_over_http_as_it_does_from_python(colour_bundle, fakes) -> None:
    from workzone.engine.predictor import open_predictor

    pictures = [jpeg(colour) for colour in ((255, 140, 0), (0, 0, 255), (128, 128, 128))]
    expected = [open_predictor(colour_bundle).predict(picture) for picture in pictures]
    bench = fakes.make_bench(start=False)

    async def ask() -> list[dict]:
        live = open_live(colour_bundle, LiveSettings(threads=1, max_batch=1))
        bench.service.swap(Served(live, describe_bundle(live.bundle)))
        head = [("content-type", "image/jpeg")]
        replies = [await fakes.call(bench.app, body=picture, headers=head) for picture in pictures]
        broken = await fakes.call(bench.app, body=pictures[0][:200], headers=head)
        assert (broken.status, broken.code) == (422, "bad_picture")
        await bench.service.aclose()
        return [reply.json()["results"][0] for reply in replies]

    said = fakes.run(ask())
    assert (
        [one["verdict"] for one in said]
        == [str(p.verdict) for p in expected]
        == ["roadwork", "none", "defer"]
    )
    assert [one["logit"] for one in said] == [p.logit for p in expected]
    assert [one["probability"] for one in said] == [p.probability for p in expected]
    assert [record["status"] for record in bench.journal.records] == [200, 200, 200, 422]
