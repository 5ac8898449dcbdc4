"""HTML as Telegram's server reads it: the same few tags, the same refusals in the same words."""

import re
from typing import NoReturn

import msgspec

MOST_UNITS = 4096
MOST_BYTES = 1 << 15
MOST_ENTITIES = 100
TAGS = {
    "a": "text_link",
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ENTITY = re.compile(r"&(?:#x([0-9a-fA-F]{1,6})|#(\d{1,7})|(lt|gt|amp|quot)(?![a-zA-Z]));?")
_OPENING = re.compile(r"<([^\s>]*)")
_CLOSING = re.compile(r"</([^\s>]*)\s*(>?)")
_ATTRIBUTE = re.compile(r"\s*([^\s=>]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([\w.-]+)(?=[\s>])))?")
_UNSAFE_LINK = re.compile(r"\s*(?!https?:|tg:|ton:|mailto:|tel:)\w+:", re.IGNORECASE)


class Refused(Exception):
    """The description that Telegram gives with its 400."""


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """`offset` and `length` in UTF-16 units."""

    type: str
    offset: int
    length: int
    url: str = ""


class _Open(msgspec.Struct, frozen=True):
    tag: str
    offset: int
    begin: int
    argument: str


class Read(msgspec.Struct, frozen=True):
    text: str
    entities: list[Entity]


def units(text: str) -> int:
    """UTF-16 units."""
    return len(text.encode("utf-16-le")) // 2


def read_text(text: str, parse_mode: str | None) -> Read:
    """What a chat would show. Raises Refused."""
    if parse_mode not in {None, "HTML"}:
        raise Refused("Bad Request: this server reads HTML alone")
    if len(text.encode()) > MOST_BYTES:
        raise Refused("Bad Request: text is too long")
    read = _Reader(text).read() if parse_mode else Read(text, [])
    shown = re.sub(r"[\x00-\x08\x0b-\x0c\x0e-\x1f]", " ", read.text.replace("\r", "")).strip()
    if not shown:
        raise Refused("Bad Request: message text is empty")
    if units(shown) > MOST_UNITS:
        raise Refused("Bad Request: message is too long")
    return Read(shown, read.entities[:MOST_ENTITIES])


class _Reader:
    def __init__(self, html: str) -> None:
        self._html = html
        self._at = 0
        self._shown: list[str] = []
        self._offset = 0
        self._open: list[_Open] = []
        self._entities: list[Entity] = []

    def read(self) -> Read:
        while self._at < len(self._html):
            if self._html.startswith("</", self._at):
                self._close()
            elif self._html[self._at] == "<":
                self._begin()
            else:
                self._letter()
        if self._open:
            self._refuse(f'can\'t find end tag corresponding to start tag "{self._open[-1].tag}"')
        return Read("".join(self._shown), sorted(self._entities, key=lambda entity: (entity.offset, -entity.length)))

    def _letter(self) -> None:
        found = _ENTITY.match(self._html, self._at)
        letter = _decoded(found) if found else ""
        self._at = found.end() if found and letter else self._at + 1
        letter = letter or self._html[self._at - 1]
        self._shown.append(letter)
        self._offset += units(letter)

    def _begin(self) -> None:
        begin = self._at
        name = _OPENING.match(self._html, begin)
        assert name is not None
        if name.end() == len(self._html):
            self._refuse("unclosed start tag", begin)
        tag = name[1].lower()
        if tag not in TAGS:
            self._refuse(f'unsupported start tag "{tag}"', begin)
        self._at = name.end()
        attributes = self._attributes(begin)
        if tag == "span" and attributes.get("class") != "tg-spoiler":
            self._refuse('tag "span" must have class "tg-spoiler"', begin)
        argument = "expandable" if tag == "blockquote" and "expandable" in attributes else attributes.get("href", "")
        self._open.append(_Open(tag, self._offset, len(self._shown), argument))

    def _attributes(self, begin: int) -> dict[str, str]:
        found: dict[str, str] = {}
        while (rest := self._html[self._at :].lstrip()) and not rest.startswith(">"):
            attribute = _ATTRIBUTE.match(self._html, self._at)
            if attribute is None:
                self._refuse("empty attribute name", begin)
            value = next((group for group in attribute.groups()[1:] if group is not None), "")
            found[attribute[1].lower()] = _ENTITY.sub(lambda match: _decoded(match) or match[0], value)
            self._at = attribute.end()
        if not rest:
            self._refuse("unclosed start tag", begin)
        self._at = self._html.index(">", self._at) + 1
        return found

    def _close(self) -> None:
        begin = self._at
        found = _CLOSING.match(self._html, begin)
        assert found is not None
        if not self._open:
            self._refuse("unexpected end tag", begin)
        if not found[2]:
            self._refuse("unclosed end tag", begin)
        last = self._open.pop()
        if found[1] and found[1].lower() != last.tag:
            self._refuse(f'unmatched end tag, expected "</{last.tag}>", found "</{found[1]}>"', begin)
        self._at = found.end()
        if self._offset > last.offset:
            self._keep(last)

    def _keep(self, last: _Open) -> None:
        length, kind, url = self._offset - last.offset, TAGS[last.tag], ""
        if kind == "text_link":
            url = last.argument or "".join(self._shown[last.begin :])
            if _UNSAFE_LINK.match(url) or "." not in url.replace("localhost", "."):
                return  # the words stay, the link is dropped without a word
        if last.argument == "expandable":
            kind = "expandable_blockquote"
        self._entities.append(Entity(kind, last.offset, length, url))

    def _refuse(self, why: str, at: int | None = None) -> NoReturn:
        place = "" if at is None else f" at byte offset {len(self._html[:at].encode())}"
        raise Refused(f"Bad Request: can't parse entities: {why}{place}")


def _decoded(entity: re.Match[str]) -> str:
    if entity[3]:
        return _NAMED[entity[3]]
    number = int(entity[1], 16) if entity[1] else int(entity[2])
    return chr(number) if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000 else ""
