"""Buttons below the last part of what is said."""

from collections.abc import Sequence

import msgspec

from asissto.channels.contract import Button, Part, Said


def buttons_of(said: Said) -> list[Button]:
    """Thumbs below an answer, or numbers below the question for a rating; none where nothing is asked."""
    if said.about is None or not said.asks:
        return []
    if said.asks == "thumb":
        return [Button("👍", f"+:{said.about.hex}"), Button("👎", f"-:{said.about.hex}")]
    return [Button(str(number), f"{number}:{said.about.hex}") for number in range(1, 6)]


def with_buttons(parts: Sequence[Part], said: Said) -> list[Part]:
    buttons = buttons_of(said)
    if not buttons or not parts:
        return list(parts)
    extra = {**parts[-1].extra, "buttons": msgspec.to_builtins(buttons)}
    return [*parts[:-1], msgspec.structs.replace(parts[-1], extra=extra)]


def buttons_on(part: Part) -> list[Button]:
    return msgspec.convert(part.extra.get("buttons", []), list[Button])
