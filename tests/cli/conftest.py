"""Commands, run in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from workzone.cli.app import run


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def sentence(self, *fragments: str) -> str:
        """Return the one error on standard error, which must be one paragraph with these fragments."""
        assert self.out == ""
        errors = [line for line in self.err.splitlines() if not line.startswith("note ")]
        assert len(errors) == 1, self.err
        assert errors[0].startswith("error ")
        assert "Traceback" not in self.err
        assert 20 < len(errors[0]) < 1500
        for fragment in fragments:
            assert fragment in errors[0]
        return errors[0]


Invoke = Callable[..., Said]


@pytest.fixture
def invoke(capsys: pytest.CaptureFixture[str]) -> Invoke:
    def call(*arguments: object) -> Said:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(int(code), captured.out, captured.err)

    return call
