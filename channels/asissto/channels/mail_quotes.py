"""Finds what is new in a mail: without the quote of the mail it answers, and without a signature."""

import re
from collections.abc import Sequence

_DAYS = r"(?:mon|tue|wed|thu|fri|sat|sun|пн|вт|ср|чт|пт|сб|вс|понед|вторн|сред|четв|пятн|субб|воскр)[а-яa-z]*"
_BEGINS = re.compile(
    rf"\W*(?:on\b|at\b|{_DAYS}[.,]|\d{{1,4}}[./-]\d{{1,2}}[./-]\d{{2,4}}|\d{{1,2}}\s+[а-яa-z]{{3,}})", re.IGNORECASE
)
_WHEN = re.compile(r"\d{1,2}:\d{2}|\b(?:19|20)\d\d\b|\d{1,2}\.\d{1,2}\.\d{2}")
_WHO = re.compile(r"\S@\S|\b(?:wrote|writes|пиш[еу]т|написал|писал)", re.IGNORECASE)
_FROM = re.compile(r"\W*(?:from|от|от кого|отправитель)\W*:", re.IGNORECASE)
_FIELD = re.compile(
    r"\W*(from|sent|date|to|cc|subject|reply-to|от кого|от|отправитель|отправлено|дата|кому|копия|тема)\W*:",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(
    r"\W*-{2,}\s*(?:original message|исходное сообщение|ответ на сообщение)\s*-{2,}\W*", re.IGNORECASE
)
_FORWARDED = re.compile(
    r"\W*-{2,}\s*(?:forwarded message|пересылаемое сообщение|пересланное сообщение|перенаправленное сообщение"
    r"|перенаправлено)\b.*|\W*(?:begin forwarded message|начало переадресованного сообщения|"
    r"начало переадресованного письма)\W*",
    re.IGNORECASE,
)
_RULE = re.compile(r"\s*[_\-–—*=]{3,}\s*")
_DASH = re.compile(r"-{2,3}|—|–")
_DEVICE = re.compile(
    r"\W*(?:(?:sent|written) (?:from|with|via|by) (?:my |the )?"
    r"(?:iphone|ipad|android|galaxy|samsung|huawei|xiaomi|mobile|phone|outlook|mail|yandex|yahoo|gmail|proton|tablet)"
    r"|(?:отправлен[оа]|написан[оа]) (?:с|со|из|через|при помощи) (?:моего |мобильн\w+ |приложения |устройства )*"
    r"(?:iphone|ipad|android|galaxy|samsung|huawei|honor|xiaomi|телефона|смартфона|планшета|почт\w*|mail|outlook|яндекс"
    r"|yandex|gmail|приложения|устройства|версии)|get outlook for|(?:получить|скачать|загрузить) outlook)",
    re.IGNORECASE,
)
_FAREWELL = re.compile(
    r"\W*(?i:с уважением|с наилучшими(?: пожеланиями)?|всего (?:доброго|хорошего|наилучшего)"
    r"|заранее (?:спасибо|благодар\w+)|best(?: regards| wishes)?|(?:kind|warm|many)? ?regards"
    r"|yours (?:sincerely|faithfully|truly)|sincerely(?: yours)?|cheers|thanks in advance)"
    r"(?:\W*|\W+[A-ZА-ЯЁ][^?]{0,50})"
)
_LONGEST_SIGNATURE = 8  # lines
_LONGEST_LINE = 300
"""Characters of what mail programs write by themselves: a longer line is a paragraph, and costs a pattern much."""

_UNSEEN = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad]")


def new_part(text: str) -> str:
    """The whole text where nothing would be left, such as of a mail that was passed on without a word."""
    lines = [_UNSEEN.sub("", line).replace("\xa0", " ").rstrip() for line in text.splitlines()]
    passed_on = next((index for index, line in enumerate(lines) if _says(_FORWARDED, line)), len(lines))
    kept = [*_without_signature(_without_quote(lines[:passed_on])), "", *lines[passed_on:]]
    return _tidy(kept) or _tidy(lines)


def _without_quote(lines: Sequence[str]) -> list[str]:
    """What stands below a quote whose lines begin with `>` was written by the sender; below another, nothing was."""
    kept: list[str] = []
    index = 0
    while index < len(lines):
        length = _attribution(lines, index)
        if length:
            following = next((lines[below] for below in range(index + length, len(lines)) if lines[below]), "")
            if not following.startswith(">"):
                break
            index += length
        else:
            if not lines[index].startswith(">"):
                kept.append(lines[index])
            index += 1
    return kept[: _end(kept)]


def _end(lines: Sequence[str]) -> int:
    """Before a rule that the quote stood below, also where fields of the mail are named between the two."""
    for index in reversed(range(len(lines))):
        if _says(_RULE, lines[index]):
            return index
        if lines[index] and not _FIELD.match(lines[index][:_LONGEST_LINE]):
            break
    return len(lines)


def _attribution(lines: Sequence[str], index: int) -> int:
    """How many lines from here on tell whose words follow, 0 if they do not."""
    if _says(_ORIGINAL, lines[index]) or _heads_a_mail(lines, index):
        return 1
    if not _BEGINS.match(lines[index][:_LONGEST_LINE]):
        return 0
    for length in (1, 2, 3):
        said = " ".join(lines[index : index + length]).rstrip()
        if len(said) < _LONGEST_LINE and said.endswith(":") and _WHEN.search(said) and _WHO.search(said):
            return length
    return 0


def _heads_a_mail(lines: Sequence[str], index: int) -> bool:
    """From, and two more of its fields right below, as Outlook copies them."""
    if not _FROM.match(lines[index][:_LONGEST_LINE]):
        return False
    near = [found[1].lower() for line in lines[index : index + 8] if (found := _FIELD.match(line[:_LONGEST_LINE]))]
    return len(set(near)) >= 3


def _without_signature(lines: list[str]) -> list[str]:
    """From a line of two hyphens on, or from a farewell or the name of a device near the end."""
    if "--" in lines:
        return lines[: lines.index("--")]
    filled = [index for index, line in enumerate(lines) if line]
    for index in filled[-_LONGEST_SIGNATURE:]:
        if _says(_DASH, lines[index]) or _DEVICE.match(lines[index][:_LONGEST_LINE]):
            return lines[:index]
        if _says(_FAREWELL, lines[index]) and index and not any("?" in line for line in lines[index:]):
            return lines[:index]
    return lines


def _says(pattern: re.Pattern[str], line: str) -> bool:
    return len(line) < _LONGEST_LINE and pattern.fullmatch(line) is not None


def _tidy(lines: Sequence[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
