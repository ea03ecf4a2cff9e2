"""LitServe with the same decoding, preprocessing, runtime and threads.

As its documentation and its own benchmark advise: batching (`max_batch_size`, `batch_timeout`), pictures of a batch
prepared together in `batch`, `fast_queue`, a single worker because there is a single core. Two things are better than
documented: pictures come as raw bytes, not as base64 in JSON, and which batch size is taken is measured.
"""

# No `from __future__ import annotations`: LitServe hands the annotation of `decode_request` to FastAPI as it finds it.
import argparse
from pathlib import Path
from typing import Annotated, Any

import litserve
import numpy as np
from fastapi import Body

from workzone.engine.predictor import open_verified
from workzone.engine.scorer import run_fitted

Raw = Annotated[bytes, Body(media_type="image/jpeg")]


class PredictApi(litserve.LitAPI):
    """One bundle."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(**options)
        self.folder = folder

    def setup(self, device: str) -> None:
        """Open the bundle in the worker."""
        self.opened, self.backend = open_verified(self.folder, threads=1)

    def decode_request(self, request: Raw) -> Any:
        """Decode and fit a picture."""
        return self.opened.preprocessing.load(request)

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Keep pictures apart: `run_fitted` joins them."""
        return inputs

    def predict(self, x: Any) -> Any:
        """Run one picture or a batch."""
        fitted = x if isinstance(x, list) else [x]
        output = run_fitted(self.backend, self.opened.preprocessing, fitted)
        logits = output.logits.astype(np.float64)
        verdicts = self.opened.policy.verdicts(logits, output.features)
        answers = list(zip(self.opened.calibrator.apply(logits), verdicts, strict=True))
        return answers if isinstance(x, list) else answers[0]

    def unbatch(self, output: list[Any]) -> list[Any]:
        """Give each request its own."""
        return output

    def encode_response(self, output: Any) -> Any:
        """Make JSON of it."""
        return {"probability": float(output[0]), "verdict": output[1].value}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--max-batch", type=int, default=1)
    parser.add_argument("--batch-timeout", type=float, default=0.0)
    arguments = parser.parse_args()
    api = PredictApi(
        arguments.bundle, max_batch_size=arguments.max_batch, batch_timeout=arguments.batch_timeout
    )
    server = litserve.LitServer(
        api, accelerator="cpu", devices=1, workers_per_device=1, timeout=False, fast_queue=True
    )
    server.run(
        host="127.0.0.1", port=arguments.port, num_api_servers=1, log_level="warning", generate_client_file=False,
        access_log=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
