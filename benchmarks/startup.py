"""Starting: `workzone --help`, and open a bundle and answer, against `import transformers` (with torch)."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness import REPEATS, Result, compare
from benchmarks.subjects import street_jpegs, tiny_bundle


def _python(*arguments: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def run(repeats: int = REPEATS) -> list[Result]:
    """Compare both with importing the training stack."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = tiny_bundle(Path(folder))
        picture = Path(folder) / "street.jpg"
        picture.write_bytes(street_jpegs(1)[0])
        answer = f"import workzone; workzone.open({str(bundle)!r}).predict({str(picture)!r})"
        return compare(
            "startup",
            ("import torch, transformers", _python("-c", "import torch, transformers.models.dinov3_vit")),
            {
                "workzone --help": _python("-m", "workzone", "--help"),
                "open a bundle and answer": _python("-c", answer),
            },
            repeats=repeats,
            note="each in a fresh interpreter",
        )
