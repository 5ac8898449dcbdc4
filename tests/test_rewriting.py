"""Follow-ups: searched with the words they lean on, or as the standalone question that a model writes."""

import pytest
from msgspec import structs

from asissto.platform.services import Services
from asissto.retrieval import rewriting
from asissto.retrieval.answering import answer_question
from asissto.retrieval.evaluation import SetPassage, load_passages
from asissto.retrieval.generation import NO_ANSWER, Turn
from asissto.retrieval.rewriting import (
    checked,
    follow_up_terms,
    leans_on_history,
    may_lean_on_history,
    rewrite,
    search_text,
)
from openai_peer import Fault, OpenAIPeer
from people import Person

HISTORY = ["Здравствуйте", "Как подключиться к ЭДО Диадок?"]


@pytest.mark.parametrize(
    "question",
    ["А это платно?", "Где взять?", "And how long does it take?", "Как его отключить?", "What about refunds?"],
)
def test_a_question_that_points_back_takes_the_subject_along(question: str) -> None:
    """The words of the message before it count for more than half, and it is embedded together with it."""
    assert leans_on_history(question)
    assert follow_up_terms(question, HISTORY)["диадок"] == 0.6
    assert search_text(question, HISTORY) == f"{HISTORY[-1]}\n{question}"


def test_a_new_subject_hardly_feels_the_old_one() -> None:
    """Words of both are asked for once, at full weight; the first message is forgotten."""
    question = "Сколько стоит сертификат для подключения Диадок?"
    assert follow_up_terms(question, HISTORY) == {
        "сто": 1.0, "сертификат": 1.0, "подключен": 1.0, "диадок": 1.0, "подключ": 0.2, "эд": 0.2,
    }  # fmt: skip
    assert search_text(question, HISTORY) == question


def test_without_history_nothing_is_added() -> None:
    """Even where the question points to something."""
    assert follow_up_terms("А это платно?", []) == {"платн": 1.0}
    assert search_text("А это платно?", []) == "А это платно?"


TALK = [
    Turn("user", "Сколько занимает доставка по Казани?"),
    Turn("assistant", "Доставка по Казани занимает два дня. [1]"),
]
FOLLOW_UP = "А на склад AB-12 в Самаре?"
STANDALONE = "Сколько занимает доставка на склад AB-12 в Самаре?"


async def test_the_words_of_the_answer_before_are_looked_for_and_not_read() -> None:
    """They count little in the search, and nothing where the passages are read and the confidence is measured."""
    sought = await rewrite(None, "А в Самару?", TALK)
    assert (sought.by, sought.standalone, sought.notes) == ("history", None, ())
    assert sought.terms == {"самар": 1.0, "занима": 0.6, "доставк": 0.6, "казан": 0.6}
    assert sought.search_terms == {**sought.terms, "два": 0.12, "дня": 0.12}
    assert sought.text == "Сколько занимает доставка по Казани?\nА в Самару?"


async def test_courtesies_do_not_come_between(chatting: Services, peer: OpenAIPeer) -> None:
    """After thanks and a reply to them, a follow-up still leans on the question before."""
    polite = [*TALK, Turn("user", "спасибо!"), Turn("assistant", "Пожалуйста!")]
    assert await rewrite(None, "А в Самару?", polite) == await rewrite(None, "А в Самару?", TALK)
    assert (await rewrite(chatting.chat, "А в Самару?", polite[2:])).by == "alone"
    assert peer.requests == []


async def test_the_first_question_of_a_conversation_stays_as_it_is() -> None:
    """Also where it points to something, and where a model could be asked."""
    sought = await rewrite(None, "А это платно?", [])
    assert (sought.by, sought.search_terms, sought.text) == ("alone", {"платн": 1.0}, "А это платно?")


async def test_a_model_makes_the_question_stand_alone(chatting: Services, peer: OpenAIPeer) -> None:
    """Both wordings are searched, the model is given the conversation as data, without instructions."""
    peer.reply_with(f"«{STANDALONE}»\n")
    sought = await rewrite(chatting.chat, FOLLOW_UP, TALK)
    assert sought.details == {"by": "model", "standalone": STANDALONE}
    assert set(sought.terms) >= {"ab-12", "самар", "доставк", "занима", "склад"}
    assert {term: weight for term, weight in sought.terms.items() if weight != 1.0} == {"ab-12": 1.5}
    assert sought.text == STANDALONE
    (request,) = peer.requests
    assert request.body["max_tokens"] == 100
    assert request.body["messages"][1]["content"] == (
        "Conversation:\nuser: Сколько занимает доставка по Казани?\n"
        "assistant: Доставка по Казани занимает два дня. [1]\n\nLast message: А на склад AB-12 в Самаре?"
    )


@pytest.mark.parametrize(
    ("question", "is_asked"),
    [
        (FOLLOW_UP, True),
        ("Как его отключить, если я уже заплатил за год вперёд?", True),
        ("Сколько стоит сертификат для подключения Диадок?", False),
        ("How much is the deposit for a bicycle?", False),
    ],
)
def test_a_model_is_asked_only_where_the_question_may_lean(question: str, is_asked: bool) -> None:
    """A call costs the customer half a second."""
    assert may_lean_on_history(question) == is_asked


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "How long does delivery to the warehouse AB-12 in Samara take?",
        "Сколько занимает доставка на склад в Самаре?",
        "Сколько занимает доставка на склад AB-12 в Самаре за 500 рублей?",
        "Сколько занимает доставка на склад AB-12?",
        "Доставка занимает два дня.\nОбращайтесь, склад AB-12 в Самаре!",
        STANDALONE.ljust(401, "?"),
    ],
)
async def test_a_rewriting_that_cannot_be_one_is_ignored(reply: str, chatting: Services, peer: OpenAIPeer) -> None:
    """Another language, a lost code or name, an invented number, two lines, too long: the heuristic stays."""
    assert checked(reply, FOLLOW_UP, TALK) is None
    peer.reply_with(reply or "\n.\n.\n")
    sought = await rewrite(chatting.chat, FOLLOW_UP, TALK)
    assert structs.replace(sought, note=None) == await rewrite(None, FOLLOW_UP, TALK)
    assert sought.notes == ("rewrite:unusable",)


def test_a_question_that_stands_alone_is_repeated() -> None:
    """Word for word, or with codes in another case."""
    assert checked(f'"{STANDALONE}"', STANDALONE, TALK) == STANDALONE
    assert checked("Что с ошибкой 0x80070057?", "0x80070057?", TALK) == "Что с ошибкой 0x80070057?"


@pytest.mark.parametrize(("fault", "note"), [(401, "bad_api_key"), ("hang", "timeout"), ("empty", "empty_answer")])
async def test_a_model_that_fails_costs_nothing(
    fault: Fault | int, note: str, chatting: Services, peer: OpenAIPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heuristic takes its place, and the note says why; it is not waited for."""
    monkeypatch.setattr(rewriting, "SECONDS", 0.3)
    peer.fail_with(fault)
    sought = await rewrite(chatting.chat, FOLLOW_UP, TALK)
    assert structs.replace(sought, note=None) == await rewrite(None, FOLLOW_UP, TALK)
    assert sought.notes == (f"rewrite:{note}",)


async def test_the_receipt_tells_how_a_follow_up_was_understood(
    chatting: Services, alice: Person, peer: OpenAIPeer
) -> None:
    """With the standalone question, and the tokens of both calls."""
    passage = SetPassage(id="1", doc="1", title="Доставка", text="Доставка на склад AB-12 в Самаре занимает неделю.")
    loaded = await load_passages(chatting, alice.tenant_id, [passage], lambda *_: None)
    peer.reply_with(lambda messages: STANDALONE if "Last message:" in messages[-1]["content"] else NO_ANSWER)
    answer = await answer_question(chatting, loaded.scope, FOLLOW_UP, TALK)
    assert answer.details["rewrite"] == {"by": "model", "standalone": STANDALONE}
    assert [call.purpose for call in answer.calls] == ["rewrite", "answer"]
    assert "rewrite" in answer.timings
