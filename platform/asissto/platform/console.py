"""The console of the browser and the script of the widget: built by the wheel, or in a checkout by `make setup`."""

import hashlib
import secrets
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import CacheControlHeader
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler

from asissto.platform.errors import NotFound
from asissto.platform.given import Reader
from asissto.platform.permissions import open_to_all
from asissto.platform.texts import text
from asissto.platform.web import STYLE_NONCE

_PACKED, _BUILT = Path(__file__).with_name("console"), Path(__file__).parents[2] / "web/dist"
CONSOLE = _PACKED if _PACKED.is_dir() else _BUILT
NONCE_MARK = "__STYLE_NONCE__"
_LINKED = ["/", "/setup", "/reset", "/confirm", "/invitation"]
"""Mailed and printed; every other page is for those who ask for HTML."""
_NO_PAGES = ("api/", "assets/", "health/", "page/", "w/")
_FOR_ALL_SITES = {
    "cache-control": "public, max-age=300, stale-while-revalidate=86400",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
}
"""The last two for pages that demand them of all that they load, or name a hash of the script."""
_YEAR = 31_536_000


@get(_LINKED, include_in_schema=False, guards=[open_to_all])
async def show_linked_page(request: Request[Any, Any, Any], language: Reader) -> Response[str]:
    return _index(request, language)


@get("/{path:path}", include_in_schema=False, guards=[open_to_all])
async def show_page(request: Request[Any, Any, Any], language: Reader, path: FromPath[str]) -> Response[str]:
    """The same document for every page: the console reads the address. Programs are told that nothing is here."""
    if path.lstrip("/").startswith(_NO_PAGES) or "text/html" not in request.headers.get("accept", ""):
        raise NotFound(kind="address")
    return _index(request, language)


@get("/widget.js", include_in_schema=False, guards=[open_to_all])
async def show_widget_script(request: Request[Any, Any, Any]) -> Response[bytes]:
    """For pages of all sites: its name stays the same, so that browsers ask again after a few minutes."""
    script = CONSOLE / "widget.js"
    if not script.is_file():
        raise NotFound(kind="address")
    content = script.read_bytes()
    mark = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**_FOR_ALL_SITES, "etag": mark}
    is_known = mark in request.headers.get("if-none-match", "")
    return Response(
        b"" if is_known else content,
        media_type="text/javascript",
        status_code=304 if is_known else 200,
        headers=headers,
    )


def _index(request: Request[Any, Any, Any], language: Reader) -> Response[str]:
    """Says how to build the console where it is not built."""
    headers = {"cache-control": "no-cache"}
    index = CONSOLE / "index.html"
    if not index.is_file():
        page = f"<!doctype html><meta charset=utf-8><title>Asissto</title><p>{text('console.not_built', language)}</p>"
        return Response(page, media_type=MediaType.HTML, status_code=503, headers=headers)
    nonce = request.scope["state"][STYLE_NONCE] = secrets.token_urlsafe(16)
    page = index.read_text(encoding="utf-8").replace(NONCE_MARK, nonce)
    return Response(page, media_type=MediaType.HTML, headers=headers)


HANDLERS: list[ControllerRouterHandler] = [
    show_linked_page,
    show_page,
    show_widget_script,
    create_static_files_router(
        "/assets",
        directories=[CONSOLE / "assets"],
        cache_control=CacheControlHeader(max_age=_YEAR, public=True, immutable=True),
        guards=[open_to_all],
        include_in_schema=False,
    ),
]
