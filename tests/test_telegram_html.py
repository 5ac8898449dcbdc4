"""What is said reaches a chat of Telegram whole, in tags that its server takes, within its limits."""

import re

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asissto.channels.contract import Cited, Part, Said
from asissto.channels.telegram_html import MOST_UNITS, render_html, units
from telegram_markup import Entity, Refused, read_text

SITE = Cited(
    number=1,
    title="Delivery",
    locator="Times",
    quote="Parcels take 3 days.",
    url="https://shop.example/delivery?a=1&b=2",
)
FILE = Cited(number=2, title="Rates <2026>.pdf", locator="p. 4", quote="Express costs €9 & up.")
PIECES = [
    *("<b>", "</b>", "<", ">", "&", "&lt;", "&#0;", '"', "<script>", "[1]", "[2]", " [7]", "[1][2][1]", "**", "_", "`"),
    *("```\n", "\n\n", "\n", "- ", "1. ", "> ", "# ", "| a | b |\n|---|---|\n| c | d |\n", "\x07", "\u200f"),
    *("[x](https://a.example/?q=<&>)", "[y](javascript:alert(1))", "😀", "👩\u200d👩\u200d👧", "e\u0301"),
    *("Слово. ", "Ещё одно предложение, подлиннее. ", "word "),
]
ADDRESSES = ["https://a.example/x", "ftp://a.example", "https://a.example/" + "&" * 900]
words = st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=40).map("".join)
cited = st.builds(
    Cited,
    number=st.integers(1, 9),
    title=words,
    locator=words,
    quote=words,
    url=st.none()
    | st.sampled_from(["https://a.example/x", "ftp://a.example", "https://a.example/" + "&" * 900])
    | words,
)
said = st.builds(
    Said,
    text=st.tuples(words, st.sampled_from([1, 1, 30])).map(lambda drawn: drawn[0] * drawn[1]),
    language=st.sampled_from(["ru", "en"]),
    is_markdown=st.booleans(),
    citations=st.lists(cited, max_size=12, unique_by=lambda one: one.number).map(tuple),
    notice=words,
)
patient = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def shown(parts: list[Part]) -> str:
    return "\n".join(read_text(part.text, "HTML").text for part in parts)


def letters(text: str) -> str:
    return "".join(letter for letter in text if letter.isalnum())


def test_an_answer_looks_like_this() -> None:
    """Marks lead to their source where it has an address; the sources unfold; our own sentence stands below."""
    text = "**Delivery** takes 3 days [1], express `EX-9` costs more [2].\n\n- to a _shop_\n- home\n  1. by [lift](https://l.example)"
    answer = Said(text=text, language="en", is_markdown=True, citations=(SITE, FILE), notice="Ask: /help <now>")
    assert render_html(answer) == [
        Part(
            text='<b>Delivery</b> takes 3 days <a href="https://shop.example/delivery?a=1&amp;b=2">[1]</a>, express '
            '<code>EX-9</code> costs more [2].\n\n• to a <i>shop</i>\n• home\n  1. by <a href="https://l.example">lift</a>\n\n'
            "<blockquote expandable><b>Sources</b>\n"
            '[1] <a href="https://shop.example/delivery?a=1&amp;b=2">Delivery</a>, Times: “Parcels take 3 days.”\n'
            "[2] Rates &lt;2026&gt;.pdf, p. 4: “Express costs €9 &amp; up.”</blockquote>\n\n"
            "<i>Ask: /help &lt;now&gt;</i>",
            format="html",
            plain="Delivery takes 3 days [1], express EX-9 costs more [2].\n\n• to a shop\n• home\n  1. by lift (https://l.example)\n\n"
            "Sources:\n[1] Delivery, Times: “Parcels take 3 days.” https://shop.example/delivery?a=1&b=2\n"
            "[2] Rates <2026>.pdf, p. 4: “Express costs €9 & up.”\n\nAsk: /help <now>",
            extra={"is_first": True},
        )
    ]


def test_sources_are_a_link_and_a_quote_to_the_server() -> None:
    """Its own reading of our tags: nothing is dropped without a word."""
    [part] = render_html(Said(text="Три дня [1].", language="ru", citations=(SITE,)))
    read = read_text(part.text, "HTML")
    assert read.text == "Три дня [1].\n\nИсточники\n[1] Delivery, Times: “Parcels take 3 days.”"
    assert read.entities == [
        Entity("text_link", 8, 3, "https://shop.example/delivery?a=1&b=2"),
        Entity("expandable_blockquote", 14, 53),
        Entity("bold", 14, 9),
        Entity("text_link", 28, 8, "https://shop.example/delivery?a=1&b=2"),
    ]


def test_words_of_a_person_stay_as_they_are() -> None:
    """Tags, stars and brackets that somebody has typed are words; a number without a source is no mark."""
    [part] = render_html(Said(text="if a<b & *c* then <b>see</b> [3] or __x__", language="en"))
    assert read_text(part.text, "HTML").text == "if a<b & *c* then <b>see</b> [3] or __x__"
    assert part.plain == "if a<b & *c* then <b>see</b> [3] or __x__"


def test_nothing_to_say_is_no_message() -> None:
    """Telegram refuses a message without a letter."""
    assert render_html(Said(text=" \n\n \x07 ", language="en")) == []


def test_a_long_answer_is_cut_between_blocks_and_sentences() -> None:
    """20,000 characters with emoji and code: every message is whole in itself, and nothing is lost."""
    sentence = "Доставка 😀 по городу занимает 3 дня и стоит 300 ₽ за каждую посылку. "
    code = "```\n" + "".join(f"line {number} <tag> & more\n" for number in range(300)) + "```"
    text = "\n\n".join([*(sentence * 12 for _ in range(20)), code])
    parts = render_html(Said(text=text, language="ru", is_markdown=True, citations=(SITE,)))
    reads = [read_text(part.text, "HTML") for part in parts]
    assert all(units(read.text) <= MOST_UNITS for read in reads)
    assert [read.text.endswith("посылку.") for read in reads[:4]] == [True] * 4
    assert letters(" ".join(read.text for read in reads)).startswith(letters(text))
    assert [entity.type for entity in reads[-2].entities] == ["pre"]
    assert len(parts) in range(7, 10)


FAR = msgspec.structs.replace(SITE, url="https://a.example/" + "x" * 970)
LIMITS = {
    "emoji, which count twice": Said(text="😀" * 5_000, language="en"),
    "styles, of which a hundred are kept": Said(text="**a** *b* `c` " * 150, language="en", is_markdown=True),
    "long addresses in many paragraphs": Said(
        text="\n\n".join(["Yes" + "[1]" * 20] * 9), language="en", citations=(FAR,)
    ),
    "long addresses in one paragraph": Said(text="Yes" + "[1]" * 90, language="en", citations=(FAR,)),
    "an endless address": Said(
        text="Yes [1].",
        language="en",
        citations=(msgspec.structs.replace(SITE, url="https://a.example/" + "y" * 40_000),),
    ),
}


@pytest.mark.parametrize("answer", LIMITS.values(), ids=LIMITS)
def test_the_limits_are_kept(answer: Said) -> None:
    """Of units, of bytes and of entities, each by an answer that meets it before the others."""
    reads = [read_text(part.text, part.format.upper()) for part in render_html(answer)]
    assert all(units(read.text) <= MOST_UNITS and len(read.entities) <= 90 for read in reads)
    shown_letters = letters("".join(read.text for read in reads))
    assert shown_letters.startswith(letters(answer.text))


@pytest.mark.parametrize("count", [99, 400])
def test_many_sources_are_in_several_messages(count: int) -> None:
    """Each with a quote of its own, all of them numbered, no entity more than Telegram keeps."""
    numbers = range(1, count)
    sources = tuple(
        Cited(number=n, title="T" * 300, locator="", quote="q " * 400, url=f"https://a.example/{n}") for n in numbers
    )
    reads = [
        read_text(part.text, "HTML") for part in render_html(Said(text="Yes [1].", language="en", citations=sources))
    ]
    listed = re.findall(r"^\[(\d+)\]", "\n".join(read.text for read in reads), re.MULTILINE)
    assert listed == [str(number) for number in numbers]
    assert sum(entity.type == "text_link" for read in reads for entity in read.entities) == count
    assert all(any(entity.type == "expandable_blockquote" for entity in read.entities) for read in reads)


def test_what_telegram_refuses_of_html() -> None:
    """The peer's words are those that were measured."""
    said_of = {
        "<h1>x</h1>": 'unsupported start tag "h1" at byte offset 0',
        "a < b": 'unsupported start tag "" at byte offset 2',
        "<b>x": 'can\'t find end tag corresponding to start tag "b"',
        "ё<b>x</i>": 'unmatched end tag, expected "</b>", found "</i>" at byte offset 6',
        "x</b>": "unexpected end tag at byte offset 1",
    }
    for html, why in said_of.items():
        with pytest.raises(Refused) as caught:
            read_text(html, "HTML")
        assert str(caught.value) == f"Bad Request: can't parse entities: {why}"
    assert read_text('<a href="javascript:x">y</a> &copy; &#33;', "HTML").text == "y &copy; !"
    with pytest.raises(Refused, match="message is too long"):
        read_text("😀" * 2_049, "HTML")


@patient
@given(said)
def test_whatever_is_said_is_taken(answer: Said) -> None:
    """Every message by the server's parser, with room to spare, as HTML and as the plain words instead of it."""
    for part in render_html(answer):
        read = read_text(part.text, part.format.upper())
        assert units(read.text) <= MOST_UNITS
        assert len(part.text.encode()) < 32_768
        assert part.text.count("</") < 100
        assert read_text(part.plain, None).text
        assert units(part.plain) <= MOST_UNITS


@patient
@given(words)
def test_every_letter_of_a_person_arrives(text: str) -> None:
    """In its order, whatever it looks like."""
    assert letters(shown(render_html(Said(text=text * 20, language="en")))) == letters(text * 20)


@patient
@given(said)
def test_a_repetition_is_the_same(answer: Said) -> None:
    """A courier that died is followed by one that sends the same parts."""
    assert render_html(answer) == render_html(answer)
