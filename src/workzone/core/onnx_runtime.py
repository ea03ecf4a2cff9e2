"""ONNX Runtime, silenced: the one place that imports it, and only where a network is run.

Knows the variable that silences it; does not know sessions. Since 1.31, importing ONNX Runtime writes an identity of
the device and a database of events below the user's cache, and sends events to Microsoft; its own
`disable_telemetry_events()` can be called only after that. Where the user has set `ORT_DISABLE_TELEMETRY`, that
stands: 0 lets it report.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the next line runs

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

__all__ = ["ort", "ort_state"]
