"""Puts together how an assistant speaks on a channel: its settings there, its texts with their variables filled."""

from collections.abc import Mapping

import msgspec

from asissto.retrieval.assistants import REPLIES, AnswerLength, AssistantSettings, Snapshot, Tone, on_channel
from asissto.retrieval.extractive import MOST_QUOTES
from asissto.retrieval.generation import Persona
from asissto.retrieval.variables import fill, values_for

QUOTES: dict[AnswerLength, int] = {"short": 1, "normal": MOST_QUOTES, "detailed": MOST_QUOTES}
"""How many sentences a quoted answer may have."""

_TONES: dict[Tone, str] = {
    "neutral": "",
    "friendly": "Speak warmly and informally, as to a good acquaintance.",
    "formal": "Speak formally and politely; in Russian address the customer as «вы».",
}
_LENGTHS: dict[AnswerLength, str] = {
    "short": "Answer in one or two short sentences.",
    "normal": "",
    "detailed": "Answer in detail: give every condition, number and step that the sources name.",
}


class Spoken(msgspec.Struct, frozen=True):
    """What of a Scope is the assistant's; nothing in its texts is left to be filled."""

    settings: AssistantSettings
    persona: Persona
    model: str | None


def speak(snapshot: Snapshot, channel: str = "api", variables: Mapping[str, str] | None = None) -> Spoken:
    """Raises UnknownVariable for a value that came with the question and is not declared."""
    settings = on_channel(snapshot.settings, channel)
    values = values_for(settings.variables, variables or {})
    manner = (snapshot.instructions, _TONES[settings.tone], _LENGTHS[settings.answer_length])
    persona = Persona(
        role=fill(snapshot.role, values),
        prompt=fill(snapshot.prompt, values),
        instructions=fill("\n".join(part for part in manner if part), values),
    )
    said = {name: getattr(settings, name) for name in REPLIES}
    replies = {name: text and fill(text, values) for name, text in said.items()}
    return Spoken(msgspec.structs.replace(settings, **replies), persona, snapshot.model)
