"""How a pair is kept and told from others: the phrasings of its question, a blank line, the answer."""

import hashlib
import re
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from asissto.ingestion.lexemes import folded
from asissto.ingestion.parsing import Element, ParsedDocument, plain
from asissto.ingestion.tables import DocumentVersion
from asissto.platform.database import Database

_APART = "\n\n"
_MANY_BREAKS = re.compile(r"\n{3,}")

# Signs that make another question, as in C and C++, 5 and -5, 5 and 5 %, are words too.
_WORD = re.compile(r"(?<!\w)-?\d+(?:[.,]\d+)*|\w+[+#]*|[+#%&=<>°$€£₽]")
_POLITE = {
    *("здравствуйте", "здравствуй", "привет", "приветствую", "пожалуйста", "подскажите", "скажите", "спасибо"),
    *("hello", "hi", "hey", "please", "thanks"),
}
_POLITE_PAIRS = {
    *(("добрый", "день"), ("добрый", "вечер"), ("доброе", "утро"), ("thank", "you")),
    *(("good", part) for part in ("morning", "day", "afternoon", "evening")),
}


def question_key(question: str) -> bytes | None:
    """Equal for the same question however it is typed; None where there is no word in it.

    Case, width, ё, punctuation, spaces, and words of politeness at either end do not count. Endings do: a question in
    other words is found by search, which is less sure of itself.
    """
    words = _WORD.findall(folded(question))
    if not any(letter.isalnum() for word in words for letter in word):
        return None
    return hashlib.sha256(" ".join(_without_politeness(words)).encode()).digest()


def clean_question(text: str) -> str:
    return " ".join(plain(text).split())


def clean_answer(text: str) -> str:
    lines = (" ".join(line.split()) for line in plain(text).split("\n"))
    return _MANY_BREAKS.sub(_APART, "\n".join(lines)).strip()


def pair_text(phrasings: Sequence[str], answer: str) -> str:
    """The text of a version; the question comes first among its phrasings."""
    return "\n".join(phrasings) + _APART + answer


def phrasings_of(text: str) -> list[str]:
    return text.partition(_APART)[0].split("\n")


def answer_start(text: str) -> int:
    return text.index(_APART) + len(_APART)


def parse_pair(text: str) -> ParsedDocument:
    """Passages are cut from the answer alone; the question, in all its phrasings, is what they are found by."""
    phrasings = phrasings_of(text)
    answer = Element("text", answer_start(text), len(text), None, ())
    return ParsedDocument(phrasings[0], text, (answer,), None, (), header="\n".join(phrasings))


async def read_pair(database: Database, tenant_id: UUID, version_id: UUID) -> ParsedDocument:
    mine = (DocumentVersion.tenant_id == tenant_id, DocumentVersion.id == version_id)
    async with database.tenant(tenant_id) as session:
        stored = (await session.scalars(select(DocumentVersion.text).where(*mine))).one()
    assert stored is not None, "a pair is written together with its text"
    return parse_pair(stored)


def _without_politeness(words: list[str]) -> list[str]:
    start, stop = 0, len(words)
    while start < stop and (step := _polite_words(words[start:stop])):
        start += step
    while start < stop and (step := _polite_words(words[start:stop][::-1], backwards=True)):
        stop -= step
    return words[start:stop] or words


def _polite_words(words: Sequence[str], *, backwards: bool = False) -> int:
    """How many of the first words are nothing but polite."""
    first = tuple(words[:2])
    if (first[::-1] if backwards else first) in _POLITE_PAIRS:
        return 2
    return int(words[0] in _POLITE)
