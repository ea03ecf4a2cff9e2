"""A server as it is written in an afternoon: FastAPI, and the model called for each request in the thread pool."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import Body, FastAPI

from workzone.engine.predictor import open_predictor


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--http", default="auto", help="as uvicorn names it: h11, or auto, its default")
    arguments = parser.parse_args()
    predictor = open_predictor(arguments.bundle, threads=1)
    predictor.predict(predictor.bundle.golden.pictures[0])
    app = FastAPI()

    @app.post("/predict")
    def predict(data: Annotated[bytes, Body(media_type="image/jpeg")]) -> dict[str, float | str]:
        answer = predictor.predict(data, "picture")
        return {"probability": answer.probability, "verdict": answer.verdict.value}

    loop = "asyncio" if arguments.http == "h11" else "auto"
    uvicorn.run(
        app, port=arguments.port, http=arguments.http, loop=loop, access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
