"""The interface in OpenAPI 3.1."""

from importlib.metadata import version
from typing import Any

from fercache.serving.limits import Limits

Json = dict[str, Any]

_NUMBERS: Json = {"type": "array", "items": {"type": "number"}}
_TEXT: Json = {"type": "string"}

_FACE: Json = {
    "type": "object",
    "required": ["expression", "probabilities"],
    "properties": {
        "box": {**_NUMBERS, "minItems": 4, "maxItems": 4, "description": "Left, top, right, bottom, in pixels."},
        "score": {"type": "number", "description": "The detector's score, 0 to 1."},
        "landmarks": {"type": "array", "items": {**_NUMBERS, "minItems": 2, "maxItems": 2}},
        "expression": {**_TEXT, "description": "The most probable expression, or 'unknown'."},
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
    },
}
_IMAGE: Json = {
    "type": "object",
    "required": ["image"],
    "properties": {
        "image": {**_TEXT, "description": "The name that the request gave it."},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "faces": {"type": "array", "items": {"$ref": "#/components/schemas/Face"}, "description": "Largest first."},
        "unreadable": {**_TEXT, "description": "Why there is no result."},
        "warning": _TEXT,
    },
}
_RESULT: Json = {
    "type": "object",
    "required": ["model", "images"],
    "properties": {
        "model": {"type": "object"},
        "images": {"type": "array", "items": {"$ref": "#/components/schemas/Image"}},
    },
}
_ENTRY: Json = {
    "type": "object",
    "required": ["data"],
    "properties": {"name": _TEXT, "data": {**_TEXT, "format": "byte"}},
}
_IMAGES: Json = {
    "type": "object",
    "required": ["images"],
    "properties": {"images": {"type": "array", "minItems": 1, "items": {"oneOf": [_TEXT, _ENTRY]}}},
}
_FORM: Json = {"type": "object", "additionalProperties": {**_TEXT, "format": "binary"}}
_ERROR: Json = {"type": "object", "required": ["error"], "properties": {"error": _TEXT}}
_NAMES: Json = {
    "type": "object",
    "required": ["models", "default"],
    "properties": {"models": {"type": "array", "items": _TEXT}, "default": _TEXT},
}
_HEALTH: Json = {
    "type": "object",
    "required": ["status", "version", "waiting"],
    "properties": {"status": _TEXT, "version": _TEXT, "waiting": {"type": "integer"}},
}
_MODEL: Json = {
    "name": "model",
    "in": "query",
    "description": "One of /models; the default without it.",
    "schema": _TEXT,
}
_REFUSALS = {
    400: "the body is damaged, or holds no image",
    401: "the token is missing or wrong",
    403: "the Host is not of this machine, and there is no token",
    404: "there is no such model",
    408: "the body arrives too slowly",
    413: "too many bytes, images, pixels or faces",
    415: "the body is of another kind",
    429: "too many requests of this client are waiting",
    500: "the model cannot be loaded",
    503: "too many requests are waiting, or the answer takes too long",
}


def description(limits: Limits) -> Json:
    """The OpenAPI document of a server with these limits."""
    about = (
        f"At most {limits.body / 1e6:g} MB, {limits.images} images and {limits.pixels / 1e6:g} megapixels a request, "
        f"and {limits.faces} faces an image. Images are neither stored nor logged."
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "fercache", "version": version("fercache"), "description": about},
        "paths": {
            "/predict": {"post": _predict()},
            "/models": {"get": _reads("The models to choose from", _NAMES, 401)},
            "/model": {"get": {**_reads("A model's card", {"type": "object"}, 401, 404, 500), "parameters": [_MODEL]}},
            "/health": {"get": {**_reads("Whether the server lives", _HEALTH), "security": []}},
        },
        "components": {
            "schemas": {"Face": _FACE, "Image": _IMAGE, "Result": _RESULT, "Error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _predict() -> Json:
    kinds = {"image/*": {}, "application/json": {"schema": _IMAGES}, "multipart/form-data": {"schema": _FORM}}
    result = {"$ref": "#/components/schemas/Result"}
    answers = _reads("Expressions of the faces in images", result, *_REFUSALS)
    answers["responses"]["422"] = _answer("no image is readable", result)
    return {**answers, "parameters": [_MODEL], "requestBody": {"required": True, "content": kinds}}


def _reads(summary: str, schema: Json, *refusals: int) -> Json:
    error = {"$ref": "#/components/schemas/Error"}
    refused = {str(status): _answer(_REFUSALS[status], error) for status in refusals}
    return {"summary": summary, "responses": {"200": _answer(summary, schema), **refused}}


def _answer(text: str, schema: Json) -> Json:
    return {"description": text, "content": {"application/json": {"schema": schema}}}
