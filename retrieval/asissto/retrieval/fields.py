"""Parts the fields of an answer from its text: one line that only we know, then one JSON object nobody is shown."""

import json
from typing import Any, Literal, get_args

import msgspec

Decision = Literal["answer", "no_answer", "clarify", "hand_over"]

_FIELDS = "<<fields"
_BARE = '{"decision"'
_OPENINGS = (_FIELDS, _BARE)
_LONGEST = 20_000
_MOST_QUOTES = 20
_LONGEST_QUOTE = 2_000
_LONGEST_REASON = 300


class ModelQuote(msgspec.Struct, frozen=True):
    """The words of source `source` that the model says it relied on."""

    source: int
    quote: str


class Fields(msgspec.Struct, frozen=True):
    """`told` is False where the model gave none that can be trusted: it answered, and its quotes are ours to find."""

    decision: Decision = "answer"
    reason: str = ""
    quotes: tuple[ModelQuote, ...] = ()
    told: bool = False


def opening(mark: str) -> str:
    """The line that comes before the fields."""
    return f"<<FIELDS {mark}>>"


class FieldsReader:
    """Lets the text through and withholds whatever begins like fields; however the stream is cut, the text is the same.

    An opening with another mark is withheld too and not trusted: documents may hold one that the model repeats.
    """

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._held = ""
        self._withheld: str | None = None

    def feed(self, text: str) -> str:
        return "".join(map(self._read, text))

    def close(self) -> str:
        """What was still undecided."""
        held, self._held = self._held, ""
        return held if self._withheld is None else ""

    def fields(self) -> Fields:
        """Once the stream has ended."""
        withheld = self._withheld or ""
        if not withheld.startswith(opening(self._mark)):
            return Fields()
        return _parsed(withheld[len(opening(self._mark)) :])

    def _read(self, letter: str) -> str:
        if self._withheld is not None:
            self._withheld += letter if len(self._withheld) < _LONGEST else ""
            return ""
        self._held += letter
        let_through = ""
        while self._held and not any(each.startswith(self._held.lower()) for each in _OPENINGS):
            let_through, self._held = let_through + self._held[0], self._held[1:]
        if self._held.lower() in _OPENINGS:
            self._withheld, self._held = self._held, ""
        return let_through


def _parsed(text: str) -> Fields:
    try:
        found, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    except (ValueError, RecursionError):
        return Fields()
    decision = found.get("decision", "answer")
    if decision not in get_args(Decision):
        return Fields()
    quotes = found.get("quotes")
    read = [_quote(each) for each in quotes[:_MOST_QUOTES]] if isinstance(quotes, list) else []
    reason = found.get("reason")
    return Fields(
        decision=decision,
        reason=reason[:_LONGEST_REASON] if isinstance(reason, str) else "",
        quotes=tuple(each for each in read if each is not None),
        told=True,
    )


def _quote(given: Any) -> ModelQuote | None:
    if not isinstance(given, dict):
        return None
    source, quote = given.get("source"), given.get("quote")
    if isinstance(source, str) and source.strip().strip("[]").isdecimal():
        source = int(source.strip().strip("[]"))
    if not isinstance(source, int) or isinstance(source, bool) or not isinstance(quote, str):
        return None
    return ModelQuote(source, quote[:_LONGEST_QUOTE]) if source > 0 and quote.strip() else None
