"""The end of a process whose model still runs: without a word from the runtime's destructors.

Knows the inference thread's name; does not know why it hangs. When the interpreter ends while the runtime computes in
a daemon thread, the runtime's statics are destroyed under it and the process dies of SIGABRT (seen with ONNX Runtime),
whatever its exit code was to be: a core dump for nothing, and a stop that was asked for looks like a crash.
"""

from __future__ import annotations

import os
import sys
import threading

__all__ = ["end_if_hung"]

_THREAD = "inference"
_PATIENCE_S = 1.0


def end_if_hung(code: int) -> None:
    """End the process at once with `code` if an inference still runs; else return.

    Call it last: logs and journal must be closed. Standard streams are flushed, nothing else is.
    """
    for thread in threading.enumerate():
        if thread.daemon and thread.name == _THREAD:
            thread.join(_PATIENCE_S)  # one that was told to end, and does
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
