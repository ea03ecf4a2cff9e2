"""The API's description: complete, and its examples true."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from workzone.serving.http import schemas

ERRORS = {"400", "401", "403", "413", "415", "422", "429", "503", "504"}
MODELS = [
    value for value in vars(schemas).values()
    if isinstance(value, type) and issubclass(value, BaseModel) and "json_schema_extra" in value.model_config
]  # fmt: skip


@pytest.fixture
def described(bench) -> Any:
    reply = bench.call("GET", "/openapi.json")
    assert reply.status == 200
    return reply.json()


def test_every_stated_error_is_described(described) -> None:
    predict = described["paths"]["/v1/predict"]["post"]
    assert set(predict["responses"]) >= ERRORS
    for code in ERRORS:
        schema = predict["responses"][code]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorReply"}
    assert set(described["paths"]) == {
        "/v1/predict", "/v1/model", "/v1/pictures/{sha256}", "/livez", "/readyz", "/startupz",
    }  # fmt: skip


def test_every_reference_leads_somewhere(described) -> None:
    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if (target := value.get("$ref")) is not None:
                node: Any = described
                for step in target.removeprefix("#/").split("/"):
                    node = node[step]
            for child in value.values():
                walk(child)
        elif isinstance(value, list):
            for child in value:
                walk(child)

    walk(described)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_examples_are_what_their_model_allows(model) -> None:
    for example in model.model_config["json_schema_extra"]["examples"]:
        read = model.model_validate(example)
        again = read.model_dump(mode="json", exclude_none=True)
        assert {**example, **again} == again, "the example has keys or values that are not the model's"


def test_there_are_examples_of_what_is_sent_and_answered(described) -> None:
    assert {"PictureJson", "PicturesJson", "PredictReply", "ErrorReply", "ModelReply"} <= {
        m.__name__ for m in MODELS
    }
    body = described["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    assert schemas.PictureJson.model_validate(body["application/json"]["examples"]["one"]["value"])
    assert schemas.PicturesJson.model_validate(body["application/json"]["examples"]["many"]["value"])
    assert {"image/jpeg", "multipart/form-data", "application/json", "application/octet-stream"} <= set(body)


def test_the_examples_are_answered(bench) -> None:
    assert bench.json(schemas.ONE_EXAMPLE).status == 200
    assert bench.json(schemas.MANY_EXAMPLE).status == 200


def test_nothing_is_loaded_from_elsewhere(bench) -> None:
    assert bench.call("GET", "/docs").status == 404
    assert bench.call("GET", "/redoc").status == 404
