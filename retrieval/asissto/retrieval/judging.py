"""Judges an answer by what is expected of it: words, documents, whether there is an answer. No model is asked."""

import re
from collections.abc import Collection, Mapping
from uuid import UUID

import msgspec

from asissto.ingestion.lexemes import folded, lexemes
from asissto.platform.texts import Language, text
from asissto.retrieval.phrases import stands_in
from asissto.retrieval.question_sets import CaseIn, CitedDocument, Expected

_MARK = re.compile(r"\s*\[\d+\]")


class Failure(msgspec.Struct, frozen=True):
    """`params` fill the sentence `judge.<code>`."""

    code: str
    params: dict[str, str] = {}

    def sentence(self, language: Language) -> str:
        return text(f"judge.{self.code}", language, **self.params)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer is judged by; `documents` are those that it cites, by their ids their titles."""

    text: str
    outcome: Expected
    documents: Mapping[UUID, str]


def judge(case: CaseIn, answer: Judged, source_keys: Mapping[str, Collection[UUID]]) -> list[Failure]:
    """What is wrong with it; `source_keys` are the documents behind the keys that the case names."""
    if answer.outcome != case.expected:
        return [_other_outcome(case.expected, answer.outcome)]
    said = _Said(answer.text)
    missing = [Failure("phrase_missing", {"phrase": each}) for each in case.must_contain if each not in said]
    forbidden = [Failure("phrase_forbidden", {"phrase": each}) for each in case.must_not_contain if each in said]
    if cites(case, answer, source_keys) is not False:
        return [*missing, *forbidden]
    documents = ", ".join(_name(each) for each in case.must_cite)
    return [*missing, *forbidden, Failure("citation_missing", {"documents": documents})]


def cites(case: CaseIn, answer: Judged, source_keys: Mapping[str, Collection[UUID]]) -> bool | None:
    """Whether it cites one of the expected documents; None where none is expected."""
    if not case.must_cite:
        return None
    titles = {folded(title) for title in answer.documents.values()}
    for each in case.must_cite:
        named = set(source_keys.get(each.source_key or "", ())) | {each.document_id}
        if named & answer.documents.keys() or (each.title is not None and folded(each.title) in titles):
            return True
    return False


class _Said:
    """`phrase in said`: the same words in a row, whatever their case and inflection."""

    def __init__(self, answer: str) -> None:
        plain = _MARK.sub("", answer)
        self._text = " ".join(folded(plain).split())
        self._words = lexemes(plain)

    def __contains__(self, phrase: str) -> bool:
        whole = re.escape(" ".join(folded(phrase).split()))
        return bool(re.search(rf"(?<!\w){whole}(?!\w)", self._text)) or stands_in(lexemes(phrase), self._words)


def _other_outcome(expected: Expected, outcome: Expected) -> Failure:
    if expected == "hand_over":
        return Failure("not_handed_over")
    if outcome == "hand_over":
        return Failure("handed_over")
    return Failure("abstained" if expected == "answer" else "answered")


def _name(document: CitedDocument) -> str:
    return document.title or document.source_key or str(document.document_id)
