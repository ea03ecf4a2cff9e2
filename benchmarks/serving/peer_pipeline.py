"""The quickest way to write a server: a `transformers` pipeline called inside an async handler.

It holds the event loop while it computes, as such servers do.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from transformers import AutoModelForImageClassification, pipeline
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    classify: Any = pipeline(
        "image-classification",
        model=AutoModelForImageClassification.from_pretrained(arguments.model, local_files_only=True).eval(),
        image_processor=ViTImageProcessorPil.from_pretrained(arguments.model, local_files_only=True),
        device="cpu",
    )
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, float]:
        image = Image.open(io.BytesIO(await request.body()))
        return {"probability": classify(image)[0]["score"]}

    uvicorn.run(app, port=arguments.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
