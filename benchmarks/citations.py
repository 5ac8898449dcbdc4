"""Plants faults into true answers, and counts how many are kept from the customer, and how many true ones with them.

    python benchmarks/citations.py ../shared/sets/xquad_ru ../shared/sets/xquad_en

Sentences of the passages are the true answers, word for word, shortened, and two joined into one; where a set has
answers that people wrote (`reference`), they are weighed as well. A fault is planted into the words (a digit, a "not",
a name, an opposite, a unit), into the source that is named, or into the quote. It is caught where the claim is dropped
or its delivered citation leads to the sentence that does say it.
"""

import argparse
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from asissto.ingestion.sentences import sentence_spans
from asissto.platform.languages import language_of
from asissto.retrieval.claims import Claims
from asissto.retrieval.fields import Fields, ModelQuote
from asissto.retrieval.grounding import Draft, Grounded, ground
from asissto.retrieval.output_checks import checks
from asissto.retrieval.passages import Passage, Scores

OTHERS = 5  # passages beside the right one, as in an answer
_NAME = re.compile(r"(?<=\w )[A-ZА-ЯЁ][\w’'-]+(?: [A-ZА-ЯЁ][\w’'-]+)*")
_ENGLISH_VERB = re.compile(r"\b(?:is|was|are|were|can|could|will|has|have|had|did|does|may|must|should|would)\b")
_RUSSIAN_VERB = re.compile(
    r"(?<= )[а-яё]{3,}(?:ет|ит|ют|ут|ят|ал|ала|али|ало|ил|ила|или|ется|ются|лся|лась|лись|ены|ена)\b"
)
_OPPOSITE = {
    "before": "after", "after": "before", "more": "less", "less": "more", "first": "last", "last": "first",
    "north": "south", "south": "north", "east": "west", "west": "east", "largest": "smallest", "high": "low",
    "low": "high", "early": "late", "late": "early", "increase": "decrease", "won": "lost", "most": "least",
    "higher": "lower", "lower": "higher", "above": "below", "old": "new", "new": "old", "larger": "smaller",
    "always": "never", "can": "cannot", "all": "none", "allowed": "forbidden", "open": "closed", "minimum": "maximum",
    "до": "после", "после": "до", "больше": "меньше", "меньше": "больше", "более": "менее", "менее": "более",
    "можно": "нельзя", "нельзя": "можно", "первый": "последний", "первая": "последняя", "высокий": "низкий",
    "высокая": "низкая", "новый": "старый", "новая": "старая", "ранний": "поздний", "выше": "ниже", "ниже": "выше",
    "выиграл": "проиграл", "выиграла": "проиграла", "всегда": "никогда", "север": "юг", "юг": "север",
    "восток": "запад",
    "запад": "восток", "максимум": "минимум", "минимум": "максимум", "увеличение": "снижение", "рост": "снижение",
}  # fmt: skip
_UNIT = {
    "dollars": "euros", "million": "billion", "billion": "million", "years": "months", "days": "weeks", "km": "miles",
    "miles": "kilometres", "hours": "minutes", "minutes": "hours", "percent": "thousand", "%": " km", "feet": "metres",
    "миллионов": "миллиардов", "миллиардов": "миллионов", "миллиона": "миллиарда", "тысяч": "миллионов",
    "лет": "месяцев",
    "долларов": "рублей", "км": "метров", "года": "месяца", "дней": "недель", "часов": "минут", "минут": "часов",
}  # fmt: skip


class Case(msgspec.Struct, frozen=True):
    """A claim with the number of the source that it names and its quote; `true` are sentences of source 1 that say it.

    No true ones: nobody says it.
    """

    claim: str
    source: int
    quote: str
    true: tuple[str, ...]
    passages: tuple[Passage, ...]
    question: str = ""


class Text(msgspec.Struct, frozen=True):
    passage: Passage
    sentences: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--cases", type=int, default=100, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", help="print the cases of this kind that went wrong")
    options = parser.parse_args()
    for folder in options.sets:
        print(f"\n{folder.name}: caught, of planted faults; refused, of true answers")
        started, measured = time.perf_counter(), 0
        for kind, cases in table(folder, options.cases, options.seed).items():
            wrong = list(filter(refused if is_right(kind) else missed, cases))
            share = len(wrong) / len(cases) if is_right(kind) else 1 - len(wrong) / len(cases)
            word = "refused" if is_right(kind) else "caught"
            print(f"  {kind:<22} {word:<8} {share:6.1%} of {len(cases)}")
            measured += len(cases)
            if options.show == kind:
                print(*(f"    {case.claim}\n      <- {delivered(case)}" for case in wrong), sep="\n")
        print(f"  {1000 * (time.perf_counter() - started) / measured:.1f} ms for each answer")


def is_right(kind: str) -> bool:
    return kind.startswith("true")


def missed(case: Case) -> bool:
    """Whether the customer gets the claim with citations that do not say it."""
    answer = delivered(case)
    quotes = " ".join(citation.quote for citation in answer.citations)
    return bool(answer.citations) and not any(sentence in quotes for sentence in case.true)


def refused(case: Case) -> bool:
    return not delivered(case).citations


def delivered(case: Case) -> Grounded:
    language = "ru" if language_of(case.claim) == "ru" else "en"
    claims = Claims(case.question, case.passages, {}, language)
    fields = Fields(quotes=(ModelQuote(case.source, case.quote),), told=True)
    draft = Draft(pieces=[case.claim, case.source], fields=fields, finish="stop")
    return ground(draft, claims, checks("", "", [passage.text for passage in case.passages]))


def table(folder: Path, wanted: int, seed: int) -> dict[str, list[Case]]:
    """The cases by their kind; kinds of which the set gives fewer than ten are left out."""
    texts = _texts(folder)
    found: dict[str, list[Case]] = {}
    for kind, make in {**_RIGHT, **_FAULTS}.items():
        choose = random.Random(f"{seed} {kind}")
        cases = list(islice(_cases(texts, make, choose), wanted))
        if len(cases) >= 10:
            found[kind] = cases
    written = list(islice(_written(folder, texts), wanted * 4))
    return found | ({"true: people's words": written} if written else {})


Make = Callable[[Text, int, Sequence[Text], random.Random], tuple[str, int, str, tuple[str, ...]] | None]


def _cases(texts: Sequence[Text], make: Make, choose: random.Random) -> Iterator[Case]:
    order = [(text, at) for text in texts for at in range(len(text.sentences))]
    choose.shuffle(order)
    for text, at in order:
        if not 40 <= len(text.sentences[at]) <= 400:
            continue
        *others, outsider = choose.sample([other for other in texts if other is not text], OTHERS + 1)
        made = make(text, at, [*others, outsider], choose)
        if made is not None:
            yield Case(*made, (text.passage, *(other.passage for other in others)))


def _as_it_stands(text: Text, at: int, _: Sequence[Text], __: random.Random) -> tuple[str, int, str, tuple[str, ...]]:
    sentence = text.sentences[at]
    return sentence, 1, sentence, (sentence,)


def _shortened(
    text: Text, at: int, _: Sequence[Text], choose: random.Random
) -> tuple[str, int, str, tuple[str, ...]] | None:
    """Without one of its clauses."""
    sentence = text.sentences[at]
    parts = sentence.rstrip(".").split(", ")
    if len(parts) < 3:
        return None
    del parts[choose.randrange(1, len(parts))]
    return ", ".join(parts) + ".", 1, sentence, (sentence,)


def _joined(text: Text, at: int, _: Sequence[Text], __: random.Random) -> tuple[str, int, str, tuple[str, ...]] | None:
    if at + 1 >= len(text.sentences):
        return None
    first, second = text.sentences[at], text.sentences[at + 1]
    word = "и" if language_of(first) == "ru" else "and"
    return f"{first.rstrip('.')}, {word} {second}", 1, first, (first, second)


def _without_quote(text: Text, at: int, _: Sequence[Text], __: random.Random) -> tuple[str, int, str, tuple[str, ...]]:
    """The model gave no quote that can be used."""
    return text.sentences[at], 1, "", (text.sentences[at],)


def _changed(change: Callable[[str, Text, Sequence[Text], random.Random], str | None]) -> Make:
    """The words of the claim are changed; its quote is the sentence that they come from."""

    def make(
        text: Text, at: int, others: Sequence[Text], choose: random.Random
    ) -> tuple[str, int, str, tuple[str, ...]] | None:
        sentence = text.sentences[at]
        wrong = change(sentence, text, others, choose)
        return None if wrong in {None, sentence} else (str(wrong), 1, sentence, ())

    return make


def _digit(sentence: str, _: Text, __: Sequence[Text], choose: random.Random) -> str | None:
    listed = re.match(r"\W*\d{1,2}[.)]\s", sentence)  # the number of a list item is none
    places = [at for at, letter in enumerate(sentence) if letter in "0123456789" and (not listed or at >= listed.end())]
    if not places:
        return None
    at = choose.choice(places)
    return sentence[:at] + choose.choice([each for each in "123456789" if each != sentence[at]]) + sentence[at + 1 :]


def _negation(sentence: str, _: Text, __: Sequence[Text], choose: random.Random) -> str | None:
    russian = language_of(sentence) == "ru"
    if " не " in sentence or " not " in sentence:
        return sentence.replace(" не " if russian else " not ", " ", 1)
    verbs = list((_RUSSIAN_VERB if russian else _ENGLISH_VERB).finditer(sentence))
    if not verbs:
        return None
    verb = choose.choice(verbs)
    at = verb.start() if russian else verb.end()
    return sentence[:at] + ("не " if russian else " not") + sentence[at:]


def _name(sentence: str, text: Text, others: Sequence[Text], choose: random.Random) -> str | None:
    """Half of the wrong names come from the same passage."""
    mine = list(_NAME.finditer(sentence))
    near = sorted({match[0] for each in text.sentences for match in _NAME.finditer(each)} - {each[0] for each in mine})
    far = sorted({match[0] for other in others for each in other.sentences for match in _NAME.finditer(each)})
    pool = choose.choice([near, far]) or far
    if not mine or not pool:
        return None
    name, wrong = choose.choice(mine), choose.choice(pool)
    if {part[:4] for part in name[0].split()} & {part[:4] for part in wrong.split()}:
        return None
    return sentence[: name.start()] + wrong + sentence[name.end() :]


def _by_list(swaps: dict[str, str]) -> Callable[[str, Text, Sequence[Text], random.Random], str | None]:
    def change(sentence: str, _: Text, __: Sequence[Text], choose: random.Random) -> str | None:
        known = [word for word in swaps if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", sentence)]
        if not known:
            return None
        word = choose.choice(known)
        return re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", swaps[word], sentence, count=1)

    return change


def _unit(sentence: str, _: Text, __: Sequence[Text], ___: random.Random) -> str | None:
    for word, other in _UNIT.items():
        wrong = re.sub(rf"(\d\s?){re.escape(word)}(?!\w)", rf"\g<1>{other}", sentence, count=1)
        if wrong != sentence:
            return wrong
    return None


def _wrong_source(
    text: Text, at: int, others: Sequence[Text], choose: random.Random
) -> tuple[str, int, str, tuple[str, ...]]:
    number = choose.randrange(OTHERS)
    return text.sentences[at], number + 2, choose.choice(others[number].sentences), (text.sentences[at],)


def _wrong_sentence(
    text: Text, at: int, _: Sequence[Text], choose: random.Random
) -> tuple[str, int, str, tuple[str, ...]] | None:
    others = [sentence for sentence in text.sentences if sentence != text.sentences[at]]
    return (text.sentences[at], 1, choose.choice(others), (text.sentences[at],)) if others else None


def _invented_quote(
    text: Text, at: int, _: Sequence[Text], choose: random.Random
) -> tuple[str, int, str, tuple[str, ...]]:
    words = text.sentences[at].split()
    choose.shuffle(words)
    return text.sentences[at], 1, " ".join(words), (text.sentences[at],)


def _foreign(
    text: Text, at: int, others: Sequence[Text], choose: random.Random
) -> tuple[str, int, str, tuple[str, ...]] | None:
    """A sentence that stands in another passage, which is not among the sources, under the quote of one."""
    claim = choose.choice(others[-1].sentences)
    return (claim, 1, text.sentences[at], ()) if len(claim) >= 40 else None


_RIGHT: dict[str, Make] = {
    "true: as it stands": _as_it_stands,
    "true: shortened": _shortened,
    "true: two joined": _joined,
    "true: without a quote": _without_quote,
}
_FAULTS: dict[str, Make] = {
    "digit": _changed(_digit),
    "not": _changed(_negation),
    "name": _changed(_name),
    "opposite": _changed(_by_list(_OPPOSITE)),
    "unit": _changed(_unit),
    "wrong source": _wrong_source,
    "wrong sentence": _wrong_sentence,
    "invented quote": _invented_quote,
    "nobody says it": _foreign,
}


def _written(folder: Path, texts: Sequence[Text]) -> Iterator[Case]:
    """What people wrote, sentence by sentence, with the passages that they wrote it from."""
    by_id = {str(text.passage.title): text for text in texts}
    for row in _rows(folder / "questions.jsonl"):
        gold = [by_id[each].passage for each in row.get("gold_passages", []) if each in by_id]
        written = row.get("reference") or []
        if not gold or not row.get("answerable", True):
            continue
        asked = " ".join(
            [turn["text"] for turn in row.get("history", ()) if turn["role"] == "user"] + [row["question"]]
        )
        for answer in [written] if isinstance(written, str) else written:
            for start, end in sentence_spans(answer):
                sentence = answer[start:end]
                if len(sentence) >= 40 and not sentence.endswith("?"):
                    yield Case(sentence, 1, "", (), tuple(gold), asked)


def _texts(folder: Path) -> list[Text]:
    texts = []
    for row in _rows(folder / "passages.jsonl"):
        body = row["text"]
        passage = Passage(
            chunk_id=uuid4(),
            document_id=uuid4(),
            version_id=uuid4(),
            title=row["id"],
            heading_path=(),
            page=None,
            kind="text",
            language=row["lang"],
            text=body,
            start=0,
            end=len(body),
            scores=Scores(lexical=1.0, dense=None, fused=1.0),
        )
        texts.append(Text(passage, tuple(body[start:end] for start, end in sentence_spans(body))))
    return texts


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    return (msgspec.json.decode(line) for line in path.read_bytes().splitlines())


if __name__ == "__main__":
    main()
