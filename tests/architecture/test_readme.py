r"""The commands and the Python of README.md and docs/ work as they stand there.

In a block ```console, a line that begins with `$ ` is a command (a `\` at its end joins the next line), and all
else is its output. A comment behind a command may say `# exit 3`; one that begins with `# needs` or `# minutes`
leaves the command to people. Commands run where `runs/demo`, `runs/tiny`, `data/` and `photos/` are copies of a
tiny run's; what renders draws few sequences, and what trains only plans.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from workzone.cli.app import run

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = {"make", "git", "pip", "python", "cd", "cp"}
"""First words of commands that are left to people."""
MOST_SEQUENCES = 48
FEW_SEQUENCES = "12"


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S):
        line = page.read_text(encoding="utf-8")[: match.start()].count("\n") + 1
        yield Block(page.relative_to(ROOT).as_posix(), line, match[1], match[2])


BLOCKS = [block for page in PAGES for block in blocks(page) if block.language in ("console", "python")]


def commands(text: str) -> list[str]:
    joined = text.replace("\\\n", " ")
    return [line[2:].strip() for line in joined.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def place(tiny_run, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("reader")
    for name in ("demo", "tiny"):
        shutil.copytree(tiny_run.run, root / "runs" / name)
    shutil.copytree(tiny_run.data, root / "runs" / "demo" / "data")
    for name in ("streets", "tiny", "city", "photos"):
        shutil.copytree(tiny_run.data, root / "data" / name)
    pictures = sorted((tiny_run.data / "images").rglob("*.jpg"))
    for number, path in enumerate(pictures[:16]):
        label = ("none", "roadwork")[number % 2]
        (root / "photos" / label).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, root / "photos" / label / f"place{number // 4}_{number}.jpg")
    shutil.copyfile(pictures[0], root / "street.jpg")
    return root


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: f"{b.page}:{b.line}")
def test_a_block_works(block: Block, place: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(place)
    if block.language == "python":
        done = subprocess.run([sys.executable, "-c", block.text], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return
    found = commands(block.text)
    assert found, "a console block without a command"
    for command in found:
        check(command, place, capsys)


def check(command: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = re.search(r"\s#\s*(.*)$", command)
    comment = said[1] if said else ""
    words = shlex.split(command, comments=True)
    words[0] = Path(words[0]).name
    if words[0] in NOT_RUN or comment.startswith(("needs", "minutes")):
        return
    assert words[0] == "workzone", f"'{command}': neither a command of ours nor one that is left to people"
    if words[1] == "demo" or ("run" in words[1:2] and "demo" in words):
        return
    expected = re.match(r"exit (\d)", comment)
    arguments = adapted(words[1:], place)
    if {"|", ">", "&&"} & set(arguments):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False,
                              env={**os.environ, "PATH": path})  # fmt: skip
        code, error = done.returncode, done.stderr
    else:
        code = run(arguments)
        error = capsys.readouterr().err
    if arguments[:2] == ["bundle", "recertify"] and expected is None:
        # The tiny run's model is no demo's: it may not certify, or even rank other pictures backwards.
        assert code in (0, 3) or "higher logits do not mean" in error, error
        return
    if "--certificate" in arguments and expected is None:
        # Nor has it a certificate that could be checked; tests/cli/test_certificates.py has bundles that do.
        assert code == 0 or "no certificate to verify" in error, error
        return
    assert code == (int(expected[1]) if expected else 0), f"{command}: {error}"


def adapted(arguments: list[str], place: Path) -> list[str]:
    """Return the arguments of a command, cut down to what a test may cost."""
    out = next((place / b for a, b in pairwise(arguments) if a in ("--out", "-o")), None)
    if arguments[:1] == ["run"]:
        return [*arguments, "--dry-run"]
    if out is not None and out.is_dir():
        shutil.rmtree(out)  # a reader who does this for the first time has none
    if arguments[:2] == ["data", "render"]:
        arguments = [*arguments, "--workers", "1"]
        if "--sequences" not in arguments:
            arguments += ["--sequences", FEW_SEQUENCES]
        at = arguments.index("--sequences") + 1
        if int(arguments[at]) > MOST_SEQUENCES:
            arguments[at] = FEW_SEQUENCES
    return arguments


def test_there_is_something_to_run() -> None:
    assert any(block.page == "README.md" and block.language == "console" for block in BLOCKS)
    assert any(block.language == "python" for block in BLOCKS)


def test_the_tree_in_the_readme_is_the_tree() -> None:
    (tree,) = (
        block for block in blocks(ROOT / "README.md") if block.language == "text" and "src/" in block.text
    )
    named = set(re.findall(r"^  (\w+)/ ", tree.text, re.M))
    packages = {path.name for path in (ROOT / "src" / "workzone").iterdir() if path.is_dir()} - {
        "__pycache__"
    }
    assert named == packages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
