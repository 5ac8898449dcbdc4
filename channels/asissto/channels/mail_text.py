"""Reads the words and the attachments of a mail, whatever program wrote it."""

import re
from collections.abc import Iterator
from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from asissto.channels.contract import Attachment
from asissto.ingestion.names import clean_name
from asissto.ingestion.plain_text import decode
from asissto.platform.errors import AsisstoError

if TYPE_CHECKING:
    from lxml.html import HtmlElement  # type: ignore[import-untyped]

Mail: TypeAlias = "Message[str, str]"
_LONGEST = 400_000
"""Characters of one body that are read: 200 printed pages."""

_LONGEST_HEADER, _MOST_ATTACHMENTS = 10_000, 50
_LARGEST_LOGO = 30_000  # bytes
_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})
_BLOCKS = re.compile(
    "address|article|blockquote|body|center|dd|div|dl|dt|fieldset|footer|form|h[1-6]|header|hr|li|main|ol|p|pre|section"
    "|table|td|th|tr|ul"
)


class Words(msgspec.Struct, frozen=True):
    text: str
    is_html: bool = False


def words_of(mail: Mail) -> Words:
    """The plain words where there are any, else those of the HTML, whose quotes get a `>` as in plain mail."""
    plain, html = _bodies(mail)
    if plain.strip() or not html.strip():
        return Words(plain[:_LONGEST])
    return Words(_lines_of(html[:_LONGEST]), is_html=True)


def _bodies(part: Mail) -> tuple[str, str]:
    """Of alternatives each is one and the same text; parts of a mixture follow each other."""
    if _is_attached(part):
        return "", ""
    if not part.is_multipart():
        subtype = part.get_content_type()
        return (payload(part) if subtype == "text/plain" else ""), (payload(part) if subtype == "text/html" else "")
    found = [_bodies(child) for child in part.get_payload() if isinstance(child, Message)]
    if part.get_content_subtype() == "alternative":
        return next((each for each, _ in found if each.strip()), ""), next(
            (each for _, each in found if each.strip()), ""
        )
    if any(plain.strip() for plain, _ in found) and any(html.strip() for plain, html in found if not plain.strip()):
        found = [(plain or _lines_of(html[:_LONGEST]), "") for plain, html in found]
    return "\n".join(each for each, _ in found if each), "\n".join(each for _, each in found if each)


def _is_attached(part: Mail) -> bool:
    is_text = part.get_content_type() in ("text/plain", "text/html")
    kept_apart = part.get_content_disposition() == "attachment" or part.get_filename() is not None
    return kept_apart or not (is_text or part.get_content_maintype() == "multipart")


def payload(part: Mail) -> str:
    data = part.get_payload(decode=True)
    return _in_charset(data, part.get_content_charset()) if isinstance(data, bytes) else ""


def header(mail: Mail, name: str) -> str:
    """Its words decoded, on one line."""
    return decoded(raw_header(mail, name))


def raw_header(mail: Mail, name: str) -> str:
    """As it came, also where it holds more than ASCII, which `email` would replace."""
    value = next((str(value) for field, value in mail.raw_items() if field.lower() == name), "")[:_LONGEST_HEADER]
    return value if value.isascii() else _in_charset(value.encode("utf-8", "surrogateescape"), None)


def decoded(raw: str) -> str:
    try:
        found = decode_header(raw)
    except HeaderParseError:
        found = [(raw, None)]
    pieces = [_in_charset(piece, charset) if isinstance(piece, bytes) else piece for piece, charset in found]
    return " ".join("".join(pieces).split())


def _in_charset(data: bytes, charset: str | None) -> str:
    """By the charset that it names, else by what it reads like."""
    with suppress(LookupError, UnicodeDecodeError):
        return data.decode(charset or "")
    try:
        return decode(data, "")
    except AsisstoError:
        return data.decode("utf-8", "replace")


def parts_of(part: Mail, section: str = "") -> Iterator[tuple[str, Mail]]:
    """Each part that has no parts itself, with its section as IMAP counts them."""
    if part.get_content_maintype() != "multipart":
        yield section or "1", part
        return
    children = part.get_payload()
    for number, child in enumerate(children if isinstance(children, list) else [], 1):
        if isinstance(child, Message):
            yield from parts_of(child, f"{section}.{number}" if section else str(number))


def attachments_of(mail: Mail, place: str) -> tuple[Attachment, ...]:
    """`place` and the section make the `ref`. Logos within the text are none."""
    attached = (
        (section, part) for section, part in parts_of(mail) if _is_attached(part) and not _belongs_to_text(part)
    )
    return tuple(
        Attachment(
            type=_type(part),
            ref=f"{place}/{section}",
            name=_name(part),
            mime=part.get_content_type(),
            size=_size(part),
        )
        for section, part in islice(attached, _MOST_ATTACHMENTS)
    )


def _belongs_to_text(part: Mail) -> bool:
    """Of the pictures within the text, customers' photographs are larger than logos."""
    is_logo = part.get_content_maintype() == "image" and "content-id" in part and (_size(part) or 0) < _LARGEST_LOGO
    return is_logo or part.get_content_type() in _SIGNATURES


def _type(part: Mail) -> str:
    kind = part.get_content_maintype()
    return {"image": "photo", "audio": "audio", "video": "video"}.get(kind, "document")


def _name(part: Mail) -> str:
    name = part.get_filename()
    if name is None and part.get_content_type() == "message/rfc822":
        inner: Any = part.get_payload(0)
        name = f"{header(inner, 'subject') or 'message'}.eml"
    return clean_name(decoded(name)) if name else ""


def _size(part: Mail) -> int | None:
    data = part.get_payload(decode=True)
    return len(data) if isinstance(data, bytes) else None


def _lines_of(html: str) -> str:
    from lxml.etree import ParserError  # type: ignore[import-untyped]

    from asissto.ingestion.html_tree import readable_tree

    pieces: list[str] = []
    with suppress(ParserError):  # nothing is in it
        _write(readable_tree(html, ""), pieces, 0)
    text = "\n".join(line.strip() for line in "".join(pieces).split("\n"))
    return re.sub(r"\n(?:(?:> ?)*\n){2,}", "\n\n", text).strip()


def _write(element: "HtmlElement", pieces: list[str], depth: int) -> None:
    """`depth` counts the quotes around it."""
    tag = element.tag if isinstance(element.tag, str) else ""
    inner = depth + (tag == "blockquote")
    is_block = _BLOCKS.fullmatch(tag) is not None
    if is_block:
        pieces.append(f"\n{_margin(inner)}")
    if tag == "br":
        pieces.append(f"\n{_margin(depth)}")
    elif tag == "li":
        pieces.append("- ")
    pieces.append(re.sub(r"\s+", " ", element.text or ""))
    for child in element:
        _write(child, pieces, inner)
        pieces.append(re.sub(r"\s+", " ", child.tail or ""))
    if is_block:
        pieces.append(f"\n{_margin(depth)}")


def _margin(depth: int) -> str:
    return "> " * depth
