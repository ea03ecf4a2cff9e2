"""The peak is the kernel's, and it does not go back."""

from __future__ import annotations

import numpy as np

from workzone.engine.peak_memory import peak_memory_bytes

MIB = 1 << 20


def test_the_kernels_line_is_read(tmp_path):
    (tmp_path / "status").write_text("VmPeak:\t  900 kB\nVmHWM:\t  1234 kB\nVmRSS:\t 5 kB\n")
    assert peak_memory_bytes(tmp_path / "status") == 1234 * 1024


def test_without_it_the_systems_own_count_is_taken(tmp_path):
    (tmp_path / "odd").write_text("VmHWM:\n")
    for name in ("absent", "odd"):
        peak = peak_memory_bytes(tmp_path / name)
        assert peak is not None
        assert peak > 10 * MIB


def test_it_grows_with_what_is_held_and_stays():
    before = peak_memory_bytes()
    held = np.ones(300 * MIB, dtype=np.uint8)
    during = peak_memory_bytes()
    assert during > 300 * MIB
    assert during >= before
    del held
    assert peak_memory_bytes() >= 0.99 * during  # the kernel counts in portions
