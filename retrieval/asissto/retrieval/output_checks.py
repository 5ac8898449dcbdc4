"""What no generated sentence may carry to a customer, whatever the model was talked into."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from asissto.ingestion.lexemes import folded
from asissto.platform.texts import Language

MOST_CHARACTERS = 8_000
"""Of a generated answer; what comes after it is left out, whole sentences at a time."""

_RUN = 6  # words: a sentence of the rules is longer, and six in a row are no accident
_WORD = re.compile(r"\w+")
_QUOTED = re.compile(r"[«“„\"][^»”“\"]*[»”“\"]|`[^`]*`")
_LETTER = re.compile(r"[^\W\d_]")
_RUSSIAN, _OTHER_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE), re.compile(r"[іїєґўқғңөұүһә]", re.IGNORECASE)
_ENGLISH = re.compile(r"[a-z]", re.IGNORECASE)
_ENGLISH_WORDS = frozenset(
    re.findall(
        r"\w+",
        "the a an of to in is are was for and or you your it its be can may must not no on at by with as from this that"
        " will we our they their has have if i there here up do does",
    )
)
_ADDRESS = re.compile(
    r"(?:https?|ftp|file|data|javascript|mailto|tel)\s?:(?://)?[^\s<>\"'»”)\]]+"
    r"|//[\w-]+\.[\w.-]+[^\s<>\"'»”)\]]*"
    r"|\bwww\.[^\s<>\"'»”)\]]+"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|\b(?:[a-z0-9-]+\.)+(?:com|net|org|io|ru|su|рф|info|biz|dev|app|ai|me|co|uk|de|eu|us|xyz|site|online|shop|top|test|example|evil|link|click|ly|gg|tk|cn)\b(?:[/:?#][^\s<>\"'»”)\]]*)?",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    r"!\[[^\]]*\]\s?[(\[]"  # pictures are fetched before anybody clicks
    r"|<\s*[/!]?\s*(?!https?:)[a-z][^>]*>?|<!--"
    r"|&(?:#\w+|lt|gt|quot|amp);"
    r"|```",
    re.IGNORECASE | re.MULTILINE,
)
_TARGET = re.compile(r"\]\s?\(\s*<?([^\s)>]*)|^\s*\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_SECRET = re.compile(
    r"\b(?:sk|pk|rk)[-_](?:live[-_]|test[-_]|proj[-_]|ant[-_])?[\w-]{12,}|\bBearer\s+[\w.~+/-]{12,}"
    r"|-----BEGIN [A-Z ]*(?:PRIVATE KEY|CERTIFICATE)|\bAKIA[0-9A-Z]{12,}|\bgh[pousr]_\w{16,}|\bgithub_pat_\w{16,}"
    r"|\bxox[abprs]-[\w-]{10,}|\beyJ[\w-]{8,}\.[\w-]{8,}|\bAIza[\w-]{20,}|\bglpat-[\w-]{12,}|\bhf_[A-Za-z0-9]{16,}"
    r"|\b(?:password|passwd|secret|api[_ -]?key|token|пароль|секретный ключ)\s*[:=]\s*\S{6,}"
    r"|\b(?:postgres(?:ql)?|mysql|redis|mongodb|amqp)(?:\+\w+)?://\S*:\S*@",
    re.IGNORECASE,
)
_OURS = re.compile(r"(?:<<|‹‹)\s*(?:SRC|END|FIELDS)\b|\bNO_ANSWER\b|<\|[^|]{1,40}\|>|\[/?INST\]", re.IGNORECASE)


class Checks(msgspec.Struct, frozen=True):
    """`private` are runs of words that no answer repeats, `addresses` those that stand in the sources."""

    mark: str
    private: frozenset[tuple[str, ...]]
    addresses: frozenset[str]


def checks(mark: str, private: str, sources: Sequence[str]) -> Checks:
    """Runs of words that the sources have as well are no secret."""
    public = set[tuple[str, ...]]().union(*map(_runs, sources))
    return Checks(mark, _private_runs(private) - public, frozenset(_addresses(sources)))


def faults(text: str, against: Checks) -> list[str]:
    """Why the text must not be sent: `secret`, `leak`, `markup`, `link`; nothing where it may."""
    return _faults(text, against, _runs(text))


def _faults(text: str, against: Checks, runs: set[tuple[str, ...]]) -> list[str]:
    found = []
    if _SECRET.search(text):
        found.append("secret")
    if (against.mark and against.mark in text) or _OURS.search(text) or not against.private.isdisjoint(runs):
        found.append("leak")
    if _MARKUP.search(text):
        found.append("markup")
    targets = {(match[1] or match[2] or "").casefold() for match in _TARGET.finditer(text)}
    if not _addresses([text]) | targets <= against.addresses:
        found.append("link")
    return found


def is_in(language: Language, text: str) -> bool:
    """Whether the answer is written in it; what stands between quotation marks may be in any.

    Script tells Russian from English; other languages in Cyrillic are told by letters that Russian has not, other ones
    in Latin by the absence of English function words.
    """
    own = _QUOTED.sub(" ", text)
    letters = len(_LETTER.findall(own))
    russian, english = len(_RUSSIAN.findall(own)), len(_ENGLISH.findall(own))
    if letters < 3:
        return True
    if 3 * (letters - russian - english) > letters:
        return False
    if language == "ru":
        return 2 * russian >= english and 50 * len(_OTHER_CYRILLIC.findall(own)) <= letters
    if 2 * russian >= english:
        return False
    words = [word.lower() for word in _WORD.findall(own)]
    return len(words) < 8 or not _ENGLISH_WORDS.isdisjoint(words)


class Screen:
    """Lets words through as they come, and nothing more from the first one on that must not be seen.

    What has streamed in is shown before it is checked against the sources; links, markup and secrets would do their
    harm at once.
    """

    def __init__(self, against: Checks) -> None:
        self._against = against
        self._text = ""
        self._shown = 0
        self._last_words: list[str] = []
        self._closed = False

    def pass_on(self, fresh: str) -> str:
        """The words that are whole by now."""
        self._text += fresh
        whole = max(self._text.rfind(" "), self._text.rfind("\n")) + 1
        return self._show(whole)

    def rest(self) -> str:
        return self._show(len(self._text))

    def _show(self, until: int) -> str:
        if self._closed or until <= self._shown:
            return ""
        shown, tail = self._text[self._shown : until], self._text[max(0, self._shown - 400) : until]
        words = [*self._last_words, *_words(shown)]
        if _faults(tail, self._against, _runs_of(words)) or _OPENS.search(tail):
            self._closed = True
            return ""
        self._shown, self._last_words = until, words[1 - _RUN :]
        return shown


_OPENS = re.compile(r"!\[|\]\(|\]\s*\(|<\s*[/!a-z]", re.IGNORECASE)


@lru_cache(maxsize=64)
def _private_runs(text: str) -> frozenset[tuple[str, ...]]:
    """The rules of an assistant are the same in each of its answers."""
    return frozenset(_runs(text))


def _runs(text: str) -> set[tuple[str, ...]]:
    return _runs_of(_words(text))


def _runs_of(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)}


def _words(text: str) -> list[str]:
    return _WORD.findall(folded(text))


def _addresses(texts: Iterable[str]) -> set[str]:
    return {match[0].rstrip(".,;:!?…").casefold() for text in texts for match in _ADDRESS.finditer(text)}
