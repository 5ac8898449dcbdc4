"""Decides when a conversation goes to a person: for which reasons, and what each leads to by the assistant's policy."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from asissto.platform.texts import TEXTS, Language, text


class HandOverReason(StrEnum):
    ASKED_FOR_PERSON = "asked_for_person"
    NO_KNOWLEDGE = "no_knowledge"
    LOW_CONFIDENCE = "low_confidence"
    GUARDRAIL = "guardrail"
    REPEATED_FAILURE = "repeated_failure"
    PROVIDER_DOWN = "provider_down"
    QUOTA = "quota"


class HandOverAction(StrEnum):
    """`offer` tells the channel that a person may be asked for, `hand_over` ends the assistant's part at once."""

    OFFER = "offer"
    HAND_OVER = "hand_over"
    NEVER = "never"


USUAL = dict.fromkeys(HandOverReason, HandOverAction.OFFER) | {
    HandOverReason.ASKED_FOR_PERSON: HandOverAction.HAND_OVER,
    HandOverReason.GUARDRAIL: HandOverAction.NEVER,
    HandOverReason.QUOTA: HandOverAction.HAND_OVER,
}
"""What a reason leads to where the policy does not say."""


class HandOverPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a person takes the conversation over."""

    enabled: bool = True
    """False: nobody is there, and who asks for a person is told so."""
    on: dict[HandOverReason, HandOverAction] = {}
    """What a reason leads to; the others keep their usual action."""
    text: Annotated[str, Meta(max_length=2_000)] | None = None
    """What is said at the moment of handing over; None: our own words in the customer's language."""
    after_failures: Annotated[int, Meta(ge=1, le=20)] = 2
    """So many answers in a row without knowledge are a repeated failure."""

    def action(self, reason: HandOverReason) -> HandOverAction:
        return self.on.get(reason, USUAL[reason]) if self.enabled else HandOverAction.NEVER


class HandOver(msgspec.Struct, frozen=True, kw_only=True):
    """In an answer; `action` is offer or handed_over, `text` what the customer is told about it."""

    reason: HandOverReason
    action: str
    text: str

    @property
    def is_done(self) -> bool:
        return self.action == HANDED_OVER

    @property
    def details(self) -> dict[str, Any]:
        """For the receipt."""
        return {"reason": str(self.reason), "action": self.action}


OFFERED, HANDED_OVER = "offer", "handed_over"


def hand_over(reason: HandOverReason, policy: HandOverPolicy, language: Language) -> HandOver | None:
    """None where the policy has nothing to say to this reason."""
    action = policy.action(reason)
    if action == HandOverAction.HAND_OVER:
        said = policy.text or text("hand_over.done", language)
        return HandOver(reason=reason, action=HANDED_OVER, text=said)
    if action == HandOverAction.OFFER:
        return HandOver(reason=reason, action=OFFERED, text=text("hand_over.offer", language))
    return None


def hand_over_as_wanted(by: str, policy: HandOverPolicy, language: Language) -> HandOver | None:
    """By a rule, whose word goes before what the policy usually does, or by the model, which may ask for no more."""
    if by != HandOverReason.GUARDRAIL:
        return hand_over(HandOverReason.NO_KNOWLEDGE, policy, language)
    plain = msgspec.structs.replace(policy, on={HandOverReason.GUARDRAIL: HandOverAction.HAND_OVER, **policy.on})
    return hand_over(HandOverReason.GUARDRAIL, plain, language)


def why_not(notes: Sequence[str], *, is_empty: bool) -> HandOverReason:
    """Of an abstention: a rule, the provider's failure, documents that say nothing (`is_empty`), or doubt."""
    if HandOverReason.GUARDRAIL in notes:
        return HandOverReason.GUARDRAIL
    if any(f"provider.{note}" in TEXTS for note in notes):
        return HandOverReason.PROVIDER_DOWN
    return HandOverReason.NO_KNOWLEDGE if is_empty else HandOverReason.LOW_CONFIDENCE


def after_failure(reason: HandOverReason, failures: int, policy: HandOverPolicy, language: Language) -> HandOver | None:
    """For an answer that failed for `reason`, the last of `failures` in a row: the stronger of the two actions."""
    first = hand_over(reason, policy, language)
    if failures < policy.after_failures or (first is not None and first.is_done):
        return first
    return hand_over(HandOverReason.REPEATED_FAILURE, policy, language) or first
