"""Recognises text in pictures of pages with tesseract, where it is installed."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from math import isinf

from msgspec import Struct
from PIL import Image

from asissto.ingestion.parsing import Block, TimeLimit
from asissto.ingestion.plain_text import paragraphs
from asissto.platform.errors import DocumentOcrTimeout

_SHARE = 0.8  # of the time for a file: what is left is for saying why it was not enough


class Progress(Struct):
    """How many pages of a file are recognised."""

    name: str
    total: int
    time: TimeLimit
    done: int = 0


def can_recognise() -> bool:
    return bool(shutil.which("tesseract") and _languages())


def recognised(picture: Image.Image, page: int | None, progress: Progress) -> list[Block]:
    """Paragraphs; none where there is no more than specks. Raises DocumentOcrTimeout."""
    png = BytesIO()
    picture.save(png, "PNG", compress_level=1)
    languages = _languages()
    text = _recognise(png.getvalue(), languages, progress)
    # With both languages "free" became "Нее" on a page of English, which has no longer word in Russian.
    if len(languages) > 1 and _LATIN.search(text) and not _RUSSIAN.search(text):
        text = _recognise(png.getvalue(), ["eng"], progress)
    progress.done += 1
    progress.time.report(progress.done, progress.total)
    blocks = paragraphs(_HYPHEN.sub("", text))
    return [Block(block.kind, block.text, page) for block in blocks if _has_words(block.text)]


def _recognise(png: bytes, languages: Sequence[str], progress: Progress) -> str:
    command = ["tesseract", "stdin", "stdout", "-l", "+".join(languages), "--psm", _segmentation(), *_QUIET]
    left = progress.time.started + _SHARE * progress.time.seconds - time.monotonic()
    try:
        ran = subprocess.run(  # noqa: S603 - nothing in the command comes from the file
            command,
            input=png,
            capture_output=True,
            check=False,
            timeout=None if isinf(left) else max(left, 0),
            env=os.environ | {"OMP_THREAD_LIMIT": "1"},  # its threads wait for each other more than they work
        )
    except subprocess.TimeoutExpired as error:
        raise _too_slow(progress) from error
    return ran.stdout.decode("utf-8", "replace")


def _too_slow(progress: Progress) -> DocumentOcrTimeout:
    seconds = int(progress.time.seconds)
    return DocumentOcrTimeout(name=progress.name, done=progress.done, total=progress.total, seconds=seconds)


_QUIET = ("-c", "debug_file=/dev/null")
_LATIN = re.compile(r"[a-z]{3}", re.IGNORECASE)
_RUSSIAN = re.compile(r"[а-яё]{5}", re.IGNORECASE)
_HYPHEN = re.compile(r"(?<=[a-zа-яё])-\n(?=[a-zа-яё])")


def _has_words(text: str) -> bool:
    """Dirt and drawings are recognised as single letters and signs."""
    parts = text.split()
    words = [part for part in parts if _WORD.search(part)]
    return 2 * len(words) > len(parts)


_WORD = re.compile(r"[^\W\d_]{3,}|\d{2,}")


def _segmentation() -> str:
    """Pages of any form, turned upright where tesseract has the data to tell how they lie."""
    return "1" if "osd" in _installed(shutil.which("tesseract")) else "3"


def _languages() -> Sequence[str]:
    """Russian first: pages in both languages then give fewer Latin letters in Russian words."""
    installed = _installed(shutil.which("tesseract"))
    return [language for language in ("rus", "eng") if language in installed]


@cache
def _installed(tesseract: str | None) -> frozenset[str]:
    if tesseract is None:
        return frozenset()
    listed = subprocess.run([tesseract, "--list-langs"], capture_output=True, check=False, text=True)  # noqa: S603
    return frozenset(listed.stdout.split("\n")[1:])
