"""Thread counts from files as the kernel writes them."""

from __future__ import annotations

import os

import pytest

from workzone.engine.threads import cpu_quota, usable_threads


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("content", "quota"),
    [("max 100000\n", None), ("150000 100000\n", 1.5), ("50000 100000\n", 0.5), ("", None), ("odd\n", None)],
)
def test_version_2(tmp_path, content, quota):
    write(tmp_path / "cg" / "cpu.max", content)
    assert cpu_quota(tmp_path / "cg", tmp_path / "none") == quota


def test_the_smallest_of_the_groups_above_counts(tmp_path):
    write(tmp_path / "own", "0::/slice/service\n")
    write(tmp_path / "cg" / "slice" / "service" / "cpu.max", "400000 100000")
    write(tmp_path / "cg" / "slice" / "cpu.max", "300000 100000")
    assert cpu_quota(tmp_path / "cg", tmp_path / "own") == 3.0


@pytest.mark.parametrize(("quota_us", "expected"), [("200000", 2.0), ("-1", None)])
def test_version_1(tmp_path, quota_us, expected):
    write(tmp_path / "cg" / "cpu" / "cpu.cfs_quota_us", quota_us)
    write(tmp_path / "cg" / "cpu" / "cpu.cfs_period_us", "100000")
    assert cpu_quota(tmp_path / "cg", tmp_path / "none") == expected


def test_a_quota_below_one_is_one_thread_and_affinity_bounds_it(tmp_path):
    write(tmp_path / "cg" / "cpu.max", "10000 100000")
    assert usable_threads(tmp_path / "cg", tmp_path / "none") == 1
    write(tmp_path / "cg" / "cpu.max", "99900000 100000")
    assert usable_threads(tmp_path / "cg", tmp_path / "none") == len(os.sched_getaffinity(0))
