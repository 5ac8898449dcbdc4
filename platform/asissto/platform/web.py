"""The HTTP application around the components' handlers: sign-in, transactions, errors, headers, the access log."""

import re
import time
from collections.abc import AsyncIterator, Sequence
from copy import copy
from typing import Any
from uuid import uuid4

import structlog
from litestar import Litestar, Request
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.enums import ScopeType
from litestar.middleware import DefineMiddleware
from litestar.params import SkipValidation
from litestar.types import ASGIApp, ControllerRouterHandler, Message, Receive, Scope, Send
from sqlalchemy.ext.asyncio import AsyncSession

from asissto.platform.accounts import TenantHooks
from asissto.platform.address_limits import AddressLimits
from asissto.platform.authentication import Authentication, Principal
from asissto.platform.errors import NotSignedIn
from asissto.platform.events import Hub, Topics
from asissto.platform.openapi import openapi_config
from asissto.platform.problems import preferred_language, problem_response
from asissto.platform.services import Services
from asissto.platform.texts import Language

LARGEST_BODY = 1_000_000
"""Bytes of a JSON body; routes that take files have limits of their own."""

STATEMENT_SECONDS = 30.0
"""Of one statement of a request; nobody waits for a minute."""

UNCOMPRESSED = "uncompressed"
"""In the `opt` of a route whose content is packed already, or is to go out piece by piece."""

PAGE_ORIGIN = "page_origin"
"""In the `state` of a request: the page of another site that may read the answer, put there by the route's guard."""

STYLE_NONCE = "style_nonce"
"""In the `state` of a request for a page whose scripts make style elements: the mark by which they are known."""

FRAMED_BY = "framed_by"
"""In the `state` of a request for a page that pages of other sites may show in a frame: their origins."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors {frames}"
)
_SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
}
_STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
"""Where customers reach the server by HTTPS: a browser that was here never speaks plain HTTP to it again."""

_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"Authorization, Content-Type, Last-Event-ID"),
    (b"access-control-max-age", b"600"),
]
"""What a page of another site may send, once it may send anything at all."""

log = structlog.get_logger()


def compile_app(handlers: Sequence[ControllerRouterHandler]) -> Litestar:
    """The handlers without what they work with, which takes 2 ms a route and 0.3 s for all of them.

    Every handler may take `services`, `principal`, `session`, `language`, `tenant_hooks` and `hub`.
    """
    return Litestar(
        route_handlers=handlers,
        dependencies={
            "services": Provide(provide_services, sync_to_thread=False),
            "tenant_hooks": Provide(provide_tenant_hooks, sync_to_thread=False),
            "hub": Provide(provide_hub, sync_to_thread=False),
            "principal": Provide(provide_principal, sync_to_thread=False),
            "language": Provide(provide_language, sync_to_thread=False),
            "session": Provide(provide_session),
        },
        middleware=[DefineMiddleware(Authentication)],
        exception_handlers={Exception: problem_response},
        openapi_config=openapi_config(),
        compression_config=CompressionConfig(backend="gzip", minimum_size=1_000, exclude_opt_key=UNCOMPRESSED),
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
        debug=False,
    )


def open_app(
    compiled: Litestar, services: Services, tenant_hooks: TenantHooks = (), topics: Topics | None = None
) -> Litestar:
    """An application of its own: others made of the same `compiled` see nothing of its services and its hub."""
    app = copy(compiled)
    services = services.impatient(STATEMENT_SECONDS)
    hub = Hub(services.database, topics or {})
    limits = AddressLimits(services.settings)
    held = {"services": services, "tenant_hooks": tenant_hooks, "hub": hub, "limits": limits}
    app.state = State(held, deep_copy=False)
    app.asgi_handler = _Envelope(
        compiled.asgi_handler, is_https=(services.settings.public_url or "").startswith("https:")
    )
    return app


def provide_services(request: Request[Any, Any, Any]) -> Services:
    services: Services = request.app.state.services
    return services


def provide_tenant_hooks(request: Request[Any, Any, Any]) -> TenantHooks:
    hooks: TenantHooks = request.app.state.tenant_hooks
    return hooks


def provide_hub(request: Request[Any, Any, Any]) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def provide_principal(request: Request[Any, Any, Any]) -> Principal:
    principal = request.scope.get("user")
    if not isinstance(principal, Principal):
        raise NotSignedIn
    return principal


def provide_language(request: Request[Any, Any, Any]) -> Language:
    """That of the caller, by the Accept-Language header."""
    return preferred_language(request.headers.get("accept-language"))


async def provide_session(
    services: SkipValidation[NamedDependency[Services]], principal: NamedDependency[Principal]
) -> AsyncIterator[AsyncSession]:
    """The request's transaction: Litestar winds it up, and so commits it, before it sends the response."""
    async with services.database.tenant(principal.tenant_id) as session:
        yield session


class _Envelope:
    """Around everything, also around what no route answers: request id, security headers, one line in the log."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._always = list(_SECURITY_HEADERS.items()) + ([_STRICT_TRANSPORT] if is_https else [])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            return await self._app(scope, receive, send)
        request_id = scope["state"]["request_id"] = _request_id(scope)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *self._always, *_headers(scope, request_id)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            ms = round((time.perf_counter() - started) * 1000, 1)
            # The template and not the path: ids and names stay out of the log.
            log.info("request", method=scope["method"], path=scope.get("path_template", "-"), status=status, ms=ms)


def _request_id(scope: Scope) -> str:
    sent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    return sent if _REQUEST_ID.fullmatch(sent) else uuid4().hex


def _headers(scope: Scope, request_id: str) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-request-id", request_id.encode()), *_policy(scope["state"])]
    if scope["path"].startswith("/api/"):
        headers.append((b"cache-control", b"no-store"))
    if origin := scope["state"].get(PAGE_ORIGIN):
        headers += [(b"access-control-allow-origin", origin.encode()), (b"vary", b"Origin")]
        headers.append((b"access-control-expose-headers", b"Retry-After, X-Request-ID"))
        if scope.get("method") == "OPTIONS":
            headers += _PREFLIGHT
    return headers


def _policy(state: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """The older header knows no origins, so that it stands only where there is to be no frame at all."""
    nonce, frames = state.get(STYLE_NONCE), state.get(FRAMED_BY)
    policy = _POLICY.format(frames=" ".join(frames) if frames else "'none'")
    policy += f"; style-src 'self' 'nonce-{nonce}'" if nonce else ""
    headers = [(b"content-security-policy", policy.encode())]
    return headers if frames else [*headers, (b"x-frame-options", b"DENY")]
