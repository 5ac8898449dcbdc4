"""Variables in the texts of an assistant: `{{company}}` stands for what is declared or what the question brings."""

import re
from collections.abc import Collection, Mapping

from asissto.platform.errors import UnknownVariable

MOST_CHARACTERS = 200
"""Of a value that comes with a question: a name or a number, not a letter."""

_VARIABLE = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
_MARKS = re.compile(r"[<>{}\[\]]+")


def fill(text: str, values: Mapping[str, str]) -> str:
    """In one pass, so that what stands in a value is no variable again."""
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), text)


def check_texts(texts: Mapping[str, str | None], declared: Collection[str]) -> None:
    """`texts` by their paths. Raises UnknownVariable for the first that names something else."""
    for path, text in texts.items():
        for name in _VARIABLE.findall(text or ""):
            if name not in declared:
                raise UnknownVariable(field=path, name=name)


def values_for(declared: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The declared values with those that came with the question in their place; raises UnknownVariable.

    What comes with a question may be a customer's words: it loses line breaks, brackets and all beyond 200 characters,
    so that it can pass for nothing but a value.
    """
    for name in given:
        if name not in declared:
            raise UnknownVariable(field=f"variables.{name}", name=name)
    return {**declared, **{name: _harmless(value) for name, value in given.items()}}


def _harmless(value: str) -> str:
    return " ".join(_MARKS.sub(" ", value).split())[:MOST_CHARACTERS]
