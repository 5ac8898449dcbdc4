"""Takes the teeth out of text that others wrote, before a model reads it: our marks, chat templates, unseen letters."""

import re
import unicodedata

# C0 and C1 controls but tab and line feed, soft hyphen, zero width, bidi, tags, variation selectors: nobody sees them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
# Brackets that a model may take for our << and >>.
_LOOK_ALIKE = str.maketrans(dict.fromkeys("＜﹤‹〈⟨❮⋘《⟪≪«˂ᐸ", "<") | dict.fromkeys("＞﹥›〉⟩❯⋙》⟫≫»˃ᐳ", ">"))
_MARK = re.compile(r"<[\s<]*(?=/?\s*(?:SRC|END|FIELDS|SYS|S[RГ]C|ЕND|EНD)\b)", re.IGNORECASE)
_TEMPLATE = re.compile(
    r"<\s*\|[^|<>\n]{1,40}\|\s*>?"  # <|im_start|>
    r"|<\s*/?\s*(?:s|bos|eos|start_of_turn|end_of_turn|system|assistant|user|human|tool|tool_call|function_results)\s*>"
    r"|<<\s*/?\s*SYS\s*>>|\[\s*/?\s*(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CALLS)\s*\]",
    re.IGNORECASE,
)
_SPEAKER = re.compile(
    r"^(?P<before>[^\w\n]*)(?P<who>system|assistant|user|human|developer|instruction|tool|система|ассистент"
    r"|пользователь)(?P<after>[\s*\])]*)[:：]",
    re.IGNORECASE | re.MULTILINE,
)


def seen(text: str) -> str:
    """The text without the letters that no reader sees."""
    return _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n"))


def defused(text: str) -> str:
    """The same words, in which nothing looks like a boundary, a chat template or another speaker's turn.

    Marks lose their brackets (`<<END` becomes `‹‹END`), template tokens become `[…]`, and the colon after the name of a
    speaker at the start of a line becomes a dash.
    """
    text = _unmarked(seen(text))
    return _SPEAKER.sub(r"\g<before>\g<who>\g<after> —", _TEMPLATE.sub("[…]", text))


def _unmarked(text: str) -> str:
    """Look-alike brackets count as brackets; letters keep their places, because each is folded to one."""
    plain = unicodedata.normalize("NFKC", text).translate(_LOOK_ALIKE)
    if not _MARK.search(plain) and not _TEMPLATE.search(plain):
        return text
    folded = "".join(map(_folded, text))
    spans = [match.span() for match in _MARK.finditer(folded)]
    for start, end in reversed(spans):
        text = text[:start] + "‹" * len(folded[start:end].replace(" ", "")) + text[end:]
    for match in reversed(list(_TEMPLATE.finditer("".join(_folded(letter) for letter in text)))):
        text = text[: match.start()] + "[…]" + text[match.end() :]
    return text


def _folded(letter: str) -> str:
    if letter.isascii():
        return letter
    plain = unicodedata.normalize("NFKC", letter).translate(_LOOK_ALIKE)
    return plain if len(plain) == 1 else letter.translate(_LOOK_ALIKE)
