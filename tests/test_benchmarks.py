"""The benchmarks' own arithmetic and data; how fast anything is, is not asserted."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a script of that folder runs."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def workload(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Without the shared sets, so that the texts are invented."""
    module = importlib.import_module("workload")
    monkeypatch.setattr(module, "SETS", tmp_path / "none")
    return module


@pytest.fixture
def ingest() -> ModuleType:
    return importlib.import_module("ingest")


@pytest.fixture
def search() -> ModuleType:
    return importlib.import_module("search")


@pytest.mark.parametrize("script", ["ingest.py", "search.py", "answer.py"])
def test_script_explains_itself(script: str) -> None:
    """With its options, and without starting anything."""
    shown = subprocess.run(
        [sys.executable, BENCHMARKS / script, "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert {"--passages", "--rounds", "--json"} <= set(shown.stdout.split())


def test_chunking_explains_itself_and_counts_the_gold_within_the_budget() -> None:
    """Characters of passages of other documents use the budget up and cover nothing."""
    script = BENCHMARKS / "chunking.py"
    shown = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert {"--questions", "--set", "--json"} <= set(shown.stdout.split())
    chunking = importlib.import_module("chunking")
    gold = chunking.Asked("?", "a", [chunking.Span(10, 30)])
    found = [SimpleNamespace(version_id=id_, start=start, end=start + 10) for id_, start in ((1, 10), (2, 20), (1, 20))]
    assert [chunking._covered(gold, 1, found, budget) for budget in (5, 10, 20, 25, 100)] == [0.25, 0.5, 0.5, 0.75, 1.0]


def test_workload_is_the_same_each_time(workload: ModuleType, tmp_path: Path) -> None:
    """Both sides read it from files, and a later run can be compared with an earlier one."""
    made = workload.make_workload(20, 10, 3)
    workload.save(made, tmp_path)
    again, read = workload.make_workload(20, 10, 3), workload.load(tmp_path)
    assert made.texts == again.texts == read.texts
    assert made.questions == again.questions == read.questions
    np.testing.assert_array_equal(made.vectors, read.vectors)
    np.testing.assert_array_equal(made.question_vectors, again.question_vectors)


def test_workload_has_what_was_asked_for(workload: ModuleType) -> None:
    """Passages of some 750 characters, unit vectors, questions in words that occur."""
    made = workload.make_workload(20, 10, 3)
    assert (len(made.texts), len(made.questions)) == (30, 3)
    assert made.vectors.shape == (30, 384)
    np.testing.assert_allclose(np.linalg.norm(made.vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(made.question_vectors, axis=1), 1, rtol=1e-5)
    assert all(750 <= len(text) < 1200 for text in made.texts)
    assert set(" ".join(made.questions).split()) <= set(" ".join(made.texts[:20]).split())


def test_documents_stay_below_their_limit(workload: ModuleType) -> None:
    """One at least, even where the first is longer."""
    assert len(workload.documents(1)) == 1
    assert sum(map(len, workload.documents(30_000))) <= 30_000


def test_books_are_the_same_texts_in_longer_pieces(workload: ModuleType) -> None:
    """In their order, none longer than needed."""
    assert workload.books(["a" * 6, "b" * 6, "c"], 10) == ["a" * 6 + "\n\n" + "b" * 6, "c"]


def test_nearest_are_the_greatest_cosines(workload: ModuleType) -> None:
    """Best first."""
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    assert workload.nearest(vectors, np.array([[0.6, 0.8], [1, 0]], np.float32), 2) == [[1, 2], [0, 1]]


def test_recall_is_the_share_of_the_exact_rows(workload: ModuleType) -> None:
    """Whatever their order, and whatever else was found."""
    assert workload.recall([[2, 1], [7, 9]], [[1, 2], [9, 8]]) == 0.75


def test_documents_cover_all_rows() -> None:
    """The last one is shorter."""
    assert importlib.import_module("arena").parts(5, 12, 3) == [(5, 8), (8, 11), (11, 12)]


def test_storing_is_compared_by_rows_a_second(ingest: ModuleType) -> None:
    """The peer's one process has one peak, shown once."""
    speeds = {"ours": 3000.0, "hybrid": 1000.0, "plain": 1500.0}
    assert ingest.compare_storing(speeds, {"ours": 90.0, "hybrid": 120.0}) == [
        ingest.Storing("ours", 3000.0, 90.0, 1.0),
        ingest.Storing("hybrid", 1000.0, 120.0, 3.0),
        ingest.Storing("plain", 1500.0, None, 2.0),
    ]


def test_ingesting_is_told_by_its_middle_round(ingest: ModuleType) -> None:
    """By what it takes beyond embedding."""
    rounds = [{"seconds": seconds, "embedding": 2.0, "passages": 8} for seconds in (3.0, 2.5, 9.0)]
    assert ingest.ingesting("ours", rounds) == ingest.Ingesting("ours", 8, 3.0, 2.0, 0.5)


def test_searching_is_compared_by_its_95th_percentile(search: ModuleType) -> None:
    """Milliseconds, medians over the rounds; recall where only vectors are searched."""
    variants = [search.Variant("a", words=False, dense=True, rival="b"), search.Variant("b", words=True, dense=True)]
    rounds = {
        "a": [[(0.001, [1, 2]), (0.001, [3, 4])]] * 3,
        "b": [[(seconds, [1])] * 2 for seconds in (0.004, 0.002, 0.009)],
    }
    assert search.compare(rounds, [[1, 2], [3, 9]], variants) == [
        search.Row("a", 1.0, 1.0, 0.75, 4.0),
        search.Row("b", 4.0, 4.0, None, None),
    ]


def test_answers_are_told_by_step_and_by_language() -> None:
    """Shares are of the time of all answers; a question counts where its own row is found."""
    answer = importlib.import_module("answer")
    told = [{"search": 3.0, "read": 1.0, "total": 4.0}, {"search": 5.0, "total": 6.0}]
    assert answer.share(told) == [answer.Step("search", 4.0, 4.9, 0.8), answer.Step("read", 0.5, 0.95, 0.1)]
    labelled = SimpleNamespace(gold=[7, 8, 9], languages=["en", "ru", "en"])
    taken = [(0.1, [7, 1]), (0.1, [1, 8]), (0.1, [1, 2])]
    assert answer._hits(taken, labelled, 1) == {"en": 0.5, "ru": 0.0}
    assert answer._hits(taken, labelled, 2) == {"en": 0.5, "ru": 1.0}


async def test_labelled_passages_answer_their_questions(workload: ModuleType, tmp_path: Path) -> None:
    """Invented ones too: the words of a question stand in its own row; the same numbers give the same."""
    labelled = importlib.import_module("labelled")
    made, again = [await labelled.make_labelled(12, 4, 3, tmp_path / "models") for _ in range(2)]
    assert (made.work.texts, made.gold) == (again.work.texts, again.gold)
    assert (len(made.work.texts), made.work.vectors.shape, len(made.gold)) == (12, (12, 384), 3)
    np.testing.assert_allclose(np.linalg.norm(made.work.vectors, axis=1), 1, rtol=1e-5)
    for question, row in zip(made.work.questions, made.gold, strict=True):
        assert row < 4
        assert set(question.strip("?").split()) <= set(made.work.texts[row].lower().replace(".", "").split())
    twice = labelled.repeated(made.work, 0, 4)
    assert (twice.texts[12:], twice.language(15)) == (made.work.texts[:4], "en")


def test_process_answers_line_by_line(tmp_path: Path) -> None:
    """What a library prints does not get between the answers."""
    script = tmp_path / "child.py"
    script.write_text("import contest\ncontest.serve(lambda method, **values: print('noise') or [method, values])\n")
    side = importlib.import_module("contest").Side(Path(sys.executable), script, path=str(BENCHMARKS))
    assert [side.call("store", first=1), side.call("peak_mb")] == [["store", {"first": 1}], ["peak_mb", {}]]
    side.close()


def test_peak_is_this_process_s_own() -> None:
    """In MB, as the kernel has seen it."""
    resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    resident = resident_pages * os.sysconf("SC_PAGE_SIZE") / 1024**2
    assert resident * 0.9 < importlib.import_module("contest").peak_mb() < 100_000
