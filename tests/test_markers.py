"""Marks are read out of a stream, however it is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asissto.retrieval.markers import MarkerReader, Piece

KNOWN = 5

CASES: list[tuple[str, list[Piece], int]] = [
    ("Да [1].", ["Да ", 1, "."], 0),
    ("Да[1][2].", ["Да", 1, 2, "."], 0),
    ("[[3]] 【2】［1］", [3, " ", 2, 1], 0),
    ("Все [1-3], [2, 4; 5] [ 1 ]", ["Все ", 1, 2, 3, ", ", 2, 4, 5, " ", 1], 0),
    ("Нет [9]. И [2, 7].", ["Нет. И ", 2, "."], 2),
    (
        "a[0], x[1], my_list[2], [12345], [0], [], [1990-2005]",
        ["a[0], x[1], my_list[2], [12345], [0], [], [1990-2005]"],
        0,
    ),
    ("`b [1]` и [2]", ["`b [1]` и ", 2], 0),
    ("`b [1]\nи [2]", ["`b [1]\nи ", 2], 0),
    ("```\nb [1]\n``` [2]", ["```\nb [1]\n``` ", 2], 0),
    ("[ссылка](u) [1", ["[ссылка](u) [1"], 0),
    ("[[1] и [x[2]", ["[", 1, " и [x[2]"], 0),
    ("Конец  ", ["Конец  "], 0),
]


def read(parts: list[str]) -> tuple[list[Piece], int]:
    """All pieces, neighbouring texts joined."""
    reader = MarkerReader(KNOWN)
    pieces = [piece for part in parts for piece in reader.feed(part)] + reader.close()
    joined: list[Piece] = []
    for piece in pieces:
        if joined and isinstance(piece, str) and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined, reader.unknown


@pytest.mark.parametrize(("text", "pieces", "unknown"), CASES)
def test_marks_are_told_from_text(text: str, pieces: list[Piece], unknown: int) -> None:
    """Kinds of brackets, lists and ranges are understood; unknown numbers go, and the space before them."""
    assert read([text]) == (pieces, unknown)


@given(
    st.lists(st.sampled_from([*"[]【】［］`\n ,-–123905aя_.", "[1]", "[[2]]", "```", " [7]", "[1, 9]", "x["])).map(
        "".join
    ),
    st.data(),
)
def test_any_cut_of_the_stream_gives_the_same(text: str, data: st.DataObject) -> None:
    """A provider may send a mark in one token or in five."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    parts = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
    assert read(parts) == read([text])


@given(st.text(st.sampled_from("ая. ,(\n`1")))
def test_text_without_brackets_passes_unchanged(text: str) -> None:
    """Not a letter is lost or moved."""
    assert read([text]) == ([text] if text else [], 0)


def test_text_is_not_held_back() -> None:
    """Only what may become a mark waits for its end."""
    reader = MarkerReader(KNOWN)
    assert reader.feed("Срок 14 дней [") == ["Срок 14 дней"]
    assert reader.feed("1") == []
    assert reader.feed("].") == [" ", 1, "."]
    assert reader.close() == []
