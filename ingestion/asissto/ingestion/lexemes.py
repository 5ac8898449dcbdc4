"""Turns text into the lexemes that search compares: stems of Russian and English words, numbers and codes."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain

import Stemmer

_RUSSIAN = Stemmer.Stemmer("russian", 0)  # no cache of its own: `_of_token` keeps one
_ENGLISH = Stemmer.Stemmer("english", 0)

_INVISIBLE = re.compile("[\u00ad\u0301\u200b-\u200f\u2060\ufeff]")
_TOKEN = re.compile(
    r"(?=[+\d])(?:"  # nine tokens of ten begin with a letter
    r"(?:\+\d(?:[ ().-]{0,2}\d){9,13}|(?<![\w.,-])[78](?:[ ().-]{0,2}\d){10})(?!\w)"  # telephone
    r"|\d{1,3}(?: \d{3})+(?![\d\w])"  # 10 000
    r"|\d+(?:,\d+)+(?!\w))"  # 1,000 and 3,5
    r"|\w+(?:[-./@_‐‑]\w+)*"
)
_SPACED_NUMBER = re.compile(r"\d\W{0,3}\s\W{0,3}\d")  # no other token reaches across a space
_PART = re.compile(r"[^\W\d_]+|\d+")
_HAS_DIGIT = re.compile(r"\d")
_LATIN = re.compile(r"[a-z]")
_CYRILLIC = re.compile(r"[а-я]")
_TELEPHONE = 11  # digits, with the 8 that is dialled at home for +7
_GROUPED = re.compile(r"\d{1,3}(?:[ ,]\d{3})+")
_DECIMAL = re.compile(r"\d+\.\d+")
# Letters that look the same in both scripts: article numbers are typed with either.
_TWINS = str.maketrans("авекмнорстух", "abekmhopctyx")
_ALL_TWINS = re.compile(r"[авекмнорстух\d\W_a-z]+")

_NEVER_INDEXED = """
    и в во на с со к ко у о об от до по за из а но же ли бы не что как то это
    the a an of and to in is are was were be been on at by for with as that this or from
"""
_QUESTION_STOPS = """
    без для под над при про через между чтобы так б эта эти этот этого этой этом этим этих этими тот та те того
    той том тем тех который которая которое которые которого которой которым которых котором он она оно они его
    ее ей ему им их них него нее ней ним ними мы нас нам нами вы вас вам вами я меня мне мной ты тебя тебе тобой
    мой моя мое мои моего моей моем моих наш наша наше наши нашего нашей нашем наших нашим нашими ваш ваша ваше
    ваши вашего вашей вашем ваших свой своя свое свои своего своей своих себя себе быть был была было были будет
    будут буду есть ни нет да или либо если когда где куда откуда почему зачем отчего кто кого кому кем чем чего
    чему какой какая какое какие какого какому каким какую каких каком сколько можно нужно надо может могу можем
    могут можете мочь ещё еще уже тут там здесь вот лишь только ведь тоже также очень раз пожалуйста подскажите
    скажите расскажите здравствуйте привет спасибо
    i me my we our us you your he him his she her it its they them their these those there here what which who
    whom whose when where why how am being do does did doing done have has had having can could will would shall
    should may might must if then than so not no nor but about into over under between out up down off again
    also just only very too any some such much many s t d ll re ve don please tell hello hi thanks thank
"""


def lexemes(text: str) -> list[str]:
    """Lexemes in the order of the words, repeated as often as they occur; the commonest function words are left out.

    Case, width, accents and ё are folded. A code gives itself and its parts (`ab-123/4`, `ab`, `123`, `4`), a telephone
    number its parts and its digits joined.
    """
    if _SPACED_NUMBER.search(text):
        return list(_of_text(text))
    return list(chain.from_iterable(map(lexemes_of_word, text.split())))


@lru_cache(maxsize=4096)
def distinct_lexemes(text: str) -> frozenset[str]:
    """Kept for the sentences of the passages that are read just now: search, check and receipt all ask for them."""
    return frozenset(lexemes(text))


def question_terms(text: str) -> list[str]:
    """Distinct content lexemes of a question in their order; all its lexemes when it has function words only."""
    found = list(dict.fromkeys(lexemes(text)))
    return [lexeme for lexeme in found if not is_stop(lexeme)] or found


def is_stop(lexeme: str) -> bool:
    """Whether the lexeme says nothing about the subject: function and question words, greetings."""
    return lexeme in _STOPS


def _of_text(text: str) -> Iterator[str]:
    return chain.from_iterable(map(_of_token, _TOKEN.findall(folded(text))))


@lru_cache(maxsize=1 << 17)
def lexemes_of_word(word: str) -> tuple[str, ...]:
    """What stands between two spaces, folded and taken apart once: 36 us a passage instead of 64."""
    return tuple(_of_text(word))


def folded(text: str) -> str:
    """Without what readers do not tell apart: width, case, accents, ё and е."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold().replace("ё", "е")


@lru_cache(maxsize=1 << 17)
def _of_token(token: str) -> tuple[str, ...]:
    if token.isalpha():
        return () if token in _NOISE else (_stem(token),)
    if _HAS_DIGIT.search(token):
        return _of_code(token)
    parts = [part for part in _PART.findall(token) if part not in _NOISE]
    whole = [token] if "_" in token or "@" in token or ("." in token and _LATIN.search(token)) else []
    return (*whole, *map(_stem, parts))


def _of_code(token: str) -> tuple[str, ...]:
    if _GROUPED.fullmatch(token):
        return (token.replace(" ", "").replace(",", ""),)
    code = token.replace(",", ".")
    if _DECIMAL.fullmatch(code) or code.isdigit():
        return ("7" + code[1:] if len(code) == _TELEPHONE and code[0] == "8" else code,)
    parts = _PART.findall(code)
    if token[0] in "+78" and len(digits := "".join(parts)) > 10 and digits.isdigit():
        return ("7" + digits[1:] if token[0] == "8" else digits, *parts)
    whole = code.translate(_TWINS) if _ALL_TWINS.fullmatch(code) else code
    return (whole, *map(_stem, parts))


def _stem(word: str) -> str:
    if _CYRILLIC.search(word):
        return str(_RUSSIAN.stemWord(word))
    if not word.isascii():
        word = "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))
    return str(_ENGLISH.stemWord(word))


_NOISE = frozenset(folded(_NEVER_INDEXED).split())
_STOPS = frozenset(_stem(word) for word in folded(_NEVER_INDEXED + _QUESTION_STOPS).split())
