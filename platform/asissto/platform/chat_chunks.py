"""What is read of the chunks of a streamed answer; the SDK itself passes on whatever JSON the endpoint sends."""

import msgspec
from msgspec import Struct

THOUGHT, AFTER_THOUGHT = "<think>", "</think>"


class ThoughtFilter:
    """Leaves out what a model that thinks aloud puts between <think> and </think> before its answer."""

    def __init__(self) -> None:
        self._held: str | None = ""
        self._thought = False

    def feed(self, text: str) -> str:
        """The part of the answer that is certain by now."""
        if self._held is None:
            return text
        self._held += text
        begun = self._held.lstrip()
        if begun.startswith(THOUGHT):
            self._thought = True
            begun = begun.partition(AFTER_THOUGHT)[2].lstrip()
        if not begun or (not self._thought and THOUGHT.startswith(begun)):  # nothing yet, or half a mark
            return ""
        passed, self._held = begun if self._thought else self._held, None
        return passed


class Part(Struct):
    """Some gateways send content in parts; those of another type than text are thoughts or pictures."""

    type: str | None = None
    text: str | None = None


class Delta(Struct):
    content: str | list[Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content if part.type in {None, "text"})
        return self.content or ""


class Choice(Struct):
    delta: Delta | None = None
    finish_reason: str | None = None


class PromptDetails(Struct):
    cached_tokens: int | None = None


class CompletionDetails(Struct):
    reasoning_tokens: int | None = None


class Spent(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None

    @property
    def cached_tokens(self) -> int:
        return (self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens) or 0

    @property
    def reasoning_tokens(self) -> int:
        return (self.completion_tokens_details and self.completion_tokens_details.reasoning_tokens) or 0


class Chunk(Struct):
    choices: list[Choice] | None = None
    usage: Spent | None = None

    @property
    def text(self) -> str:
        """Without what cannot be stored: NUL, and halves of characters."""
        text = "".join(choice.delta.text for choice in self.choices or () if choice.delta)
        return text.replace("\0", "").encode("utf-8", "replace").decode()

    @property
    def thoughts(self) -> str:
        """What some endpoints tell beside the answer while their model thinks."""
        deltas = [choice.delta for choice in self.choices or () if choice.delta]
        return "".join(delta.reasoning_content or delta.reasoning or "" for delta in deltas)

    @property
    def finish(self) -> str:
        return "".join(choice.finish_reason or "" for choice in self.choices or ())

    @property
    def is_refusal(self) -> bool:
        refused = any(choice.delta and choice.delta.refusal for choice in self.choices or ())
        return refused or self.finish == "content_filter"


def read_chunk(received: object) -> Chunk:
    """Raises ValueError for what no chunk looks like."""
    return msgspec.convert(received, Chunk)
