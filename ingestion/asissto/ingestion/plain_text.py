"""Reads text without markup: finds its encoding and its paragraphs."""

import codecs
import re
from collections import Counter
from pathlib import Path

from asissto.ingestion.parsing import Block, Content
from asissto.platform.errors import DocumentCorrupt


def read_plain_text(path: Path, name: str) -> Content:
    return Content(paragraphs(decode(path.read_bytes(), name)))


def paragraphs(text: str) -> list[Block]:
    """What blank lines, indents and bullets part; lines that were wrapped by hand are joined again."""
    lines = [line.rstrip() for line in text.expandtabs().splitlines()]
    blocks: list[str] = []
    for index, line in enumerate(lines):
        if not line:
            continue
        if not index or not lines[index - 1] or _begins_paragraph(lines[index - 1], line):
            blocks.append(line.strip())
        else:
            blocks[-1] += (" " if _was_wrapped(lines, index - 1) else "\n") + line.strip()
    return [Block("list_item" if _BULLET.match(block) else "text", block) for block in blocks]


_BULLET = re.compile(r"[•●▪◦*+–—-]\s+\S")
_ITEM = re.compile(r"\s*(?:[•●▪◦*+–—-]\s|\d{1,3}(?:\.\d{1,3})*[.)]\s|[a-zа-яё]\)\s)", re.IGNORECASE)
_LONGEST_WRAP = 120  # characters: nobody wraps wider, so a longer line is a paragraph


def _begins_paragraph(before: str, line: str) -> bool:
    indented = _indent(line) > _indent(before) and not line.lstrip()[0].islower()
    return indented or len(before) > _LONGEST_WRAP or _ITEM.match(line) is not None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _was_wrapped(lines: list[str], index: int) -> bool:
    """Whether the break after the line was forced: the next word would not have fitted, going by the lines around it.

    A line that starts small continues the one before; others do where most lines around start small, as in prose and
    not in a list.
    """
    following = lines[index + 1].lstrip()
    around = [line for line in lines[max(0, index - 4) : index + 6] if line]
    width = min(max(map(len, around)), _LONGEST_WRAP)
    if following[0].islower():
        return len(lines[index]) > 0.6 * width
    prose = sum(line.lstrip()[0].islower() for line in around) > 0.4 * len(around)
    return prose and len(lines[index]) + 1 + len(following.split(maxsplit=1)[0]) > 0.85 * width


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CODE_PAGES = ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic", "cp1252", "utf-8")
_NOT_TEXT = (b"%PDF-", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"{\\rtf")
_SAMPLE = 40_000


def decode(data: bytes, name: str) -> str:
    """The text by byte order mark, as UTF-8, or in the code page that reads most like Russian or English.

    Raises DocumentCorrupt where no encoding gives text. charset-normalizer was refused: on a line or two it takes
    cp1251 for others of the alphabet.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if data.startswith(_NOT_TEXT):
        raise DocumentCorrupt(name=name)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" not in text:
        return text
    encodings = ("utf-16-le", "utf-16-be") if b"\0" in data else _CODE_PAGES
    score, encoding = max((_plausibility(data[:_SAMPLE].decode(code, "replace")), code) for code in encodings)
    if score < -5:
        raise DocumentCorrupt(name=name)
    return data.decode(encoding, "replace")


# Letters by their frequency in Russian: the price of the commonest is 0, of the rarest 4.
_PRICE = {letter: -rank / 8 for rank, letter in enumerate("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфёъ")}
_PRICE |= dict.fromkeys("«»—–№…“”„’‘•§°€©®\xa0", -1.0)
_PRICE |= dict.fromkeys("àâäåæçèéêëíîïñóôöøùúüýßœ┌┐└┘├┤┬┴┼─│═║╔╗╚╝╠╣╦╩╬░▒▓█", -3.0)
_PLAIN = re.compile(r"[\t\n\r\x0c\x1b -~]+")
_STRANGE_PAIRS = re.compile(r"[а-яё][А-ЯЁ]|[A-Za-z][А-Яа-яЁё]|[А-Яа-яЁё][A-Za-z]|[a-z][À-Ý]|[à-ÿ][À-Ý]")


def _plausibility(text: str) -> float:
    """Mean price of a character outside ASCII: 0 is perfect, -1 to -2 is Russian, below -5 nothing is."""
    counts = Counter(_PLAIN.sub("", text))
    total = sum(counts.values())
    if not total:
        return 0.0
    price = sum(count * _PRICE.get(char.lower(), -9.0) for char, count in counts.items())
    return (price - 3 * len(_STRANGE_PAIRS.findall(text))) / total
