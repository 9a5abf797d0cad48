"""The description fits what the server answers."""

import json
import re
from typing import Any

import pytest

from fercache.serving.app import Service, application
from fercache.serving.batching import Batcher
from fercache.serving.limits import Limits
from fercache.serving.models import Models
from fercache.serving.openapi import description
from tests.serving.served import FakePredictor, image_file, served

FOUND = description(Limits())


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether JSON fits a schema, as far as ours go."""
    if name := schema.get("$ref"):
        return fits(value, FOUND["components"]["schemas"][name.rpartition("/")[2]])
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": int | float}
    if not isinstance(value, kinds[schema["type"]]):
        return False
    if schema["type"] == "array":
        return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)) and all(
            fits(each, schema["items"]) for each in value
        )
    if schema["type"] == "object":
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        named = all(name in value for name in schema.get("required", ()))
        schemas = ((each, known.get(name, rest)) for name, each in value.items())
        return named and all(inner is None or fits(each, inner) for each, inner in schemas)
    return True


def schema_of(path: str, method: str, status: int) -> dict[str, Any]:
    answer = FOUND["paths"][path][method]["responses"][str(status)]
    schema: dict[str, Any] = answer["content"]["application/json"]["schema"]
    return schema


def test_every_reference_has_a_target() -> None:
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(FOUND)))
    assert references == FOUND["components"]["schemas"].keys()


def test_every_path_of_the_interface_is_described() -> None:
    batcher = Batcher()
    routes = application(Service(Models(["fake"], lambda _: FakePredictor()), batcher, Limits())).routes
    batcher.close()
    paths = {route.path for route in routes}  # type: ignore[attr-defined]
    assert paths - {"/", "/page.css", "/page.js", "/openapi.json"} == FOUND["paths"].keys()


@pytest.mark.parametrize("path", ["/models", "/health"])
def test_answers_fit(path: str) -> None:
    with served(FakePredictor()) as client:
        assert client.get("/openapi.json").json == FOUND
        assert fits(client.get(path).json, schema_of(path, "get", 200))


def test_results_and_refusals_fit() -> None:
    with served(FakePredictor(faces=2)) as client:
        for body, kind, status in ((image_file(), "image/png", 200), (b"x", "image/png", 422), (b"", "", 400)):
            answer = client.post(body, kind)
            assert answer.status == status and fits(answer.json, schema_of("/predict", "post", status))


def test_a_wrong_answer_does_not_fit() -> None:
    schema = schema_of("/predict", "post", 200)
    wrong = ({}, {"model": "a", "images": []}, {"model": {}, "images": [{}]}, {"model": {}, "images": [1]})
    assert not any(fits(each, schema) for each in wrong)
