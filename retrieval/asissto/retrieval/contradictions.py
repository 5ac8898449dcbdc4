"""Finds where a sentence says otherwise than its sources, though it has their words: not, opposites, units, names."""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from functools import lru_cache

import msgspec

from asissto.ingestion.lexemes import distinct_lexemes, folded, is_stop, lexemes
from asissto.retrieval.ranking import likeness
from asissto.retrieval.word_lists import read_lists

_WORD = re.compile(r"[^\W_]+(?:[’'][^\W_]+)?")
_BREAK = re.compile(r"[.,;:!?()—–\n|]")
_NOT = frozenset(re.findall(r"\w+", "not never no without cannot neither nor не нет без никогда ни нельзя нету"))
_ONLY = frozenset({"only", "just", "только", "лишь", "просто"})
_CARRIED = frozenset(
    re.findall(
        r"\w+",
        "longer more less later sooner yet even always necessarily really actually больше более менее ещё уже всегда"
        " обязательно совсем вовсе",
    )
)
_REACH = 5  # words that a "not" looks ahead for the one that it denies
_PREFIXES = ("не", "без", "бес", "un", "in", "im", "non", "dis", "ir")
_NEAR_VERBATIM = 0.7
_FEW_WORDS = 6
_LIST_NUMBER = re.compile(r"\A\s*(?:[*•–-]\s*)?(?:\d{1,2}[.)]\s)?")
_LIKE_NAME = 0.4

_NUMBER_AND_UNIT = re.compile(
    r"(\d+(?:[ \u00a0\u202f]\d{3})*(?:[.,]\d+)?)[\s\u00a0-]*([^\W\d_]+|[%$€£₽₸])?(?:\s([^\W\d_]+))?"
)
_UNIT_FIRST = re.compile(r"([$€£₽₸])\s?(\d[\d\s.,]*\d|\d)")
_NAME = re.compile(r"(?<![\w’'])(?:[A-ZА-ЯЁ][\w’'-]*|\w*\d\w*[A-Za-zА-Яа-я]\w*|[A-Za-z]\w*\d\w*)")
_SENTENCE_START = re.compile(r"(?:\A|[.!?…:]\s|\n)[\W_]*\Z")
_LATIN_WORD = re.compile(r"(?<![\w@./-])[A-Za-z][\w-]+")


class Said(msgspec.Struct, frozen=True):
    """What a text says of its words: `affirmed` and `denied` stems, sides of opposites, units of numbers, names."""

    affirmed: frozenset[str]
    denied: frozenset[str]
    sides: frozenset[tuple[int, bool]]
    units: dict[str, frozenset[str]]
    words: frozenset[str]


def contradictions(claim: str, sources: Sequence[str], known: Sequence[str] = ()) -> tuple[str, ...]:
    """What of the claim is at odds with the sources together, as `not:…`, `opposite:…`, `unit:…` and `name:…`.

    `known` may also give names: titles, the question.
    """
    said = [_said(source) for source in sources]
    mine = _said(claim)
    affirmed = frozenset[str]().union(*(each.affirmed for each in said))
    denied = frozenset[str]().union(*(each.denied for each in said))
    found = [f"not:{stem}" for stem in sorted(_denials(mine, affirmed, denied))]
    sides = frozenset[tuple[int, bool]]().union(*(each.sides for each in said))
    found += [
        f"opposite:{pair}"
        for pair, side in sorted(mine.sides)
        if (pair, not side) in sides and (pair, side) not in sides
    ]
    found += [f"unit:{number}" for number in sorted(_wrong_units(mine, said))]
    found += [f"name:{name}" for name in strange_names(claim, (*sources, *known))]
    return tuple(found)


def swapped(claim: str, sentence: str) -> tuple[str, ...]:
    """What differs in a claim that copies a sentence but for a few words: another name or unit, an opposite, a "not".

    All of them may stand elsewhere in the source; who copies a sentence to the letter and puts one in place of the
    other says something else.
    """
    mine, theirs = _tokens(_LIST_NUMBER.sub("", claim)), _tokens(sentence)
    matcher = SequenceMatcher(None, [token.stem for token in mine], [token.stem for token in theirs], autojunk=False)
    if sum(block.size for block in matcher.get_matching_blocks()) < _NEAR_VERBATIM * len(mine):
        return ()
    stems = {token.stem for token in theirs}, {token.stem for token in mine}
    found = []
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        here, there = mine[start:end], theirs[other_start:other_end]
        if kind == "equal" or max(len(here), len(there)) > _FEW_WORDS:
            continue
        if _negates(here) != _negates(there):
            found.append("swapped:not")
        elif kind == "replace" and (_is_other_name(here, there, stems, start) or _are_opposite(here, there)):
            found.append("swapped:" + " ".join(token.text for token in here))
    return tuple(found)


class _Token(msgspec.Struct, frozen=True):
    text: str
    stem: str
    capital: bool


def _tokens(text: str) -> list[_Token]:
    return [_Token(_low(match[0]), _stem(_low(match[0])), match[0][0].isupper()) for match in _WORD.finditer(text)]


def _negates(tokens: Sequence[_Token]) -> bool:
    return any(token.text in _NOT or token.text.endswith("n't") for token in tokens)


def _is_other_name(here: Sequence[_Token], there: Sequence[_Token], stems: tuple[set[str], set[str]], at: int) -> bool:
    """Whether a name came in that the sentence has not, or went away altogether.

    A lone word at the start of a sentence has its capital from there.
    """
    names = [token for token in here if token.capital or token.stem[:1].isdigit()]
    others = [token for token in there if token.capital or token.stem[:1].isdigit()]
    if not names or not others or (at == 0 and len(names) == 1 and not names[0].stem[:1].isdigit()):
        return False
    if all(token.stem in stems[0] for token in names) and all(token.stem in stems[1] for token in others):
        return False
    return not any(_alike(one.stem, other.stem) for one in names for other in there)


def _are_opposite(here: Sequence[_Token], there: Sequence[_Token]) -> bool:
    mine = {side for token in here for side in _sides_of(token.text)}
    theirs = {side for token in there for side in _sides_of(token.text)}
    if any((pair, not side) in theirs and (pair, side) not in theirs for pair, side in mine):
        return True
    units = {unit for token in here if (unit := _unit_of(token.text))}
    other_units = {unit for token in there if (unit := _unit_of(token.text))}
    return bool(units and other_units and not units & other_units)


def _low(word: str) -> str:
    return folded(word).replace("’", "'")


@lru_cache(maxsize=1 << 15)
def _stem(word: str) -> str:
    return (lexemes(word) or [word])[0]


def _table(text: str) -> list[list[tuple[str, bool]]]:
    """Of each side its words, and whether each is but a beginning."""
    return [[(folded(word).rstrip("*"), word.endswith("*")) for word in side.split()] for side in text.split("|")]


_READ = read_lists("opposites.txt")
_FIRM = len(_READ["anywhere"])
_PAIRS = [_table(line) for line in (*_READ["anywhere"], *_READ["in place"])]
_SIDES_EXACT: dict[str, list[tuple[int, bool]]] = {}
_SIDES_BEGINNING: list[tuple[str, tuple[int, bool]]] = []
for _number, _pair in enumerate(_PAIRS):
    for _second, _side in enumerate(_pair):
        for _known, _begins in _side:
            if _begins:
                _SIDES_BEGINNING.append((_known, (_number, bool(_second))))
            else:
                _SIDES_EXACT.setdefault(_known, []).append((_number, bool(_second)))
_UNIT_NAMES = {line.split()[0]: _table(line.split(maxsplit=1)[1])[0] for line in _READ["units"]}


@lru_cache(maxsize=1 << 15)
def _sides_of(word: str) -> tuple[tuple[int, bool], ...]:
    begun = [side for beginning, side in _SIDES_BEGINNING if word.startswith(beginning)]
    return tuple(dict.fromkeys([*_SIDES_EXACT.get(word, []), *begun]))


@lru_cache(maxsize=1 << 12)
def _unit_of(word: str) -> str:
    for unit, known in _UNIT_NAMES.items():
        if any(word == name or (begins and word.startswith(name)) for name, begins in known):
            return unit
    return ""


@lru_cache(maxsize=2048)
def _said(text: str) -> Said:
    affirmed, denied = set[str](), set[str]()
    sides, words = set[tuple[int, bool]](), set[str]()
    denying, end = 0, 0
    for match in _WORD.finditer(text):
        word = _low(match[0])
        if _BREAK.search(text[end : match.start()]):
            denying = 0
        end = match.end()
        negates = word in _NOT or word.endswith("n't")
        stem = _stem(word)
        sides.update((pair, side ^ (denying > 0)) for pair, side in _sides_of(word) if pair < _FIRM)
        words.add(stem)
        if negates or (denying and word in _ONLY):
            denying = 0 if word in _ONLY else _REACH + 1
        elif word.isalpha() and not is_stop(stem) and not (denying and word in _CARRIED):
            (denied if denying else affirmed).add(stem)
            denying = 0
        denying = max(0, denying - 1)
    return Said(frozenset(affirmed), frozenset(denied), frozenset(sides), _units(text), frozenset(words))


def _denials(mine: Said, affirmed: frozenset[str], denied: frozenset[str]) -> set[str]:
    found = {stem for stem in mine.denied - mine.affirmed if stem in affirmed and stem not in denied}
    found |= {stem for stem in mine.affirmed - mine.denied if stem in denied and stem not in affirmed}
    for prefix in _PREFIXES:
        found |= {
            stem for stem in mine.affirmed if prefix + stem in affirmed and stem not in affirmed and len(stem) > 3
        }
        found |= {
            stem
            for stem in mine.affirmed
            if stem.startswith(prefix)
            and stem[len(prefix) :] in affirmed
            and stem not in affirmed
            and stem[len(prefix) :] not in denied
            and len(stem) > len(prefix) + 3
        }
    return found


def _units(text: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for match in _NUMBER_AND_UNIT.finditer(text):
        for word in (match[2], match[3]):
            if word and (unit := _unit_of(folded(word))):
                found.setdefault(_digits(match[1]), set()).add(unit)
    for match in _UNIT_FIRST.finditer(text):
        found.setdefault(_digits(match[2]), set()).add(_unit_of(match[1]))
    return {number: frozenset(units) for number, units in found.items()}


def _digits(number: str) -> str:
    return re.sub(r"[\s.,]", "", number)


def _wrong_units(mine: Said, said: Iterable[Said]) -> set[str]:
    """Numbers that stand in the sources with other units only; a million dollars has two, and one of them is enough."""
    theirs: dict[str, set[str]] = {}
    for each in said:
        for number, units in each.units.items():
            theirs.setdefault(number, set()).update(units)
    return {number for number, units in mine.units.items() if number in theirs and _differ(units, theirs[number])}


def _differ(units: Iterable[str], others: set[str]) -> bool:
    kinds: dict[str, set[str]] = {}
    for other in others:
        kinds.setdefault(other.partition(":")[0], set()).add(other)
    known = [unit for unit in units if unit.partition(":")[0] in kinds]
    return not known or any(unit not in kinds[unit.partition(":")[0]] for unit in known)


def strange_names(claim: str, sources: Sequence[str]) -> list[str]:
    """Names and codes of the claim that stand in none of the sources, in no form."""
    found = []
    words = frozenset[str]().union(*(_said(source).words for source in sources), *map(distinct_lexemes, sources))
    beginnings: dict[str, list[str]] = {}
    for word in words:
        beginnings.setdefault(word[:3], []).append(word)
    for name in _names(claim):
        parts = [part for part in lexemes(name) if not is_stop(part) and len(part) > 1]
        strange = [part for part in parts if part not in words and not _stands_in(part, beginnings)]
        if strange and not _is_acronym(name, sources):
            found.append(name)
    return found


def _names(claim: str) -> list[str]:
    """Words with a capital inside a sentence, and codes; in Russian text Latin words too."""
    found = [
        match[0]
        for match in _NAME.finditer(claim)
        if any(letter.isdigit() for letter in match[0])
        or (len(match[0]) > 1 and match[0][1:].upper() == match[0][1:] and match[0].isalpha())
        or not _SENTENCE_START.search(claim[: match.start()])
    ]
    if re.search("[а-яё]{2}", claim, re.IGNORECASE):
        found += _LATIN_WORD.findall(claim)
    return list(dict.fromkeys(found))


def _stands_in(part: str, beginnings: dict[str, list[str]]) -> bool:
    return any(_alike(part, word) for word in beginnings.get(part[:3], ()))


def _alike(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if one[:1].isdigit() or other[:1].isdigit():
        return False
    return likeness(one, other) > _LIKE_NAME or (
        len(short) >= 3 and long.startswith(short) and len(long) < len(short) + 3
    )


def _is_acronym(name: str, sources: Sequence[str]) -> bool:
    letters = name.casefold()
    if not name.isupper():
        return False
    return any(letters in "".join(word[0] for word in _WORD.findall(source)).casefold() for source in sources)
