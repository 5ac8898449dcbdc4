"""Addresses of pages: one spelling for each, whether they belong to the same site, and what is worth a visit."""

import re
from pathlib import PurePosixPath

from yarl import URL

from asissto.platform.errors import AddressUnusable

MOST_CHARACTERS, MOST_SEGMENTS, MOST_PARAMETERS = 1000, 12, 6

_TRACKING = re.compile(
    r"utm_.*|_ga|_gl|_openstat|[gyw]clid|ysclid|fbclid|msclkid|mc_[ce]id|igshid"
    r"|phpsessid|j?sessionid|session_id|aspsessionid.*|cfid|cftoken",
    re.IGNORECASE,
)
_SESSION_IN_PATH = re.compile(r";jsessionid=[^/?]*", re.IGNORECASE)
_NO_DOCUMENT = re.compile(
    r"7z|apk|avi|avif|bmp|bz2|css|dmg|eot|exe|gif|gz|ico|iso|jpe?g|js|json|m4[av]|map|mkv|mov|mp[34]|mpeg|msi|ogg|otf"
    r"|png|rar|rss|svg|tar|tiff?|ttf|wav|webm|webp|wmv|woff2?|xml|zip",
    re.IGNORECASE,
)


def normalise(address: str) -> str:
    """One spelling: no fragment, no default port, no marks of campaigns and sessions. Raises AddressUnusable."""
    try:
        url = URL(address.strip())
    except ValueError:
        raise AddressUnusable(url=address) from None
    if url.scheme not in {"http", "https"} or not url.host or url.user or url.password or " " in url.host:
        raise AddressUnusable(url=address)
    tracking = [name for name in url.query if _TRACKING.fullmatch(name)]
    plain = url.without_query_params(*tracking).with_fragment(None)
    if plain.is_default_port():
        plain = plain.with_port(None)
    path = _SESSION_IN_PATH.sub("", plain.raw_path) or "/"
    return str(plain.with_path(path, encoded=True, keep_query=True))


def join(base: str, link: str) -> str | None:
    """The address that a link on the page leads to; None where it leads to no page."""
    try:
        return normalise(str(URL(base).join(URL(link.strip()))))
    except (AddressUnusable, ValueError):
        return None


def same_site(one: str, other: str) -> bool:
    """The same host, with or without `www.`, by http or https; another subdomain is another site."""
    return _site(URL(one)) == _site(URL(other))


def _site(url: URL) -> tuple[str, int | None]:
    return (url.raw_host or "").removeprefix("www."), None if url.is_default_port() else url.port


def worth_a_visit(address: str) -> bool:
    """Not a picture or an archive, and not one of the endless addresses that calendars and broken links make."""
    url = URL(address)
    segments = [segment for segment in url.raw_parts if segment != "/"]
    endless = len(address) > MOST_CHARACTERS or len(segments) > MOST_SEGMENTS or len(url.query) > MOST_PARAMETERS
    repeated = any(segments.count(segment) > 2 for segment in segments if segment)
    return not (endless or repeated or _NO_DOCUMENT.fullmatch(PurePosixPath(url.path).suffix[1:]))


def file_name(address: str, suffix: str) -> str:
    """A name for the stored file, by the last part of the path."""
    url = URL(address)
    stem = PurePosixPath(url.path).name or url.host or ""
    if PurePosixPath(stem).suffix.lower() == suffix:
        stem = stem[: -len(suffix)]
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.")[:100] + suffix
