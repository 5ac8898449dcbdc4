"""Errors as people and programs read them: application/problem+json (RFC 9457), in the language of the request."""

import re
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.exc import DBAPIError

from asissto.platform.errors import (
    AsisstoError,
    Conflict,
    InvalidInput,
    MalformedJson,
    MethodNotAllowed,
    NotFound,
    NotReady,
    TooLarge,
    TooManyRequests,
)
from asissto.platform.texts import Language, Phrase, known_language

MEDIA_TYPE = "application/problem+json"
_INVALID_TEXT, _UNIQUE_VIOLATION = "22", "23505"
_TOO_LARGE_NUMBER = "value out of int"
"""The driver's words for a number in an address that no column could hold."""

log = structlog.get_logger()


class Problem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`code` is stable; `detail` says in the caller's language what to do; `field` is the path of what is wrong."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    field: str | None = None


def problem_response(request: Request[Any, Any, Any], raised: Exception) -> Response[Problem]:
    """The one handler of all exceptions; what nobody foresaw is logged with its traceback and never shown."""
    error = translate(request, raised)
    if error is None:
        log.error("unexpected", exc_info=raised)
        error = AsisstoError()
    problem = Problem(
        type="about:blank",
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        code=error.code,
        detail=error.sentence(preferred_language(request.headers.get("accept-language"))),
        field=error.field,
        request_id=request.scope["state"].get("request_id", ""),
    )
    return Response(problem, status_code=error.status, media_type=MEDIA_TYPE, headers=_headers(error, raised))


def preferred_language(accept: str | None) -> Language:
    """Russian where the Accept-Language header prefers it to English, else English."""
    best, language = 0.0, "en"
    for part in (accept or "").split(","):
        tag, _, weight = part.strip().partition(";q=")
        name = tag.lower().split("-")[0]
        quality = _quality(weight)
        if name in ("ru", "en") and quality > best:
            best, language = quality, name
    return known_language(language)


def translate(request: Request[Any, Any, Any], raised: Exception) -> AsisstoError | None:
    """The error of our tree behind an exception of the framework or the database, or None."""
    # Litestar wraps what a dependency raises while it winds up for another error.
    while isinstance(raised, ExceptionGroup) and isinstance(raised.exceptions[0], Exception):
        raised = raised.exceptions[0]
    if isinstance(raised, AsisstoError):
        return raised
    if isinstance(raised, HTTPException):
        return _from_framework(request, raised)
    if isinstance(raised, DBAPIError):
        return _from_database(raised)
    # msgspec's way to refuse brackets that are nested too deep.
    return MalformedJson() if isinstance(raised, RecursionError) else None


def _from_framework(request: Request[Any, Any, Any], raised: HTTPException) -> AsisstoError | None:
    if isinstance(raised.__cause__, SerializationException):
        return MalformedJson()
    if isinstance(raised, ValidationException) or _is_about_body(raised.__cause__):
        return from_validation(_words_of(raised))
    errors = {
        HTTPStatus.NOT_FOUND: NotFound(kind="address"),
        HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed(),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLarge(limit=_body_limit(request)),
        HTTPStatus.BAD_REQUEST: InvalidInput(field="request", detail=Phrase("invalid.form")),
    }
    return errors.get(HTTPStatus(raised.status_code))


def _words_of(raised: HTTPException) -> str:
    """Where a parameter of a dependency is wrong, the cause is a group that holds the exception itself."""
    if isinstance(raised.__cause__, ExceptionGroup) and isinstance(raised.extra, list) and raised.extra:
        return f"{raised.extra[0].get('message')} - at `$.{raised.extra[0].get('key')}`"
    return str(raised.__cause__ or raised.detail)


def _is_about_body(cause: BaseException | None) -> bool:
    """Litestar takes a field of the body for a dependency of the same name, and its error for one of ours."""
    return isinstance(cause, msgspec.ValidationError) and "`$.data" in str(cause)


def from_validation(message: str, under: str = "") -> InvalidInput:
    """From msgspec's English prose, such as "Expected `int` >= 1 - at `$.data.items[0].size`"; `under` leads there."""
    path = re.search(r"`\$\.(?:data\b\.?)?([^`]*)`$", message)
    name = re.search(r"(?:field|parameter) [`']([^`']+)[`']", message)
    parts = [found[1] for found in (path, name) if found and found[1] not in ("", "data")]
    return InvalidInput(field=f"{under}{'.'.join(parts)}".strip(".") or "body", detail=_what_is_wrong(message))


_MESSAGES = (
    (r"[Mm]issing required|got `null`|got `UnsetType`", "invalid.missing"),
    (r"unknown field", "invalid.unknown"),
    (r"length >= (?P<limit>\d+)", "invalid.too_short"),
    (r"length <= (?P<limit>\d+)", "invalid.too_long"),
    (r">=? (?P<limit>[-\d.]+)", "invalid.too_small"),
    (r"<=? (?P<limit>[-\d.]+)", "invalid.too_large"),
    (r"Invalid enum value", "invalid.choice"),
    (r"Invalid |matching regex", "invalid.form"),
)


def _what_is_wrong(message: str) -> Phrase:
    for pattern, key in _MESSAGES:
        if found := re.search(pattern, message):
            limit = found.groupdict().get("limit")
            return Phrase(key, None if limit is None else float(limit) if "." in limit else int(limit))
    return Phrase("invalid.kind")


def _from_database(raised: DBAPIError) -> AsisstoError | None:
    state = getattr(raised.orig, "sqlstate", None) or ""
    if state == _UNIQUE_VIOLATION:
        return Conflict(detail=Phrase("conflict.exists"))
    if _TOO_LARGE_NUMBER in str(raised.orig):
        return InvalidInput(field="request", detail=Phrase("invalid.form"))
    if state.startswith(_INVALID_TEXT):
        return InvalidInput(field="body", detail=Phrase("invalid.characters"))
    return None


def _body_limit(request: Request[Any, Any, Any]) -> str:
    handler = request.scope.get("route_handler")  # there is none where no route matches
    limit = handler.resolve_request_max_body_size() if isinstance(handler, HTTPRouteHandler) else None
    return f"{(limit or 0) // 1_000_000} MB"


def _headers(error: AsisstoError, raised: Exception) -> dict[str, str]:
    headers = dict(raised.headers or {}) if isinstance(raised, HTTPException) else {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.params["seconds"])
    elif isinstance(error, NotReady) and error.retry_after:
        headers["Retry-After"] = str(int(error.retry_after))
    return headers


def _quality(weight: str) -> float:
    try:
        return float(weight or 1)
    except ValueError:
        return 0
