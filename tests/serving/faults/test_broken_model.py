"""A real network that fails, gives NaN, or never ends, behind the real command."""

from __future__ import annotations

import io

import pytest
from PIL import Image

WHITE, GREEN, BLUE, ORANGE = (255, 255, 255), (0, 255, 0), (0, 0, 255), (240, 130, 10)


def plain(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(out, "PNG")
    return out.getvalue()


def test_a_model_that_fails_gives_nan_or_hangs_costs_its_picture_and_nothing_else(
    wire, moody_bundle, tmp_path
) -> None:
    """ONNX Runtime ends the hung run by its own means; the service stays ready and the journal has it all."""
    journal = tmp_path / "journal"
    with wire.command(tmp_path / "run", moody_bundle, "--journal", journal, "--hang-s", 0.5) as service:
        for number, (colour, status, code) in enumerate(
            ((BLUE, 500, "internal"), (GREEN, 500, "internal"), (WHITE, 503, "unavailable")), start=1
        ):
            broken = service.predict(plain(colour), X_Request_Id=f"broken-{number}")
            assert (broken.status, broken.code) == (status, code)
            assert "nan" not in broken.body.decode().lower()
            assert "onnx" not in broken.body.decode().lower(), "a library's message is for the log"
            after = service.predict(plain(ORANGE), X_Request_Id=f"after-{number}")
            assert after.status == 200, service.said
            assert after.json()["results"][0]["verdict"] == "roadwork"
            assert service.ask().status == 200
        assert service.end() == 0
    found = {record["request_id"]: record["status"] for record in wire.records(journal)}
    assert found == {
        "broken-1": 500,
        "after-1": 200,
        "broken-2": 500,
        "after-2": 200,
        "broken-3": 503,
        "after-3": 200,
    }
    for sentence in ("Gather", "not finite", "took longer than 0.5 s"):
        assert sentence in service.said


@pytest.mark.parametrize("told", [False, True])
def test_a_model_that_stays_hung_ends_the_process_to_be_restarted(wire, moody_bundle, tmp_path, told) -> None:
    """The runtime's means of ending a run is taken away; SIGTERM meanwhile must not be kept waiting for ever."""
    journal = tmp_path / "journal"
    before = (
        "from workzone.engine.onnxruntime_backend import OnnxRuntimeBackend\n"
        "OnnxRuntimeBackend.terminate = lambda self: None"
    )
    hang_s, drain_s = (30, 0.5) if told else (0.5, 30)
    options = ("--journal", journal, "--hang-s", hang_s, "--grace-s", 0.5, "--drain-s", drain_s)
    with wire.command(tmp_path / "run", moody_bundle, *options, before=before) as service:
        if told:
            with wire.connected(service.address) as connection:
                connection.sendall(wire.predict_bytes(plain(WHITE)))
                assert service.end() == 0, "it was told to end, and did"
                [reply] = wire.replies(wire.rest(connection))
                assert (reply.status, reply.code) == (503, "unavailable")
        else:
            hung = service.predict(plain(WHITE), X_Request_Id="hung")
            assert (hung.status, hung.code) == (503, "unavailable")
            assert service.process.wait(wire.PATIENCE_S) == 1
            assert "service_failed" in service.said
            assert [record["request_id"] for record in wire.records(journal)] == ["hung"]
    assert "Traceback" not in service.said
    assert "Fatal" not in service.said
