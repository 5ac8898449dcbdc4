"""The rules of a business are kept on every answer, whoever wrote it, in both languages."""

import pytest
from msgspec import structs

from asissto.platform.services import Services
from asissto.platform.texts import text
from asissto.retrieval.answering import answer_question
from asissto.retrieval.answers import Answer
from asissto.retrieval.assistants import AssistantSettings
from asissto.retrieval.evaluation import SetPassage, load_passages
from asissto.retrieval.guardrails import Instruct, NeverMention, RefuseTopic, Rule, SayAlways, broken
from asissto.retrieval.scopes import Scope
from openai_peer import OpenAIPeer
from people import Person

TEXTS = {
    "Repairs": "Repairs of a bicycle take two days. A repair of a bicycle costs 40 euros.",
    "Ремонт": "Ремонт самоката занимает два дня. Ремонт самоката стоит 3000 рублей.",
}
QUESTIONS = {"Repairs": "How long does the repair of a bicycle take?", "Ремонт": "Сколько занимает ремонт самоката?"}
PRICES = {"Repairs": "How much does the repair of a bicycle cost?", "Ремонт": "Сколько стоит ремонт самоката?"}
NO_PRICES = NeverMention(classes=["prices"])

MENTIONS = [
    ("prices", "It costs 500 ₽.", "It is free."),
    ("prices", "Залог сто рублей.", "Залог не нужен."),
    ("prices", "Стоимость: 1200.", "Комната 1200."),
    ("phone_numbers", "Звоните +7 (900) 123-45-67.", "Заказ 12345."),
    ("phone_numbers", "Call 8 800 555 35 35.", "We have 800 bikes."),
    ("emails", "Write to a@shop.example.", "Write to us."),
    ("links", "See https://shop.example/a.", "See the page."),
    ("percentages", "Скидка 10 %.", "Скидка есть."),
    ("dates", "Открыты до 5 мая.", "Открыты 5 часов."),
    ("dates", "Open until 2026-05-01.", "Open until ten."),
]


@pytest.fixture
async def scope(services: Services, alice: Person) -> Scope:
    passages = [SetPassage(id=name, doc=name, title=name, text=body) for name, body in TEXTS.items()]
    return (await load_passages(services, alice.tenant_id, passages, lambda _label, _done, _total: None)).scope


async def ask(services: Services, scope: Scope, question: str, *rules: Rule) -> Answer:
    ruled = structs.replace(scope, settings=AssistantSettings(rules=list(rules)))
    return await answer_question(services, ruled, question, [])


@pytest.mark.parametrize(("name", "mentioned", "fine"), MENTIONS)
def test_each_class_is_known_in_both_languages(name: str, mentioned: str, fine: str) -> None:
    """And what only looks a little like it is left alone."""
    rule = NeverMention(classes=[name])  # type: ignore[list-item]
    assert (broken([rule], mentioned), broken([rule], fine)) == ([0], [])


def test_words_count_in_every_form() -> None:
    """Phrases word after word; the heads of a table say what its cells are."""
    rules = [NeverMention(words=["конкурент", "secret recipe"]), NO_PRICES]
    assert broken(rules, "У конкурентов дешевле.") == [0]
    assert broken(rules, "These are secret recipes.") == [0]
    assert broken(rules, "A recipe for secret sauce.") == []
    assert broken(rules, "Base | 500") == []
    assert broken(rules, "Base | 500", "Plan | Price") == [1]


@pytest.mark.parametrize("title", TEXTS)
async def test_prices_are_never_quoted(
    chatting: Services, services: Services, peer: OpenAIPeer, scope: Scope, title: str
) -> None:
    """Neither by a model that does not care nor out of the documents; the rest of the answer stays."""
    peer.reply_with(TEXTS[title])
    priced = TEXTS[title].split(". ")[1]
    for whose in (chatting, services):
        assert priced in (await ask(whose, scope, PRICES[title])).text.replace("[1] ", "")
        answer = await ask(whose, scope, PRICES[title], NO_PRICES)
        assert not any(digits in answer.text for digits in ("40", "3000"))
        assert answer.details["guardrails"] == {"blocked": [0]}
        assert (answer.outcome, answer.text) == ("answered", f"{TEXTS[title].split('. ')[0]}. [1]")
    assert "Never mention prices or amounts of money" in peer.requests[-1].body["messages"][0]["content"]


async def test_an_answer_with_nothing_left_is_none(
    chatting: Services, services: Services, peer: OpenAIPeer, scope: Scope
) -> None:
    """It abstains and says for which rule; so does one whose rule wants no answer rather than a shorter one."""
    nothing = (SayAlways(text="x"), NeverMention(words=["repair"]))
    strict = (NeverMention(classes=["prices"], action="abstain"),)
    peer.reply_with("A repair of a bicycle costs 40 euros.")
    for whose in (chatting, services):
        for rules in (nothing, strict):
            answer = await ask(whose, scope, PRICES["Repairs"], *rules)
            assert (answer.outcome, answer.text) == ("abstained", text("answer.unknown", "en"))
            assert answer.notes[-1] == "guardrail"
            assert answer.details["guardrails"] == {"blocked": [len(rules) - 1]}


async def test_a_topic_is_refused_before_anything_is_searched(
    chatting: Services, peer: OpenAIPeer, scope: Scope
) -> None:
    """With the rule's own words or with ours, and with a person where the rule wants one."""
    politics = RefuseTopic(words=["выборы"])
    court = RefuseTopic(words=["суд"], text="Об этом говорит наш юрист.", action="hand_over")
    answer = await ask(chatting, scope, "Что вы думаете о выборах?", politics, court)
    assert (answer.outcome, answer.text, answer.hand_over_wanted) == ("abstained", text("answer.refused", "ru"), None)
    answer = await ask(chatting, scope, "Я подам в суд!", politics, court)
    assert (answer.text, answer.hand_over_wanted) == ("Об этом говорит наш юрист.", "guardrail")
    assert (answer.details, peer.requests) == ({"guardrails": {"refused": 1}}, [])


async def test_what_is_always_said_and_how_it_is_said(
    chatting: Services, services: Services, peer: OpenAIPeer, scope: Scope
) -> None:
    """Below generated and quoted answers of its language, and never below "I do not know"; style is for the model."""
    rules = (SayAlways(text="No offer."), SayAlways(text="Не оферта.", language="ru"), Instruct(text="Be merry."))
    peer.reply_with("Repairs of a bicycle take two days.")
    for whose in (chatting, services):
        assert (await ask(whose, scope, QUESTIONS["Repairs"], *rules)).text.endswith("[1]\n\nNo offer.")
    assert (await ask(services, scope, QUESTIONS["Ремонт"], *rules)).text.endswith("\n\nNo offer.\n\nНе оферта.")
    assert (await ask(services, scope, "Who wrote Hamlet?", *rules)).text == text("answer.unknown", "en")
    assert "- Be merry." in peer.requests[0].body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"kind": "never_mention"}, "settings.rules[0]"),
        ({"kind": "never_mention", "classes": ["colours"]}, "settings.rules[0].classes[0]"),
        ({"kind": "refuse_topic", "words": []}, "settings.rules[0].words"),
        ({"kind": "say_always", "text": ""}, "settings.rules[0].text"),
        ({"kind": "obey"}, "settings.rules[0].kind"),
        ({"kind": "instruct", "text": "x", "more": 1}, "settings.rules[0]"),
    ],
)
async def test_a_wrong_rule_is_refused_by_its_field(alice: Person, rule: dict[str, object], field: str) -> None:
    """The problem names the place in the list."""
    response = await alice.client.post("/api/v1/assistants", json={"name": "Ruled", "settings": {"rules": [rule]}})
    assert response.status_code == 400
    assert field in response.text


async def test_rules_are_stored_as_they_were_sent(alice: Person) -> None:
    """One of each kind."""
    rules = [
        {"kind": "never_mention", "classes": ["prices"], "words": ["рецепт"], "action": "abstain"},
        {"kind": "refuse_topic", "words": ["politics"], "text": "No politics.", "action": "refuse"},
        {"kind": "say_always", "text": "No offer.", "language": "en"},
        {"kind": "instruct", "text": "Be brief."},
    ]
    made = await alice.client.post("/api/v1/assistants", json={"name": "Ruled", "settings": {"rules": rules}})
    assert made.raise_for_status().json()["settings"]["rules"] == rules
