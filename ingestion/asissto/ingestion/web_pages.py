"""What a web page says: its own text without the frame that stands on every page, and where it leads."""

import re
from collections.abc import Iterator
from contextlib import suppress

import msgspec
from lxml import etree  # type: ignore[import-untyped]
from lxml.html import HtmlElement, HTMLParser, document_fromstring, tostring  # type: ignore[import-untyped]

from asissto.ingestion.fetching import AGENT, Fetched
from asissto.ingestion.plain_text import decode
from asissto.ingestion.web_addresses import join

MOST_LINKS = 500


class WebPage(msgspec.Struct, frozen=True):
    """`content` is HTML of title and text alone, the same bytes for the same words; None where there is no text."""

    content: bytes | None
    links: tuple[str, ...]
    canonical: str | None
    hidden: bool


def read_page(page: Fetched, *, keep_footer: bool = False) -> WebPage:
    """A hidden page asks not to be indexed. Footers tell phone and address, which one page of a site should keep.

    Raises DocumentCorrupt for what is no text.
    """
    tree = _tree(page_text(page))
    if tree is None:
        return WebPage(None, (), None, hidden=False)
    base = join(page.url, tree.xpath("string(//base/@href)")) or page.url
    canonical = next((link.get("href") for link in tree.iter("link") if "canonical" in _words(link, "rel")), None)
    rules = _rules(tree, page.robots_tag)
    links = () if rules & {"nofollow", "none"} else tuple(dict.fromkeys(_links(tree, base)))[:MOST_LINKS]
    return WebPage(
        content=_content(tree, keep_footer=keep_footer),
        links=links,
        canonical=canonical and join(base, canonical),
        hidden=bool(rules & {"noindex", "none"}),
    )


def page_text(page: Fetched) -> str:
    """By the encoding that the answer or the page itself declares, where that is right."""
    data = page.body or b""
    declared = _DECLARED.search(data[:2048])
    encoding = page.charset or (declared and declared[1].decode()) or "utf-8"
    with suppress(LookupError, UnicodeDecodeError):
        return data.decode(encoding)
    return decode(data, page.url)


_DECLARED = re.compile(rb"""charset\s*=\s*["']?([\w-]+)""", re.IGNORECASE)


def _tree(text: str) -> HtmlElement | None:
    parser = HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    with suppress(etree.ParserError):  # nothing but white space or comments
        return document_fromstring(_END.sub("", text).encode("utf-8", "replace"), parser=parser)
    return None


_END = re.compile("</(?:body|html)[ \t\r\n]*>", re.IGNORECASE)
"""Broken templates write on after it, browsers show that, and libxml2 2.14 drops it."""


def _words(element: HtmlElement, attribute: str) -> list[str]:
    return (element.get(attribute) or "").lower().split()


def _rules(tree: HtmlElement, header: str) -> set[str]:
    """What robots are asked to leave: by the header, which may name one of them, and by the page."""
    agent = AGENT.lower()
    rules = {rule.strip().lower().removeprefix(f"{agent}:").strip() for rule in header.split(",")}
    for meta in tree.iter("meta"):
        if (meta.get("name") or "").lower() in {"robots", agent}:
            rules |= {rule.strip().lower() for rule in (meta.get("content") or "").split(",")}
    return rules


def _links(tree: HtmlElement, base: str) -> Iterator[str]:
    for link in tree.iter("a", "area"):
        target = link.get("href")
        if target and "nofollow" not in _words(link, "rel") and (address := join(base, target)):
            yield address


_UNREAD = re.compile(
    r"script|style|noscript|template|svg|canvas|iframe|object|embed|img|picture|video|audio|map|input|button|select"
    r"|textarea|datalist|nav|aside|dialog"
)
_FRAME_ROLES = {"navigation", "banner", "contentinfo", "search", "complementary", "dialog", "alertdialog", "menu"}
_COOKIE_BANNER = re.compile(
    r"(?:^|[\s_-])(?:cookies?|consent|gdpr)[\s_-]?(?:banner|bar|box|notice|popup|modal|overlay|message|dialog|consent)",
    re.IGNORECASE,
)
_UNSEEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?![.\d])", re.IGNORECASE
)


def _content(tree: HtmlElement, *, keep_footer: bool) -> bytes | None:
    title = " ".join((tree.findtext(".//title") or "").split())
    body = tree.find("body")
    if body is None:
        return None
    for element in [each for each in body.iter() if _is_frame(each, keep_footer=keep_footer)]:
        _drop(element)
    parts = _main_parts(body)
    if not any(part.text_content().strip() for part in parts):
        return None
    written: bytes = tostring(_laid_out(title, parts), encoding="utf-8", method="html", doctype="<!DOCTYPE html>")
    return written


def _laid_out(title: str, parts: list[HtmlElement]) -> HtmlElement:
    page = etree.Element("html")
    head = etree.SubElement(page, "head")
    etree.SubElement(head, "meta", charset="utf-8")
    etree.SubElement(head, "title").text = title
    for part in parts:
        part.tag, part.tail = "div", None
    etree.SubElement(page, "body").extend(parts)
    for element in page.iter():
        _strip_attributes(element)
    return page


def _main_parts(body: HtmlElement) -> list[HtmlElement]:
    """The main part with the footers that were kept, or the whole body where no part is marked as the main one."""
    mains = [each for each in body.iter() if each.tag == "main" or each.get("role") == "main"]
    if len(mains) != 1 or not mains[0].text_content().strip():
        return [body]
    return [mains[0], *(each for each in body.iter("footer") if not _inside(each, {"main", "article"}))]


def _is_frame(element: HtmlElement, *, keep_footer: bool) -> bool:
    if _UNREAD.fullmatch(element.tag) or element.get("hidden", "until-found") != "until-found":
        return True
    role = element.get("role")
    if element.tag == "footer" or role == "contentinfo":
        return not (keep_footer or _inside(element, {"main", "article"}))
    if element.tag == "header":
        return not _inside(element, {"main", "article"})
    marks = f"{element.get('id') or ''} {element.get('class') or ''}"
    unseen = _UNSEEN_STYLE.search(element.get("style") or "")
    return bool(role in _FRAME_ROLES or unseen or _COOKIE_BANNER.search(marks))


def _inside(element: HtmlElement, tags: set[str]) -> bool:
    return any(above.tag in tags for above in element.iterancestors())


def _drop(element: HtmlElement) -> None:
    """A page's first heading may stand in its header and stays."""
    parent = element.getparent()
    if parent is None:
        return
    for heading in list(element.iter("h1")) if element.tag == "header" else ():
        element.addprevious(heading)
    element.drop_tree()


def _strip_attributes(element: HtmlElement) -> None:
    """Ids and marks differ from one answer to the next, and the reader of files needs but the shape of tables."""
    for name in set(element.attrib) - {"charset", "colspan", "rowspan"}:
        del element.attrib[name]
