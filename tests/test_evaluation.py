"""Evaluation: its figures are those that one works out by hand."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from asissto.platform.entrypoints.evaluating import measure
from asissto.platform.services import Services
from asissto.platform.tables import Tenant
from asissto.retrieval.evaluation import Figures, FileFigures, folded
from asissto.retrieval.reliability import auroc

PASSAGES = {
    "p1": ("Первый склад", "Отвёртка лежит на складе."),
    "p2": ("Второй склад", "Молоток лежит на полке. Пила висит на стене."),
    "p3": ("Третий склад", "Лестница стоит во дворе."),
    "p4": ("Четвёртый склад", "Краска хранится в подвале."),
}


def write_set(folder: Path, **files: list[dict[str, Any]]) -> Path:
    for name, lines in files.items():
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def passages(*left_out: str) -> list[dict[str, Any]]:
    return [
        {"id": name, "doc": name, "title": title, "text": text, "removed_in_abstain": name in left_out}
        for name, (title, text) in PASSAGES.items()
    ]


def question(number: int, text: str, gold: list[str], answer: str | None = None, **more: Any) -> dict[str, Any]:
    answers = [] if answer is None else [{"text": answer}]
    return {"id": str(number), "question": text, "gold_passages": gold, "answers": answers, **more}


def ignore(_label: str, _done: int, _total: int) -> None: ...


async def figures(services: Services, folder: Path) -> Figures:
    return await measure(services, folder, ignore)


async def test_ranking_and_sentences_are_measured_as_defined(services: Services, tmp_path: Path) -> None:
    """One question has its passage first, one has it nowhere, one has one of two gold passages."""
    questions = [
        question(1, "Где лежит отвёртка?", ["p1"], "на складе"),
        question(2, "Где лежит молоток?", ["p4"], "в подвале"),
        question(3, "Где стоит лестница?", ["p3", "p4"], "во дворе"),
        question(4, "Где висит пила?", ["p2"], "НА СТЕНЕ!"),
    ]
    got = await figures(services, write_set(tmp_path, passages=passages(), questions=questions))
    two_gold = 1 / (1 + 1 / math.log2(3))
    assert got.questions == 4
    # "лежит" stands in p1 and p2: the second question gets both of them, and not its gold passage.
    assert (got.recall_at_1, got.recall_at_5, got.recall_at_10) == (0.625, 0.625, 0.625)
    assert got.mrr_at_10 == 0.75
    assert got.ndcg_at_10 == round((1 + 0 + two_gold + 1) / 4, 4)
    assert (got.sentence_hit_at_1, got.sentence_hit_at_3) == (0.75, 0.75)


async def test_a_gold_passage_in_second_place_counts_by_its_rank(services: Services, tmp_path: Path) -> None:
    """Half for the reciprocal rank, 1/log2(3) for nDCG."""
    questions = [question(1, "Где лежит молоток?", ["p1"])]
    got = await figures(services, write_set(tmp_path, passages=passages(), questions=questions))
    assert (got.recall_at_1, got.recall_at_5, got.mrr_at_10) == (0.0, 1.0, 0.5)
    assert got.ndcg_at_10 == round(1 / math.log2(3), 4)
    assert (got.sentence_hit_at_1, got.sentence_hit_at_3) == (None, None)


async def test_dialogs_are_measured_apart(services: Services, tmp_path: Path) -> None:
    """A follow-up that is found by its history alone counts there, and not among the questions."""
    history = [{"role": "user", "text": "Где лежит молоток?"}, {"role": "assistant", "text": "На полке."}]
    dialogs = [question(1, "А лестница?", ["p3"], history=history), question(2, "А он дорогой?", ["p2"], history=[])]
    questions = [question(1, "Где лежит отвёртка?", ["p1"])]
    folder = write_set(tmp_path, passages=passages(), questions=questions, dialogs=dialogs)
    got = await figures(services, folder)
    assert (got.questions, got.recall_at_5, got.dialog_recall_at_5) == (1, 1.0, 0.5)
    dialogs[1]["history"] = history
    got = await figures(services, write_set(tmp_path, dialogs=dialogs))
    assert got.dialog_recall_at_5 == 1.0


async def test_abstention_is_measured_with_the_passages_left_out(services: Services, tmp_path: Path) -> None:
    """Of the questions whose passage is gone none should be answered, of the others all."""
    questions = [
        question(1, "Где лежит отвёртка?", ["p1"], answerable_in_abstain=True),
        question(2, "Где лестница стремянка?", ["p3"], answerable_in_abstain=False),
        question(3, "Где хранится краска?", ["p4"], answerable_in_abstain=True),
    ]
    got = await figures(services, write_set(tmp_path, passages=passages("p3"), questions=questions))
    assert (got.recall_at_1, got.answered_share, got.false_answer_rate) == (1.0, 1.0, 0.0)
    assert got.abstention_auroc == 1.0


async def test_spans_of_long_documents_count_by_their_characters(services: Services, tmp_path: Path) -> None:
    """A span in the passage that is found counts whole, one that no passage covers not at all."""
    text = "The red crane lifts stones.\n\nThe blue crane lifts wood."
    spans = [{"start": 0, "end": 27}, {"start": len(text), "end": len(text) + 27}]
    questions = [{"question": "What does the red crane lift?", "gold_doc": "cranes", "spans": spans}]
    got = await figures(services, write_set(tmp_path, documents=[{"id": "cranes", "text": text}], questions=questions))
    assert (got.questions, got.recall_at_1, got.recall_at_5, got.recall_at_10) == (1, 0.5, 0.5, 0.5)


async def test_files_and_facts_are_counted(services: Services, tmp_path: Path) -> None:
    """A fact counts as found in the file's text, among the first passages, and in the quote."""
    (tmp_path / "shop.txt").write_text("The shop opens at nine. Delivery takes three days.")
    (tmp_path / "none.txt").write_text("")
    opens = {"question": "When does the shop open?", "span": "at NINE"}
    takes = {"question": "How long does delivery take?", "span": "four days"}
    lines: list[dict[str, Any]] = [
        {"file": "shop.txt", "expect": "ok", "facts": [opens, takes]},
        {"file": "none.txt", "expect": "empty", "facts": []},
    ]
    got = await figures(services, write_set(tmp_path, manifest=lines))
    counted = (got.files, got.files_as_expected, got.facts, got.facts_found, got.facts_in_top_5, got.facts_quoted)
    assert counted == (2, 2, 2, 1, 1, 1)
    assert got.per_file == [
        FileFigures(
            "shop.txt", "ok", "ready", True, 2, 1, 1, 1, ["How long does delivery take? (not in the first five)"]
        ),
        FileFigures("none.txt", "empty", "document_empty", True, 0),
    ]


async def test_nothing_remains_of_a_measurement(services: Services, tmp_path: Path) -> None:
    """Workspaces and files are gone, also when the set was broken."""

    async def tenants() -> int | None:
        async with services.database.system() as session:
            return await session.scalar(select(func.count()).select_from(Tenant))

    before = await tenants()
    folder = write_set(tmp_path, passages=passages(), questions=[{"id": "1"}])
    with pytest.raises(Exception, match="question"):
        await figures(services, folder)
    assert await tenants() == before
    assert list((services.settings.data_dir / "files").rglob("*")) == []


@pytest.mark.parametrize(
    ("positive", "negative", "expected"),
    [([3, 4], [1, 2], 1.0), ([1, 2], [3, 4], 0.0), ([1], [1], 0.5), ([1, 3], [2, 2], 0.5), ([2, 3], [2, 1], 0.875)],
)
def test_auroc_is_the_chance_of_a_right_order(positive: list[float], negative: list[float], expected: float) -> None:
    """Counted over all pairs, ties as halves."""
    assert auroc(positive, negative) == expected


def test_answers_are_compared_by_letters_and_digits() -> None:
    """White space, punctuation, case and ё do not count."""
    assert folded("  Пётр | I: 1 000 €!") == "петрi1000"
