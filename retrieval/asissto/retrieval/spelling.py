"""What a word may have been meant for: typed in the other keyboard layout, in the other script, in letters of both."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice, product

from asissto.ingestion.lexemes import folded, is_stop, lexemes

Variants = Mapping[str, Mapping[str, float]]

SWAPPED = 0.9
"""What a word counts for that was typed in the other keyboard layout; nothing but that layout explains its letters."""

RESPELLED = 0.8
"""What a word counts for that was written in the other script: there are several ways to write it."""

MOST_RESPELLINGS = 6
"""Of one word; they are looked up in the vocabulary, and hardly ever more than one is there."""

_MOST_WAYS = 64
_LATIN_KEYS = "qwertyuiop[]asdfghjkl;'zxcvbnm,."
_CYRILLIC_KEYS = "йцукенгшщзхъфывапролджэячсмитьбю"
_SHIFTED = str.maketrans('{}:"<>~', "[];',.`")
_TO_CYRILLIC_LAYOUT = str.maketrans(f"{_LATIN_KEYS}`", f"{_CYRILLIC_KEYS}е")
_TO_LATIN_LAYOUT = str.maketrans(_CYRILLIC_KEYS, _LATIN_KEYS)
_LATIN = re.compile(r"[a-z]")
_CYRILLIC = re.compile(r"[а-я]")
_VOWEL = re.compile("[aeiouyаеиоуыэюя]")
_WORD = re.compile(r"[^\W\d_]+")
_LATIN_WORD = re.compile(r"(?<![\w@./-])[a-z]+(?:'[a-z]+)*'?(?![\w@./-])")  # neither addresses nor codes
_END_OF_SENTENCE = re.compile(r"[?!.,;:]+$")

# The commonest way to write a sound comes first.
_FROM_LATIN: Mapping[str, tuple[str, ...]] = {
    "shch": ("щ",), "sch": ("щ", "сч"), "zh": ("ж",), "kh": ("х",), "ts": ("ц", "тс"), "tz": ("ц",), "ch": ("ч",),
    "sh": ("ш",), "yu": ("ю",), "ju": ("ю",), "iu": ("ю",), "ya": ("я",), "ja": ("я",), "ia": ("ия", "я"),
    "tsya": ("тся", "ця"), "oya": ("оя",), "eya": ("ея",), "iya": ("ия",), "oyu": ("ою",),
    "eyu": ("ею",), "iyu": ("ию",), "oy": ("ой", "оы"), "ey": ("ей",), "iy": ("ий",), "yy": ("ый",),
    "yo": ("ё",), "jo": ("ё",), "ye": ("е", "ые"), "ph": ("ф",), "ck": ("к",), "oo": ("у", "оо"), "ee": ("и", "ее"),
    "a": ("а",), "b": ("б",), "c": ("ц", "к", "с"), "d": ("д",), "e": ("е", "э"), "f": ("ф",), "g": ("г",),
    "h": ("х",), "i": ("и",), "j": ("й", "дж"), "k": ("к",), "l": ("л",), "m": ("м",), "n": ("н",), "o": ("о",),
    "p": ("п",), "q": ("к",), "r": ("р",), "s": ("с",), "t": ("т",), "u": ("у",), "v": ("в",), "w": ("в", "у"),
    "x": ("кс", "х"), "y": ("ы", "й"), "z": ("з",), "'": ("ь", "ъ"),
}  # fmt: skip
_FROM_CYRILLIC: Mapping[str, tuple[str, ...]] = {
    "дж": ("j", "g", "dzh"), "кс": ("x", "ks"), "ай": ("i", "ai", "ay"), "ья": ("ia", "ya"), "ея": ("ea", "eya"),
    "а": ("a",), "б": ("b",), "в": ("v", "w"), "г": ("g",), "д": ("d",), "е": ("e",), "ж": ("zh", "j"), "з": ("z",),
    "и": ("i", "e"), "й": ("y", "i"), "к": ("k", "c"), "л": ("l",), "м": ("m",), "н": ("n",), "о": ("o",),
    "п": ("p",), "р": ("r",), "с": ("s", "c"), "т": ("t",), "у": ("u", "oo"), "ф": ("f", "ph"),
    "х": ("h", "kh"), "ц": ("ts", "c"), "ч": ("ch",), "ш": ("sh",), "щ": ("shch",), "ъ": ("",), "ы": ("y",),
    "ь": ("",), "э": ("e", "a"), "ю": ("yu", "u"), "я": ("ya", "ia"),
}  # fmt: skip
_ASKS_IN_LATIN = re.compile(
    r"(?:skol'?ko|kak(?:o[yij]|aya|aja|oe|ie|im|ogo)?|gde|kogda|kuda|po?chemu|zachem|[cs]hto|kto|mo(?:zh|j)no|nu(?:zh|j)no)"
)
_AS_ASKED = {
    "skolko": "сколько",
    "skol'ko": "сколько",
    "shto": "что",
    "mojno": "можно",
    "nujno": "нужно",
} | dict.fromkeys(("kakoy", "kakoi", "kakoj"), "какой")
_SOFTENED = frozenset("lnrstdz")  # most people leave the soft sign out
_LATIN_VOWELS = frozenset("aeiouyj'")
_LOOKS_CYRILLIC = str.maketrans("abekmhopctyx", "авекмнорстух")
_LOOKS_LATIN = str.maketrans("авекмнорстух", "abekmhopctyx")


def swapped(text: str) -> str:
    """The same keys in the other layout, Russian or English: `ghbdtn` and `привет`; small letters, е for ё."""
    keys = folded(text).translate(_SHIFTED)
    layout = _TO_CYRILLIC_LAYOUT if _LATIN.search(keys) else _TO_LATIN_LAYOUT
    return keys.translate(layout)


def as_meant(question: str) -> str:
    """The question itself, or what was typed in the other layout or, in Russian, with Latin letters.

    The other layout is meant where the question is made of words of no language and that one is of words: function
    words and vowels tell, because every language has them in every question. Of Latin letters a Russian question word
    tells, unless there are more English function words.
    """
    if bool(_LATIN.search(low := folded(question))) == bool(_CYRILLIC.search(low)):
        return question
    pieces = question.split()
    others = [_swapped_piece(piece) for piece in pieces]
    wordy = sum(_wordiness(other) - _wordiness(folded(piece)) for piece, other in zip(pieces, others, strict=True))
    spoken = any(_is_function_word(word) for other in others for word in _WORD.findall(other))
    if spoken and wordy >= len(pieces) / 3:
        return " ".join(others)
    return _from_latin_letters(question) or question


def variants(question: str) -> Variants:
    """By lexeme of the question: the lexemes that it may have been meant for, and what they would count for.

    They stand for a lexeme that no document knows; for one that is known they would only add noise.
    """
    found: dict[str, dict[str, float]] = {}
    for piece in question.split():
        for term, meant in _variants(piece):
            found.setdefault(term, {}).update(meant)
    return found


@lru_cache(maxsize=1 << 14)
def _variants(piece: str) -> list[tuple[str, dict[str, float]]]:
    if any(sign.isdigit() for sign in piece):
        return []
    swap = _content(_swapped_piece(piece))
    found = []
    for word in _WORD.findall(folded(piece)):
        for term in lexemes(word):
            meant = dict.fromkeys(swap, SWAPPED) | dict(_respelled(word, term))
            meant.pop(term, None)
            if meant and not is_stop(term):
                found.append((term, meant))
    return found


def _respelled(word: str, term: str) -> Iterator[tuple[str, float]]:
    latin, cyrillic = bool(_LATIN.search(word)), bool(_CYRILLIC.search(word))
    if latin and cyrillic:
        for looks in (_LOOKS_CYRILLIC, _LOOKS_LATIN):
            yield from ((lexeme, 1.0) for lexeme in _content(word.translate(looks)))
    elif len(word) > 2:
        spellings = (
            _written(word, _FROM_LATIN)
            if latin
            else chain(_written(word, _FROM_CYRILLIC), _written(term, _FROM_CYRILLIC))
        )
        yield from ((lexeme, RESPELLED) for spelling in spellings for lexeme in _content(spelling))


def _content(text: str) -> list[str]:
    return [lexeme for lexeme in lexemes(text) if len(lexeme) > 1 and not is_stop(lexeme)]


def _written(word: str, sounds: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """The word in the other script, in a few ways, those first that change the commonest spelling least."""
    ways: list[tuple[str, ...]] = []
    at = 0
    while at < len(word):
        sound = next((word[at : at + length] for length in (4, 3, 2, 1) if word[at : at + length] in sounds), "")
        if not sound:
            return
        at += len(sound)
        soft = sound in _SOFTENED and word[at : at + 1] not in _LATIN_VOWELS
        ways.append((*sounds[sound], f"{sounds[sound][0]}ь") if soft else sounds[sound])
    choices = sorted(islice(product(*map(range, map(len, ways))), _MOST_WAYS), key=sum)
    for choice in choices[:MOST_RESPELLINGS]:
        yield "".join(way[index] for way, index in zip(ways, choice, strict=True))


def _from_latin_letters(question: str) -> str | None:
    """None where it is not Russian."""
    words = _LATIN_WORD.findall(folded(question))
    asks = sum(_ASKS_IN_LATIN.fullmatch(word) is not None for word in words)
    if not asks or asks < sum(len(word) > 1 and _is_function_word(word) for word in words):
        return None
    return _LATIN_WORD.sub(lambda word: _in_cyrillic(word[0]), folded(question))


def _in_cyrillic(word: str) -> str:
    return _AS_ASKED.get(word) or next(_written(word, _FROM_LATIN), word)


def _swapped_piece(piece: str) -> str:
    """A sign at the end closes the sentence more often than it is a letter."""
    bare = _END_OF_SENTENCE.sub("", piece)
    return swapped(bare) + piece[len(bare) :]


def _wordiness(piece: str) -> float:
    """How much a piece looks like words: function words do, and those without a vowel do not."""
    words = _WORD.findall(piece)
    return sum(_is_function_word(word) + (-1.0 if len(word) > 1 and not _VOWEL.search(word) else 0.0) for word in words)


def _is_function_word(word: str) -> bool:
    found = lexemes(word)
    return not found or is_stop(found[0])
