"""The description of the API, OpenAPI 3.1 as JSON; no page that would load its scripts from elsewhere."""

import re
from collections import Counter
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

MEDIA_TYPES = "media_types"
"""In the `opt` of a route: of which kinds its content may be, where its signature does not tell; `*/*` is any."""

PROBLEM_PAGES = "problem_pages"
"""In the `opt` of a route that shows people a page also where something is wrong."""
_JSON, _EMPTY = "application/json", ("204", "304")
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


class _Description(JsonRenderPlugin):
    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        description = msgspec.json.encode(_with_problems(openapi_schema, _operations(request.app)))
        return _short_names(description)


def _short_names(description: bytes) -> bytes:
    """`AnswerOutPage` for a page of `AnswerOut`; where two components have one of a name, it begins with theirs."""
    pages = set(re.findall(rb"Page_asissto\.(\w+)\.[\w.]*?(\w+)_(?=\")", description))
    often = Counter(item for _, item in pages)

    def short(found: re.Match[bytes]) -> bytes:
        component, item = found.groups()
        return b"%s%sPage" % (component.title() if often[item] > 1 else b"", item)

    return re.sub(rb"Page_asissto\.(\w+)\.[\w.]*?(\w+)_(?=\")", short, description)


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
            _describe_content(operation["responses"], handler)
            problems = {status: _problem(text) for status, text in sorted(errors.items())}
            if PROBLEM_PAGES in handler.opt:
                for problem in problems.values():
                    problem["content"] |= _content(("text/html",))
            operation["responses"] |= problems
    _close_inputs(description)
    return description


def _close_inputs(description: dict[str, Any]) -> None:
    """Litestar does not say that a body with a field nobody knows is refused."""
    schemas: dict[str, Any] = description["components"]["schemas"]
    closed = {each.__name__ for each in _structs(msgspec.Struct) if each.__struct_config__.forbid_unknown_fields}
    operations = (each for path in description["paths"].values() for each in path.values())
    names, seen = [name for each in operations for name in _names_in(each.get("requestBody"))], set[str]()
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen.add(name)
        names += _names_in(schemas[name])
        if name.rpartition("_")[2] in closed and schemas[name].get("type") == "object":
            schemas[name]["additionalProperties"] = False


def _structs(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for each in kind.__subclasses__():
        yield each
        yield from _structs(each)


def _names_in(schema: Any) -> list[str]:
    """Of the components that it refers to."""
    return [found.decode() for found in re.findall(rb'"#/components/schemas/([^"]+)"', msgspec.json.encode(schema))]


def _problem(description: str) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "content": content}


def _describe_content(responses: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Litestar takes what is streamed for JSON, and nothing for `null`."""
    for status, response in responses.items():
        if status in _EMPTY:
            response.pop("content", None)
        elif status.startswith("2") and MEDIA_TYPES in handler.opt:
            kinds: tuple[str, ...] = handler.opt[MEDIA_TYPES]
            known = response.get("content", {})
            response["content"] = _content(kinds) | {kind: known[kind] for kind in kinds if kind == _JSON}


def _content(kinds: tuple[str, ...]) -> dict[str, Any]:
    return {kind: {"schema": {"type": "string"}} for kind in kinds}


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
