"""What of an event breaks VK's own schema of the Callback API."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from prism_server import spec

Schema = dict[str, Any]
_KINDS: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def faults_of(update: dict[str, Any], what: str) -> list[str]:
    """Of the envelope and of its `object`, which is to be a `what`, such as `callback_message_new`."""
    envelope = {"$ref": "../callback/objects.json#/definitions/callback_base"}
    inner = {"$ref": f"../callback/objects.json#/definitions/{what}"}
    return [*_faults(update, envelope, "update"), *_faults(update["object"], inner, "object")]


def faults_of_answer(value: object, what: str) -> list[str]:
    """Of what a method returns, which is to be a `what`, such as `users_objects_users_user_full`."""
    return [*_faults(value, _definition("", what), what)]


def _faults(value: Any, schema: Schema, at: str) -> Iterator[str]:
    schema = _resolved(schema)
    for part in schema.get("allOf", []):
        yield from _faults(value, part, at)
    if any(key in schema for key in ("anyOf", "oneOf")):
        choices = [*schema.get("anyOf", []), *schema.get("oneOf", [])]
        if all(list(_faults(value, choice, at)) for choice in choices):
            yield f"{at}: is none of the choices"
    kinds = schema.get("type", [])
    wanted = [kinds] if isinstance(kinds, str) else kinds
    is_other = isinstance(value, bool) and "boolean" not in wanted
    if wanted and (is_other or not any(isinstance(value, _KINDS[kind]) for kind in wanted)):
        yield f"{at}: {value!r} is not {kinds}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is not allowed"
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{at}: {value} is out of range"
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _faults(item, schema.get("items", {}), f"{at}[{number}]")
    if isinstance(value, dict):
        yield from _faults_of_fields(value, schema, at)


def _faults_of_fields(value: dict[str, Any], schema: Schema, at: str) -> Iterator[str]:
    """VK's own files mark a required field at the field, those made from them in a list."""
    listed = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        if name in value:
            yield from _faults(
                value[name], {key: part for key, part in field.items() if key != "required"}, f"{at}.{name}"
            )
        elif name in listed or field.get("required") is True:
            yield f"{at}.{name}: is missing"


def _resolved(schema: Schema) -> Schema:
    while "$ref" in schema:
        file, _, name = schema["$ref"].partition("#/")
        schema = {**{k: v for k, v in schema.items() if k != "$ref"}, **_definition(file, name.rsplit("/", 1)[-1])}
    return schema


def _definition(file: str, name: str) -> Schema:
    """Objects outside of the Callback API are in the description of the methods."""
    if "callback/" in file:
        return dict(_callback()[name])
    known = name if not file else f"{file.split('/')[1]}_objects_{name}"
    return dict(_methods().get(known, {}))


@cache
def _callback() -> dict[str, Schema]:
    return dict(json.loads(spec("vk_callback/objects.json").read_bytes())["definitions"])


@cache
def _methods() -> dict[str, Schema]:
    return dict(json.loads(spec("vk_openapi.json").read_bytes())["components"]["schemas"])
