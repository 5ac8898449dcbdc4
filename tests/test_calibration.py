"""Calibration keeps its word: confidence reads as a probability, and the budget of false answers holds later on."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asissto.platform.entrypoints.calibrating import Asked, calibrate_here
from asissto.platform.errors import CalibrationUnsupported, NotFound
from asissto.platform.services import Services
from asissto.retrieval.assistants import AssistantSettings, first_assistant
from asissto.retrieval.calibration import Fitted, Labelled, calibrate, fit, save
from asissto.retrieval.confidence import Calibration
from asissto.retrieval.evaluation import SetPassage, load_passages
from asissto.retrieval.publishing import AssistantPatch, change_at_once
from asissto.retrieval.reliability import questions_needed, upper_bound
from people import Person


@pytest.mark.parametrize(
    ("false_answers", "unanswerable", "bound"),
    [(0, 18, 0.1533), (0, 59, 0.0495), (0, 60, 0.0487), (1, 100, 0.0466), (5, 100, 0.1023), (3, 3, 1.0), (0, 0, 1.0)],
)
def test_the_upper_bound_is_that_of_the_tables(false_answers: int, unanswerable: int, bound: float) -> None:
    """Clopper and Pearson, one-sided at 95 %; with none of n it is 1 - .05 ** (1 / n)."""
    assert upper_bound(false_answers, unanswerable) == pytest.approx(bound, abs=1e-3)


@pytest.mark.parametrize(("budget", "needed"), [(0.05, 59), (0.1, 29), (0.2, 14)])
def test_a_budget_needs_so_many_questions(budget: float, needed: int) -> None:
    """With as many it can be shown, with one less it cannot."""
    assert questions_needed(budget) == needed
    assert upper_bound(0, needed) <= budget < upper_bound(0, needed - 1)


def drawn(count: int, seed: int, *, bend: float = 2.0) -> tuple[list[float], list[bool]]:
    """Raw confidence that is too timid: the odds of an answer are its odds to the power of `bend`."""
    chance = np.random.default_rng(seed)
    raw = chance.beta(2, 2, count)
    true = 1 / (1 + ((1 - raw) / raw) ** bend)
    return raw.tolist(), [bool(hit) for hit in chance.random(count) < true]


def test_confidence_becomes_a_probability() -> None:
    """The fit finds the slope that the questions were drawn with, and promises what comes true."""
    fitted = fit(*drawn(4000, seed=1), 0.05)
    assert fitted.calibration is not None
    assert fitted.calibration.slope == pytest.approx(2.0, abs=0.15)
    assert fitted.calibration.intercept == pytest.approx(0.0, abs=0.1)
    assert fitted.error < 0.03 < fitted.error_before


def test_the_budget_holds_on_other_questions() -> None:
    """Of 60 calibrations three may break it, a few more by bad luck; and the threshold is no higher than it must be."""
    broken = 0
    shares = []
    for seed in range(60):
        calibration = fit(*drawn(300, seed), 0.1).calibration
        assert calibration is not None
        raw, known = drawn(4000, seed=10_000 + seed)
        wrong = [calibration.confidence(each) >= calibration.least_confidence for each in raw]
        share = sum(yes for yes, good in zip(wrong, known, strict=True) if not good) / known.count(False)
        shares.append(share)
        broken += share > 0.1
    assert broken <= 7
    assert 0.03 < np.mean(shares) < 0.1


def test_what_few_questions_cannot_show_is_not_promised() -> None:
    """Eighteen questions without an answer show .153 at best, and the fit says so."""
    raw, known = [0.9] * 30 + [0.1] * 18, [True] * 30 + [False] * 18
    fitted = fit(raw, known, 0.05)
    assert fitted.calibration is None
    assert round(fitted.supported_budget, 3) == 0.153
    enough = fit(raw, known, 0.16).calibration
    assert enough is not None
    assert enough.upper_bound <= 0.16
    assert enough.confidence(0.1) < enough.least_confidence < enough.confidence(0.9)


@pytest.mark.parametrize("known", [[True] * 5, [False] * 5])
def test_questions_of_one_kind_teach_nothing(known: list[bool]) -> None:
    """There is nothing to tell apart."""
    with pytest.raises(CalibrationUnsupported):
        fit([0.5] * 5, known, 0.05)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60), st.floats(0.05, 0.5))
def test_any_labels_give_a_calibration_in_order(labelled: list[tuple[float, bool]], budget: float) -> None:
    """More raw confidence is never less of it afterwards, and no more is answered than the bound allows."""
    raw, known = [score for score, _ in labelled], [label for _, label in labelled]
    if len(set(known)) == 1:
        return
    calibration = fit(raw, known, budget).calibration
    if calibration is None:
        return
    sure = [calibration.confidence(score) for score in sorted(raw)]
    assert sure == sorted(sure)
    wrong = sum(calibration.confidence(score) >= calibration.least_confidence for score, label in labelled if not label)
    assert upper_bound(wrong, known.count(False)) <= budget


PLACES = ("Казань", "Самара", "Пермь", "Омск", "Томск", "Тверь", "Рязань", "Калуга", "Псков", "Вологда")
LABELLED = [
    *(Labelled(f"Сколько стоит доставка в город {place}?") for place in PLACES),
    *(Labelled(f"Кто написал оперу про город {place}?", answerable=False) for place in PLACES),
]


@pytest.fixture
async def answering(services: Services, alice: Person) -> Services:
    texts = [f"Доставка в город {place} стоит {300 + 10 * at} рублей." for at, place in enumerate(PLACES)]
    passages = [SetPassage(id=str(at), doc=str(at), text=text) for at, text in enumerate(texts)]
    await load_passages(services, alice.tenant_id, passages, lambda *_: None)
    return services


async def calibrated(services: Services, person: Person, budget: float) -> Fitted:
    async with services.database.tenant(person.tenant_id) as session:
        assistant = await first_assistant(session, person.tenant_id)
    return await calibrate(services, person.tenant_id, assistant.id, LABELLED, budget)


async def test_an_assistant_answers_by_its_calibration(
    answering: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Saved as a version of its own; the receipt tells raw and calibrated confidence and what judged."""
    fitted = await calibrated(answering, alice, 0.3)
    assert fitted.calibration is not None
    assert (fitted.questions, fitted.unanswerable, fitted.auroc) == (20, 10, 1.0)
    async with answering.database.tenant(alice.tenant_id) as session:
        assistant = await first_assistant(session, alice.tenant_id)
        saved = await save(session, alice.tenant_id, assistant.id, fitted, None)
        assert saved.version == 2
    address = f"/api/v1/assistants/{assistant.id}"
    shown = (await alice.client.get(address)).json()["settings"]["calibration"]
    assert msgspec.convert(shown, Calibration) == fitted.calibration
    answer = (await alice.client.post(f"{address}/ask", json={"question": LABELLED[0].question})).json()
    receipt = await superuser.fetchval("SELECT details FROM receipts WHERE message_id = $1", answer["message_id"])
    told = json.loads(receipt)["confidence"]
    assert (answer["answered"], told["zone"], told["threshold"]) == (
        True,
        "high",
        round(fitted.calibration.least_confidence, 4),
    )
    assert told["confidence"] == pytest.approx(fitted.calibration.confidence(told["raw"]), abs=1e-3)
    assert told["calibration"] == fitted.calibration.fitted_at.isoformat()


async def test_what_was_not_shown_is_not_saved(answering: Services, alice: Person) -> None:
    """Ten questions without an answer are too few for a share of .05."""
    fitted = await calibrated(answering, alice, 0.05)
    async with answering.database.tenant(alice.tenant_id) as session:
        assistant = await first_assistant(session, alice.tenant_id)
        with pytest.raises(CalibrationUnsupported) as refused:
            await save(session, alice.tenant_id, assistant.id, fitted, None)
        assert assistant.version == 1
    assert refused.value.params == {"unanswerable": 10, "budget": "0.05", "supported": "0.259", "needed": 59}


async def test_a_calibration_of_another_tenant_cannot_be_made(
    answering: Services, alice: Person, charlie: Person
) -> None:
    """The assistant is not found there."""
    async with answering.database.tenant(alice.tenant_id) as session:
        assistant = await first_assistant(session, alice.tenant_id)
    with pytest.raises(NotFound):
        await calibrate(answering, charlie.tenant_id, assistant.id, LABELLED, 0.3)


def write(folder: Path, **lines: list[dict[str, Any]]) -> Path:
    for name, objects in lines.items():
        text = "\n".join(json.dumps(each, ensure_ascii=False) for each in objects)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


async def test_the_command_calibrates_the_named_assistant(
    answering: Services, alice: Person, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Over its own documents where the folder has questions only; `--json` is one object with what was saved."""
    async with answering.database.tenant(alice.tenant_id) as session:
        assistant = await first_assistant(session, alice.tenant_id)
        await change_at_once(
            session, alice.tenant_id, assistant.id, AssistantPatch(name="Магазин", settings=AssistantSettings()), None
        )
    folder = write(
        tmp_path, questions=[{"question": each.question, "answerable": each.answerable} for each in LABELLED]
    )
    asked = Asked(folder=folder, name="Магазин", budget=0.3, save=True, as_json=True)
    await calibrate_here(answering, alice.tenant_id, asked)
    told = json.loads(capfd.readouterr().out)
    kept = told["fitted"]["calibration"]
    assert (told["assistant"], told["version"], kept["questions"], kept["own_documents"]) == ("Магазин", 3, 20, True)
    assert datetime.fromisoformat(kept["fitted_at"]).tzinfo is not None
    with pytest.raises(NotFound):
        await calibrate_here(answering, alice.tenant_id, msgspec.structs.replace(asked, name="Нет такого"))


async def test_a_set_with_passages_is_asked_in_its_own(
    services: Services, alice: Person, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As in an evaluation, without the passages left out there; the calibration says whose documents they were."""
    passages: list[dict[str, Any]] = [
        {"id": str(at), "doc": str(at), "text": f"Склад {at} открыт с {at} часов."} for at in range(6, 18)
    ]
    passages += [{"id": "x", "doc": "x", "text": "Парковка бесплатна.", "removed_in_abstain": True}]
    questions: list[dict[str, Any]] = [{"question": f"Когда открыт склад {at}?"} for at in range(6, 18)]
    questions += [{"question": "Парковка бесплатна?", "answerable_in_abstain": False}] * 9
    folder = write(tmp_path, passages=passages, questions=questions)
    asked = Asked(folder=folder, name=None, budget=0.3, save=False, as_json=True)
    await calibrate_here(services, alice.tenant_id, asked)
    told = json.loads(capfd.readouterr().out)
    assert (told["version"], told["fitted"]["calibration"]["own_documents"]) == (None, False)
    assert (told["fitted"]["questions"], told["fitted"]["unanswerable"], told["fitted"]["auroc"]) == (21, 9, 1.0)
