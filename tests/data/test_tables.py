"""The hash is pinned, and a missing extra is named."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime

from workzone.data.schema import Column
from workzone.data.tables import build_table, content_sha256

COLUMNS = (
    Column("id", "string"),
    Column("at", "timestamp", nullable=True),
    Column("x", "float64"),
    Column("sure", "bool"),
)


def test_hash_is_that_of_the_documented_text():
    """Written out by hand: stored data sets must keep their hashes from one release to the next."""
    table = build_table(
        COLUMNS,
        {"id": ["ü", "a"], "at": [None, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)], "x": [0.1, 2.0]}
        | {"sure": [True, False]},
    )
    text = '{"kind":"test"}\n["id","at","x","sure"]\n["a",1000000,2.0,false]\n["ü",null,0.1,true]\n'
    assert content_sha256({"kind": "test"}, [table]) == hashlib.sha256(text.encode()).hexdigest()


def test_without_pyarrow_the_extra_is_named():
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from workzone.core.errors import MissingExtraError\n"
        "try:\n    import workzone.data.dataset\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'workzone[data]'" in done.stdout
