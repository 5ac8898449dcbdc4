"""Counts tokens without a network: the estimator for every provider."""

import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import tiktoken


def count_tokens(text: str) -> int:
    """Tokens of cl100k_base; `<|endoftext|>` and its like are counted as the ordinary text they are in a document."""
    return len(_cl100k().encode_ordinary(text))


@cache
def _cl100k() -> tiktoken.Encoding:
    # tiktoken downloads its vocabularies; llama-index-core carries this one, and sets the same variable for itself.
    os.environ["TIKTOKEN_CACHE_DIR"] = str(_bundled_vocabularies())
    return tiktoken.get_encoding("cl100k_base")


def _bundled_vocabularies() -> Path:
    """Found without running llama_index, which takes ten seconds to import."""
    spec = find_spec("llama_index")
    roots = spec.submodule_search_locations if spec else None
    return next(folder for root in roots or () if (folder := Path(root, "core/_static/tiktoken_cache")).is_dir())
