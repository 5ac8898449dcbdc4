"""The official description of the Telegram Bot API, to which calls and updates are held."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

SPEC = Path(__file__).resolve().parents[2] / "shared" / "specs" / "telegram_bot_api.json"


@cache
def spec() -> dict[str, Any] | None:
    """None where the file is not here."""
    return json.loads(SPEC.read_text(encoding="utf-8")) if SPEC.exists() else None


def wrong_call(method: str, given: Mapping[str, str]) -> list[str]:
    """What the description has against a call, whose parameters are text as in a form; [] if it is right."""
    known = spec()
    if known is None:
        return []
    if method not in known["methods"]:
        return [f"{method}: no such method"]
    fields = {field["name"]: field for field in known["methods"][method].get("fields", [])}
    missing = [f"{method}: no {name}" for name, field in fields.items() if field["required"] and name not in given]
    unknown = [f"{method}: unknown {name}" for name in given if name not in fields]
    known_ones = {name: value for name, value in given.items() if name in fields}
    wrong = [
        f"{method}.{name}: {value!r} is not {' or '.join(fields[name]['types'])}"
        for name, value in known_ones.items()
        if not any(_form_value_is(kind, value) for kind in fields[name]["types"])
    ]
    return [*missing, *unknown, *wrong]


def wrong_object(kind: str, value: Mapping[str, Any]) -> list[str]:
    """What the description has against an object that Telegram sends."""
    return [] if spec() is None else list(_problems(kind, value, kind))


def _form_value_is(kind: str, value: str) -> bool:
    if kind == "String":
        return True
    if kind == "Integer":
        return re.fullmatch(r"-?\d+", value) is not None
    if kind == "Boolean":
        return value in {"true", "false", "True", "False", "0", "1"}
    try:
        return not list(_problems(kind, json.loads(value), kind))
    except json.JSONDecodeError:
        return False


def _problems(kind: str, value: Any, where: str) -> Iterator[str]:
    if kind.startswith("Array of "):
        items = value if isinstance(value, list) else []
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no array"
        for number, item in enumerate(items):
            yield from _problems(kind.removeprefix("Array of "), item, f"{where}[{number}]")
    elif kind in {"String", "Integer", "Float", "Boolean"}:
        expected = {"String": str, "Integer": int, "Float": (int, float), "Boolean": bool}[kind]
        if not isinstance(value, expected) or (kind != "Boolean" and isinstance(value, bool)):  # type: ignore[arg-type]
            yield f"{where}: {value!r} is not {kind}"
    elif isinstance(value, dict):
        yield from _object_problems(kind, value, where)
    else:
        yield f"{where}: {value!r} is not {kind}"


def _object_problems(kind: str, value: Mapping[str, Any], where: str) -> Iterator[str]:
    known = spec()
    assert known is not None
    described = known["types"][kind]
    if subtypes := described.get("subtypes"):
        if all(any(_object_problems(subtype, value, where)) for subtype in subtypes):
            yield f"{where}: none of {subtypes}"
        return
    fields = {field["name"]: field for field in described.get("fields", [])}
    yield from (f"{where}: no {name}" for name, field in fields.items() if field["required"] and name not in value)
    for name, item in value.items():
        kinds = fields[name]["types"] if name in fields else []
        found = [list(_problems(one, item, f"{where}.{name}")) for one in kinds]
        if not found:
            yield f"{where}: unknown {name}"
        elif all(found):
            yield from found[0]
