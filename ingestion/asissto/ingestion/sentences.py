"""Finds the sentences of Russian and English text, with exact offsets."""

import re


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# A line goes on when it was wrapped: it is long, has no cells, ends inside a clause, and the next one starts small.
_BLOCK = re.compile(r"\S[^\n]*(?:(?<=[^\n|]{39}[\w,])\n(?=[a-zа-яё])[^\n]*)*")
_CELLS = re.compile(r"\S \| |\t")
_GAP = re.compile(r"""(?P<mark>[.!?…]+)["'»”’)\]]*(?:\[\d{1,3}\])*(?P<space>\s+)["'«“„‘(\[—–\-]*\s*(?P<after>\w+)?""")
_ITEM_NUMBER = re.compile(r"(?:\d{1,3}(?:\.\d{1,3})*|[a-zа-яё])", re.IGNORECASE)
_DOTTED = re.compile(r"[^\W\d_](?:\.[^\W\d_]{1,2})+")
_YEAR = re.compile(r"[\dIVXХ]\s*(?:гг?|вв?)", re.IGNORECASE)

_BEFORE_NAME = _words("""
    г ул пр просп пер пл наб бул ш пос дер обл респ им св акад проф доц канд тов гр гос зам зав нач см ср напр
    т.е т.к т.н т.о mr mrs ms dr prof st ft mt gen col sgt capt lt rev hon vs e.g i.e cf viz approx esp incl
""")
_SELDOM_LAST = _words("""
    тел моб доб стр с п пп ст рис илл табл гл разд кв д корп стр-е оф эт каб ауд ок прим ред изд т тт ч руб коп
    тыс млн млрд трлн чел шт экз кг км см мм мин сек час др пр гг в вв т.д т.п т.ч и.о н.э no nos nr fig figs eq
    sec ch vol p pp art etc inc ltd co corp llc jr sr dept univ jan feb mar apr jun jul aug sep sept oct nov dec
""")
_STARTERS = _words("""
    the a an in on at by for from to as it its this that these those he she they we you i his her their our
    there when while after before if but and however although since both many most some other
""")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Half-open offsets of the sentences in order; what lies between them is white space only.

    A line of its own (list item, heading) is a sentence even without a full stop, a table row even with several.
    """
    spans: list[tuple[int, int]] = []
    for block in _BLOCK.finditer(text):
        start, end = block.start(), block.start() + len(block[0].rstrip())
        spans += [(start, end)] if _CELLS.search(block[0]) else _split(text, start, end)
    return spans


def _split(text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans = []
    for gap in _GAP.finditer(text, start, end):
        if _ends_sentence(text[start : gap.start()], gap["mark"], gap["after"] or ""):
            spans.append((start, gap.start("space")))
            start = gap.end("space")
    spans.append((start, end))
    return spans


def _ends_sentence(before: str, mark: str, after: str) -> bool:
    """Whether `mark` ends the sentence that reads `before` so far; `after` is the next word."""
    if after[:1].islower():
        return False
    if mark != "." or not before.strip():
        return True
    if _ITEM_NUMBER.fullmatch(before.strip()):
        return False
    word = before.rsplit(maxsplit=1)[-1].lstrip("\"'«“„‘([—–-")
    return _word_may_end(before[-12:], word, after)


def _word_may_end(tail: str, word: str, after: str) -> bool:
    folded = word.casefold()
    if word.isupper() and (len(word) == 1 or _DOTTED.fullmatch(word)):  # initials, "U.S."
        return after.casefold() in _STARTERS
    if _YEAR.search(tail) and folded in {"г", "гг", "в", "вв"}:
        return after[:1].isupper()
    if folded in _BEFORE_NAME:
        return False
    if folded in _SELDOM_LAST or _DOTTED.fullmatch(folded):
        return after[:1].isupper()
    return True
