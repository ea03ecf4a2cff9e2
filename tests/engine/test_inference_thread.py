"""The thread of the network: one job after another, exceptions handed over, ended when it is told to."""

from __future__ import annotations

import threading

import pytest

from workzone.engine.inference_thread import InferenceThread


def test_jobs_run_in_order_in_one_daemon_thread():
    thread, ran = InferenceThread(), []
    futures = [thread.submit(lambda i=i: ran.append(i) or threading.current_thread()) for i in range(5)]
    threads = {future.result(timeout=30) for future in futures}
    assert ran == list(range(5))
    assert [worker.daemon for worker in threads] == [True]
    thread.stop()
    threads.pop().join(timeout=30)
    assert not any(worker.is_alive() for worker in threads)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_whatever_is_raised_is_handed_over_and_the_thread_goes_on(error):
    def fail():
        raise error

    thread = InferenceThread()
    assert thread.submit(fail).exception(timeout=30) is error
    assert thread.submit(lambda: 7).result(timeout=30) == 7
    thread.stop()


def test_a_cancelled_job_is_not_run():
    thread, gate, ran = InferenceThread(), threading.Event(), []
    first = thread.submit(lambda: gate.wait(30))
    second = thread.submit(lambda: ran.append(2))
    assert second.cancel()
    gate.set()
    assert first.result(timeout=30)
    assert thread.submit(lambda: ran.append(3)).result(timeout=30) is None
    assert ran == [3]
    thread.stop()
