"""Passages follow the structure of a document, and their offsets are exact."""

from hypothesis import given
from hypothesis import strategies as st

from asissto.ingestion.chunking import Chunk, ChunkSizes, chunk
from asissto.ingestion.parsing import Block, ParsedDocument, _laid_out
from asissto.platform.tokens import count_tokens

SMALL = ChunkSizes(tokens=30, overlap=8, section_tokens=90)
WORDS = {
    "en": ["delivery", "takes", "five", "days", "Moscow", "invoice", "42", "refund", "a", "of"],
    "ru": ["доставка", "занимает", "пять", "дней", "Москва", "счёт", "42", "возврат", "и", "на"],
}


def laid_out(*blocks: Block, title: str = "Guide") -> ParsedDocument:
    text, elements = _laid_out(blocks)
    return ParsedDocument(title, text, elements, None, ())


def texts(document: ParsedDocument, chunks: list[Chunk]) -> list[str]:
    return [document.text[piece.start : piece.end] for piece in chunks]


def documents(language: str) -> st.SearchStrategy[ParsedDocument]:
    words = st.lists(st.sampled_from(WORDS[language]), min_size=1, max_size=40).map(" ".join)
    prose = st.lists(words, min_size=1, max_size=8).map(lambda sentences: ". ".join(sentences) + ".")
    rows = st.lists(st.lists(words, min_size=2, max_size=3).map(" | ".join), min_size=1, max_size=12).map("\n".join)
    titles = st.tuples(words.map(lambda text: text[:60].strip()), st.integers(0, 3))
    block = st.one_of(
        titles.map(lambda title: Block("title", title[0], None, title[1])),
        prose.map(lambda text: Block("text", text)),
        words.map(lambda text: Block("list_item", text)),
        rows.map(lambda text: Block("table", text)),
        rows.map(lambda text: Block("code", text)),
        st.integers(1, 400).map(lambda length: Block("text", WORDS[language][0][0] * length)),
    )
    return st.lists(block, min_size=1, max_size=12).map(lambda blocks: laid_out(*blocks))


def check(document: ParsedDocument, size_of: dict[str, float]) -> None:
    chunks = chunk(document, SMALL)
    assert [piece.ord for piece in chunks] == list(range(len(chunks)))
    assert [piece.start for piece in chunks] == sorted({piece.start for piece in chunks})
    covered = {position for piece in chunks for position in range(piece.start, piece.end)}
    assert {position for position, char in enumerate(document.text) if not char.isspace()} <= covered
    kinds = [None, *(element.kind for element in document.elements)]
    borders = [
        element.start
        for before, element in zip(kinds, document.elements, strict=False)
        if element.kind == "title" and before != "title"
    ]
    for piece, text in zip(chunks, texts(document, chunks), strict=True):
        assert text == text.strip() != ""
        assert not any(piece.section_start < border < piece.section_end for border in borders)
        assert piece.section_start <= piece.start < piece.end <= piece.section_end
        assert piece.tokens == count_tokens(text)
        assert size_of[text] <= 1.5 * SMALL.tokens


@given(documents("en"))
def test_english_passages_cover_every_section_within_their_budget(document: ParsedDocument) -> None:
    """In order, without gaps, never across a heading."""
    check(document, {text: count_tokens(text) for text in texts(document, chunk(document, SMALL))})


@given(documents("ru"))
def test_russian_passages_cover_every_section_within_their_budget(document: ParsedDocument) -> None:
    """Three characters of Russian count for a token."""
    check(document, {text: len(text) / 3 for text in texts(document, chunk(document, SMALL))})


def test_sentences_are_packed_whole_with_the_last_one_repeated() -> None:
    """The overlap is whole sentences."""
    sentences = [f"Sentence number {n} tells about the delivery of order {n}." for n in range(1, 8)]
    document = laid_out(Block("text", " ".join(sentences)))
    chunks = chunk(document, ChunkSizes(tokens=40, overlap=15))
    assert texts(document, chunks) == [" ".join(sentences[0:3]), " ".join(sentences[2:5]), " ".join(sentences[4:7])]


def test_a_passage_bears_the_headings_above_it() -> None:
    """Title, heading path, page and language travel with it; headings without text go with what follows."""
    document = laid_out(
        Block("title", "Guide", 1, 0),
        Block("title", "Доставка", 1, 1),
        Block("title", "Сроки", 2, 2),
        Block("text", "Пять дней.", 2),
        Block("title", "Refunds", 3, 1),
        Block("list_item", "Within 14 days", 3),
    )
    first, second = chunk(document)
    assert texts(document, [first, second]) == [
        "Guide\n\nДоставка\n\nСроки\n\nПять дней.",
        "Refunds\n\nWithin 14 days",
    ]
    assert (first.header, first.heading_path) == ("Guide › Доставка › Сроки", ("Guide", "Доставка", "Сроки"))
    assert (first.page, first.kind, first.language) == (1, "text", "ru")
    assert (second.header, second.heading_path) == ("Guide › Refunds", ("Guide", "Refunds"))
    assert (second.page, second.kind, second.language) == (3, "list_item", "en")


def test_later_groups_of_rows_bear_the_head_of_their_table() -> None:
    """The head row is searched with each group and cited with the first only."""
    rows = ["Item | Price", *(f"Bolt M{n} | {n} roubles" for n in range(1, 13))]
    document = laid_out(Block("table", "\n".join(rows)))
    chunks = chunk(document, ChunkSizes(tokens=40, overlap=8))
    assert "\n".join(texts(document, chunks)) == "\n".join(rows)
    assert [piece.header for piece in chunks] == ["Guide", *["Guide\nItem | Price"] * (len(chunks) - 1)]
    assert len(chunks) > 2
    assert {piece.kind for piece in chunks} == {"table"}


def test_a_list_that_fits_is_not_cut() -> None:
    """It begins a passage of its own, with its lead-in repeated."""
    items = [Block("list_item", f"option number {n}") for n in range(6)]
    prose = "Our shop sends every parcel on the same day. It tells you when it arrives. "
    document = laid_out(Block("text", prose * 2 + "You may choose:"), *items)
    chunks = chunk(document, ChunkSizes(tokens=40, overlap=10))
    assert texts(document, chunks)[-1] == "You may choose:\n\n" + "\n".join(item.text for item in items)


def test_a_short_rest_joins_the_passage_before() -> None:
    """No passage of a few words at the end of a section."""
    sentence = "The parcel is sent on the same day and arrives within a week."
    document = laid_out(Block("text", " ".join([sentence] * 3) + " Call us."))
    assert texts(document, chunk(document, ChunkSizes(tokens=42, overlap=10))) == [document.text]


def test_a_heading_is_not_left_alone_before_a_long_sentence() -> None:
    """The sentence may exceed the budget by the heading."""
    sentence = "Each" + " parcel" * 35 + "."
    document = laid_out(Block("title", "Delivery terms"), Block("text", f"{sentence} {sentence}"))
    chunks = chunk(document, ChunkSizes(tokens=38, overlap=8))
    assert texts(document, chunks) == [f"Delivery terms\n\n{sentence}", sentence]


def test_an_endless_word_is_cut_and_stays_cheap() -> None:
    """A megabyte without a space, as a hostile or broken file has it."""
    document = laid_out(Block("text", "x" * 1_000_000))
    chunks = chunk(document)
    assert [piece.end for piece in chunks[:-1]] == [piece.start for piece in chunks[1:]]
    assert (chunks[0].start, chunks[-1].end) == (0, 1_000_000)
    assert max(piece.tokens for piece in chunks) <= 200


def test_the_section_around_a_passage_is_whole_where_it_fits_and_a_window_where_not() -> None:
    """A reader is shown more than what was found."""
    sentences = " ".join(f"Sentence number {n} tells about the delivery of order {n}." for n in range(60))
    document = laid_out(Block("title", "A"), Block("text", "Short."), Block("title", "B"), Block("text", sentences))
    first, *_, last = chunk(document, SMALL)
    assert document.text[first.section_start : first.section_end] == "A\n\nShort."
    assert last.section_end == len(document.text)
    assert count_tokens(document.text[last.section_start : last.section_end]) <= SMALL.section_tokens
    assert last.section_start < last.start
