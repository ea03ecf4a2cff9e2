"""The limits' file: what ships says what to expect; a wrong key, value or file is a sentence; no torch, no Hydra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workzone.core.errors import ConfigError
from workzone.phases.check_limits import CheckLimits, limits_names, load_limits

FOLDER = Path(__file__).parents[2] / "src" / "workzone" / "recipes" / "limits"


@pytest.fixture
def written(tmp_path):
    def write(text: str | bytes) -> str:
        path = tmp_path / "mine.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def test_shipped_limits_are_found_and_packed():
    assert limits_names() == sorted(path.stem for path in FOLDER.glob("*.yaml"))
    assert "check" in limits_names()
    assert '"recipes/limits/*.yaml"' in (FOLDER.parents[3] / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", limits_names())
def test_shipped_limits_load_judge_something_and_say_what_to_expect(name):
    limits = load_limits(name)
    assert limits.name == name
    assert limits.mcc is not None
    header = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").partition("name:")[0]
    for word in ("Purpose:", "Command:", "Expected time:", "Expected result:"):
        assert word in header


def test_what_a_file_leaves_out_is_not_judged(written):
    limits = load_limits(written("name: mine\nmcc: {warn: 0.9, fail: 0.8}\nload: {seconds: 1}\n"))
    judged = {k for k in CheckLimits.model_fields if getattr(limits, k) is not None}
    assert judged == {"name", "load", "sampling", "mcc"}
    assert (limits.mcc.warn, limits.mcc.fail, limits.load.seconds) == (0.9, 0.8, 1)
    with pytest.raises(ValueError, match="frozen"):
        limits.mcc = None


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        (
            "name: a\nlatency_p95: {warn: 1, fail: 2}",
            ["unknown key 'latency_p95'", "Did you mean 'latency_p95_ms'?"],
        ),
        ("name: a\nmcc: {wran: 1, fail: 0}", ["unknown key 'mcc.wran'", "Did you mean 'warn'?"]),
        ("name: a\nload: {second: 1}", ["Did you mean 'seconds'?"]),
        ("name: a\nmcc: {warn: 0.5, fail: 0.7}", ["mcc", "fail (0.7) lies above warn (0.5)"]),
        ("name: a\nlatency_p50_ms: {warn: 5, fail: 4}", ["fail (4) lies below warn (5)"]),
        ("name: a\nmcc: {warn: 70, fail: 50}", ["mcc.warn", "less than or equal to 1"]),
        ("name: a\nlatency_p50_ms: {warn: .nan, fail: .inf}", ["latency_p50_ms.warn"]),
        ("name: a\nalpha: 2", ["alpha"]),
        ("mcc: {warn: 0.7, fail: 0.5}", ["name"]),
        ("- name", ["no list of limits"]),
        ("1: 2", ["no list of limits"]),
        ("", ["no list of limits"]),
        ("name: [", ["no YAML"]),
        ("name: !!python/object/apply:os.system ['true']", ["no YAML"]),
        (b"name: \xff", ["cannot be read"]),
        (b"# " + b"x" * (1 << 20), ["larger than 1 MiB"]),
    ],
)
def test_a_wrong_file_is_a_sentence(written, text, fragments):
    with pytest.raises(ConfigError) as error:
        load_limits(written(text))
    for fragment in ["mine.yaml", *fragments]:
        assert fragment in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="There is no recipe file"):
        load_limits(str(tmp_path / "absent.yaml"))
    with pytest.raises(ConfigError, match=r"'chekc'. Did you mean 'check'\?"):
        load_limits("chekc")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_limits(str(tmp_path / "folder.yaml"))


def test_a_check_takes_neither_torch_nor_hydra(tmp_path):
    code = (
        "import sys\nimport workzone.phases.check\nfrom workzone.phases.check_limits import load_limits\n"
        "load_limits()\nprint(sorted({'torch', 'hydra', 'omegaconf', 'lightning', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"
