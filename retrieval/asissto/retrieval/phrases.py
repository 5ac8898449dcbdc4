"""Finds phrases in texts, whatever the inflection of their words."""

from collections.abc import Sequence


def stands_in(phrase: Sequence[str], text: Sequence[str]) -> bool:
    """Whether the lexemes of the phrase follow each other in those of the text; a phrase without any stands nowhere."""
    size, wanted = len(phrase), list(phrase)
    return size > 0 and any(list(text[at : at + size]) == wanted for at in range(len(text) - size + 1))
