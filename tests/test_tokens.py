import subprocess
import sys

from asissto.platform.tokens import count_tokens


def test_texts_are_counted_in_cl100k_tokens() -> None:
    """Known counts of cl100k_base; Russian costs about twice as much as English."""
    counts = [count_tokens(text) for text in ("", "tiktoken is great!", "Как вернуть товар?")]
    assert counts == [0, 6, 7]


def test_special_tokens_inside_a_document_are_ordinary_text() -> None:
    """A page about models must neither fail nor be counted as one control token."""
    assert count_tokens("<|endoftext|>") == 7


def test_counting_needs_neither_a_network_nor_llama_index() -> None:
    """The vocabulary is read from the package's folder, and an inherited cache folder does not matter."""
    code = (
        "import socket, sys; socket.getaddrinfo = None\n"
        "from asissto.platform.tokens import count_tokens\n"
        "print(count_tokens('hello world'), 'llama_index' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"TIKTOKEN_CACHE_DIR": "/nowhere"},
    )
    assert run.stdout == "2 False\n"
