"""The description of the API, OpenAPI 3.1 as JSON; no page that would load its scripts from elsewhere."""

import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Litestar, Request, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.routes import HTTPRoute

from asissto.platform.authentication import ACCESS_COOKIE
from asissto.platform.errors import NotFound
from asissto.platform.permissions import Need, Permission, holders, is_open, open_to_all
from asissto.platform.problems import MEDIA_TYPE, Problem

ADDRESS = "/api/v1/openapi.json"
_BEARER = SecurityScheme(type="http", scheme="bearer", description="An access token, or an API key (`ast_…`).")
_COOKIE = SecurityScheme(type="apiKey", name=ACCESS_COOKIE, security_scheme_in="cookie")


def openapi_config() -> OpenAPIConfig:
    router = Router(
        ADDRESS, route_handlers=[], guards=[open_to_all], include_in_schema=False, before_request=_refuse_other_pages
    )
    return OpenAPIConfig(
        title="Asissto",
        version=version("asissto"),
        components=Components(security_schemes={"bearer": _BEARER, "cookie": _COOKIE}),
        security=[{"bearer": []}, {"cookie": []}],
        render_plugins=[_Description(path=["/", "/openapi.json"])],
        openapi_router=router,
    )


def describe(app: Litestar) -> bytes:
    """As the address gives it."""
    return _encode(app.openapi_schema.to_schema(), app)


class _Description(JsonRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return _encode(openapi_schema, request.app)


def _encode(schema: dict[str, Any], app: Litestar) -> bytes:
    description = msgspec.json.encode(_with_problems(schema, _operations(app)))
    return re.sub(rb"Page_[\w.]+\.(\w+)_", rb"\1Page", description)


def _with_problems(description: dict[str, Any], handlers: dict[str, HTTPRouteHandler]) -> dict[str, Any]:
    """Litestar describes errors of its own shape, and does not know who may call what."""
    _, schemas = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    description["components"]["schemas"] |= schemas
    for path, operations in description["paths"].items():
        for operation in operations.values():
            handler = handlers[operation["operationId"]]
            errors = {"400": "Malformed", "default": "Any other error"}
            if "{" in path:
                errors["404"] = "Not found"
            if is_open(handler):
                operation["security"] = []
            else:
                permission = next(_permissions(handler))
                operation["x-permission"], operation["x-roles"] = permission, holders(permission)
                operation["description"] = _with_roles(operation.get("description"), permission)
                errors |= {"401": "Not signed in", "403": "Not permitted"}
            operation["responses"] |= {status: _problem(text) for status, text in sorted(errors.items())}
    return description


def _problem(description: str) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "content": content}


def _operations(app: Litestar) -> dict[str, HTTPRouteHandler]:
    handlers = (handler for route in app.routes if isinstance(route, HTTPRoute) for handler in route.route_handlers)
    return {handler.operation_id: handler for handler in handlers if isinstance(handler.operation_id, str)}


def _with_roles(description: str | None, permission: Permission) -> str:
    needed = f"Needs `{permission}`: {', '.join(holders(permission))}."
    return f"{description}\n\n{needed}" if description else needed


def _permissions(handler: HTTPRouteHandler) -> Iterator[Permission]:
    return (guard.permission for guard in handler.resolve_guards() if isinstance(guard, Need))


async def _refuse_other_pages(request: Request[Any, Any, Any]) -> None:
    """Litestar adds pages of its own below the address, among them one for what is not found."""
    if request.scope["path"].rstrip("/") != ADDRESS:
        raise NotFound(kind="address")
