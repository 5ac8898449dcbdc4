"""Replies that need neither documents nor a model: courtesies, and the call for a person."""

import msgspec

from asissto.platform.texts import Language, text
from asissto.retrieval.asking_for_person import asks_for_person
from asissto.retrieval.assistants import AssistantSettings
from asissto.retrieval.courtesies import courtesy
from asissto.retrieval.handing_over import HandOver, HandOverReason, hand_over

MODE = "canned"


class Reply(msgspec.Struct, frozen=True):
    """`outcome` is answered for a courtesy and handed_over for whoever asked for a person."""

    text: str
    outcome: str
    hand_over: HandOver | None = None


def reply_at_once(message: str, settings: AssistantSettings, language: Language) -> Reply | None:
    """None where the message is a question, or a call for a person that the policy leaves to the documents."""
    polite = courtesy(message)
    if polite == "greeting":
        return Reply(settings.greeting_text or text("answer.greeting", language), "answered")
    if polite == "thanks":
        return Reply(settings.thanks_text or text("answer.thanks", language), "answered")
    return _to_a_person(settings, language) if asks_for_person(message) else None


def _to_a_person(settings: AssistantSettings, language: Language) -> Reply | None:
    if not settings.hand_over.enabled:
        return Reply(text("hand_over.nobody", language), "abstained")
    proposed = hand_over(HandOverReason.ASKED_FOR_PERSON, settings.hand_over, language)
    if proposed is None:
        return None
    return Reply(proposed.text, "handed_over" if proposed.is_done else "abstained", proposed)
