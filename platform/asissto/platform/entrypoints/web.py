"""The web application with the handlers of every component."""

import sys
from functools import cache
from typing import Any

import msgspec
from litestar import Litestar
from litestar.types import ControllerRouterHandler

from asissto.channels import routes as channels
from asissto.channels.events import TOPICS as CHANNELS
from asissto.ingestion import routes as ingestion
from asissto.ingestion.events import TOPICS as DOCUMENTS
from asissto.platform import routes as platform
from asissto.platform.billing import TOPICS as BILLING
from asissto.platform.commissions import pay_partners
from asissto.platform.entrypoints.workspace import TENANT_HOOKS
from asissto.platform.openapi import describe
from asissto.platform.services import Services
from asissto.platform.web import compile_app, open_app
from asissto.retrieval import routes as retrieval
from asissto.retrieval.events import TOPICS as RUNS
from asissto.retrieval.shown_conversations import TOPICS as CONVERSATIONS

HANDLERS: list[ControllerRouterHandler] = [
    *platform.HANDLERS,
    *ingestion.HANDLERS,
    *retrieval.HANDLERS,
    *channels.HANDLERS,
]


TOPICS = {**DOCUMENTS, **RUNS, **CONVERSATIONS, **CHANNELS, **BILLING}


_PROSE = ("description", "summary", "deprecated", "tags", "security", "x-permission", "x-roles")
_NO_TYPES = ("default", "title", "description", "examples")
"""Keys of a schema that no type is made of; Litestar gives some of them to one schema or to another, by chance."""


def build_app(services: Services) -> Litestar:
    pay_partners()
    return open_app(_compiled(), services, TENANT_HOOKS, TOPICS)


@cache
def _compiled() -> Litestar:
    return compile_app(HANDLERS)


def client_description() -> str:
    """What the types of the console are made of: the API without its prose, each error once for all of them."""
    told: dict[str, Any] = msgspec.json.decode(describe(_compiled()))
    for operations in told["paths"].values():
        for operation in operations.values():
            for prose in _PROSE:
                operation.pop(prose, None)
            operation.get("parameters", []).sort(key=lambda parameter: (parameter["in"], parameter["name"]))
            operation["responses"] = {
                status: {**response, "headers": {}, "description": ""}
                for status, response in operation["responses"].items()
                if status.startswith("2") or status == "default"
            }
    paths, schemas = _only_types(told["paths"]), {name: _only_types(each) for name, each in _schemas(told).items()}
    kept = {**told, "paths": paths, "components": {"schemas": schemas}, "security": []}
    return msgspec.json.format(msgspec.json.encode(kept, order="sorted"), indent=1).decode() + "\n"


def _schemas(told: dict[str, Any]) -> dict[str, Any]:
    schemas: dict[str, Any] = told["components"]["schemas"]
    return schemas


def _only_types(schema: Any) -> Any:
    """The names of properties and of statuses are no keys of a schema."""
    if isinstance(schema, list):
        return [_only_types(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    named = {"properties", "responses"} & schema.keys()
    return {
        key: {name: _only_types(each) for name, each in value.items()} if key in named else _only_types(value)
        for key, value in schema.items()
        if key not in _NO_TYPES or key in named
    }


if __name__ == "__main__":
    sys.stdout.write(client_description())
