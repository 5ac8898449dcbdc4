"""From the ranked passages to those that an answer stands on: whole, different, and as many as fit."""

from uuid import UUID

import asyncpg
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from asissto.platform.services import Services
from asissto.platform.tokens import count_tokens
from asissto.retrieval.answering import answer_question
from asissto.retrieval.passages import Part, Passage, Scores, Surroundings
from asissto.retrieval.quoting import cite
from asissto.retrieval.scopes import whole_workspace
from asissto.retrieval.selecting import join_neighbours, select_passages
from people import Person
from test_ingestion import publish
from test_passages import about, edit

STORED = " ".join(
    f"Sentence number {number} of the stored text says {'abcdefgh'[number % 8] * 5}." for number in range(40)
)


def passage(
    number: int, start: int, end: int, *, document: int = 0, text: str | None = None, edited: bool = False
) -> Passage:
    """A cut of STORED, whose section is all of it, or a text of its own."""
    around = Surroundings(start=0, end=len(STORED), edited=edited, following=STORED[end : end + 8])
    return Passage(
        chunk_id=UUID(int=number),
        document_id=UUID(int=document),
        version_id=UUID(int=document),
        title="T",
        heading_path=(),
        page=number,
        kind="text",
        language="en",
        text=STORED[start:end] if text is None else text,
        start=start,
        end=end,
        scores=Scores(lexical=1, dense=None, fused=1),
        around=around,
    )


def ids(passages: tuple[Passage, ...] | list[Passage]) -> list[int]:
    return [passage.chunk_id.int for passage in passages]


@given(st.permutations(range(6)), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_neighbours_become_one_cut_of_the_stored_text(order: list[int], gaps: list[int]) -> None:
    """In the place of the best of them, however they overlap; each offset belongs to the chunk that holds it."""
    cuts, start = list[tuple[int, int]](), 0
    for number, overlap in enumerate([0, *gaps]):
        start = start - 20 if overlap == 1 and number else start
        cuts.append((start, start + 200))
        start += 200 if overlap < 2 else 230
    chunks = [passage(number, *cut) for number, cut in enumerate(cuts)]
    ranked = [chunks[number] for number in order]
    joined = join_neighbours(ranked)
    assert all(each.text == STORED[each.start : each.end] for each in joined)
    assert sorted(
        part for each in joined for part in (ids([each]) if not each.parts else [p.chunk_id.int for p in each.parts])
    ) == list(range(6))
    assert ids(joined) == [number for number in order if number in ids(joined)]
    for each in joined:
        for at in range(each.start, each.end, 7):
            held = chunks[each.at(at).chunk_id.int]
            assert held.start <= at < held.end or STORED[at].isspace()


def test_only_a_space_may_lie_between_neighbours() -> None:
    """Words between them, an edit, another section or another document keep them apart."""
    first = passage(1, 0, 48)
    assert STORED[48] == " "
    assert ids(join_neighbours([first, passage(2, 49, 97)])) == [1]
    apart = [passage(2, 52, 97), passage(2, 49, 97, edited=True), passage(2, 49, 97, document=1)]
    assert [ids(join_neighbours([first, other])) for other in apart] == [[1, 2]] * 3
    section = msgspec.structs.replace(first, around=Surroundings(start=0, end=48, following=STORED[48:56]))
    assert ids(join_neighbours([section, passage(2, 49, 97)])) == [1, 2]


REFUND = "A refund reaches the bank card within three working days. It is paid in full."


def text(number: int, words: str, document: int | None = None) -> Passage:
    start = 1_000 * number
    alone = passage(number, start, start + len(words), document=number if document is None else document, text=words)
    return msgspec.structs.replace(alone, around=None)


def test_a_repeat_is_left_out_and_another_number_is_no_repeat() -> None:
    """Case, signs and a missing sentence make no difference; one other word or figure does."""
    ranked = [
        text(1, REFUND),
        text(2, REFUND.upper().replace(".", "!")),
        text(3, "A refund reaches the bank card within three working days."),
        text(4, REFUND.replace("three", "five")),
        text(5, f"{REFUND} Ask us."),
    ]
    chosen = select_passages(ranked, 6, 3_000)
    assert ids(chosen.kept) == [1, 4, 5]
    assert [(left.passage.chunk_id.int, left.why) for left in chosen.left] == [(2, "duplicate"), (3, "duplicate")]


def test_a_long_document_leaves_room_for_others() -> None:
    """Three of a document while there are others, then more of it; best first."""
    words = ["one", "two", "three", "four", "five"]
    ranked = [text(number, f"About {word}.", document=0) for number, word in enumerate(words)]
    assert ids(select_passages(ranked, 4, 3_000).kept) == [0, 1, 2, 3]
    ranked += [text(7, "About seven.", document=1), text(8, "About eight.", document=1)]
    chosen = select_passages(ranked, 4, 3_000)
    assert ids(chosen.kept) == [0, 1, 2, 7]
    assert [(left.passage.chunk_id.int, left.why) for left in chosen.left] == [(8, "limit"), (3, "limit"), (4, "limit")]


def test_the_budget_counts_tokens_and_never_empties() -> None:
    """A passage that does not fit gives way to the next one that does; the best one is always kept."""
    long = " ".join(f"word{number}" for number in range(300))
    ranked = [text(1, long), text(2, f"Also {long}"), text(3, "Short.")]
    assert ids(select_passages(ranked, 6, 200).kept) == [1]
    chosen = select_passages(ranked, 6, count_tokens(long) + 10)
    assert ids(chosen.kept) == [1, 3]
    assert [(left.passage.chunk_id.int, left.why) for left in chosen.left] == [(2, "budget")]


def test_a_short_passage_is_shown_with_its_section() -> None:
    """Where the budget allows; a passage that the section holds already goes."""
    around = Surroundings(
        start=0, end=150, section=STORED[:150], parts=(Part(UUID(int=9), 0, 100), Part(UUID(int=1), 100, 150, 4))
    )
    short = msgspec.structs.replace(passage(1, 100, 150), around=around)
    inside = msgspec.structs.replace(passage(2, 10, 60), around=None)
    (wide,) = select_passages([short, inside], 6, 3_000).kept
    assert (wide.text, wide.start, wide.end) == (STORED[:150], 0, 150)
    assert (wide.at(20).chunk_id, wide.at(120).page) == (UUID(int=9), 1)
    narrow = select_passages([short], 6, count_tokens(short.text) + 1).kept
    assert narrow[0].text == short.text


def test_a_citation_names_the_chunk_that_holds_its_beginning() -> None:
    """With the page of that chunk, whichever chunk was found best."""
    (joined,) = join_neighbours([passage(2, 49, 97), passage(1, 0, 48)])
    first, second = cite(1, joined, (9, 40), 1.0, "en"), cite(2, joined, (60, 90), 1.0, "en")
    assert (first.passage.chunk_id.int, first.locator, first.quote) == (1, "p. 1", STORED[9:40])
    assert (second.passage.chunk_id.int, second.locator, second.quote) == (2, "p. 2", STORED[60:90])


UNICYCLES = (
    "Unicycles rest upstairs beside the parrots of the owner, who likes company and tells them about the summer."
)
LONG = "# Bicycles\n\n" + " ".join(
    f"Rule {number} of the bicycle rental concerns the {part} and must be kept by all who rent for {number} days."
    for number, part in enumerate(["saddle", "pedal", "wheel", "lock", "chain", "lamp", "bell", "brake"] * 4, 1)
)


async def test_merged_passages_are_cuts_of_what_is_stored(
    services: Services, alice: Person, superuser: asyncpg.Connection
) -> None:
    """Found, joined and cited over the real index; the receipt tells the parts, and the chunk knows its citation."""
    document = await publish(services, alice, "bicycles.md", LONG)
    scope = await whole_workspace(services, alice.tenant_id)
    answer = await answer_question(services, scope, "Which rule of the bicycle rental concerns the chain?", [])
    stored = await superuser.fetchval("SELECT text FROM document_versions WHERE id = $1", answer.found[0].version_id)
    spans = {
        str(row["id"]): (row["start_offset"], row["end_offset"])
        for row in await superuser.fetch("SELECT * FROM chunks")
    }
    kept = answer.details["search"]["kept"]
    assert any(len(each["parts"]) > 1 for each in kept)
    assert answer.citations
    for citation in answer.citations:
        assert citation.passage.text == stored[citation.passage.start : citation.passage.end]
        assert citation.quote == stored[citation.start : citation.end]
        start, end = spans[str(citation.passage.chunk_id)]
        assert start <= citation.start < end
    assert str(answer.found[0].document_id) == document["id"]


async def test_the_section_never_shows_what_was_switched_off(services: Services, alice: Person) -> None:
    """A short passage is widened to its section until somebody switches off or edits another part of it."""
    filler = " ".join(
        f"The storage of winter bicycles number {number} is dry, warm and guarded day and night."
        for number in range(12)
    )
    document = await publish(
        services,
        alice,
        "winter.md",
        f"# Winter\n\n{filler} {UNICYCLES}",
    )
    scope = await whole_workspace(services, alice.tenant_id)
    question = "Where do unicycles rest upstairs?"
    before = (await answer_question(services, scope, question, [])).found[0]
    assert before.around is not None
    assert before.around.section is not None
    assert "number 3" in before.around.section
    other = await about(alice, document, "number 0 is")
    await edit(alice, other, enabled=False)
    after = (await answer_question(services, scope, question, [])).found[0]
    assert after.around is not None
    assert after.around.section is None
